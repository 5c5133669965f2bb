from __future__ import annotations

import http.client
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from testbed.exchanges import Action, Drop, Forward, Hang, Request, Respond, Response
from testbed.proxy import RecordingProxy
from testbed.web import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed import TestBed


@pytest.fixture
def cluster(bed: TestBed) -> Iterator[RecordingProxy]:
    with RecordingProxy.for_apiserver(bed.apiserver) as proxy:
        yield proxy


@pytest.fixture
def ca(bed: TestBed) -> Iterator[RecordingProxy]:
    with RecordingProxy.for_pebble(bed.pebble) as proxy:
        yield proxy


def test_kubectl_works_through_the_proxy_and_is_counted(
    bed: TestBed, cluster: RecordingProxy, namespace: str, tmp_path: Path
) -> None:
    through = ["--kubeconfig", str(cluster.kubeconfig(tmp_path / "proxy.kubeconfig"))]
    bed.kubectl(*through, "create", "configmap", "made", "-n", namespace)
    assert bed.kubectl("get", "configmap", "made", "-n", namespace, "-o", "name") == "configmap/made\n"
    assert cluster.counts()["POST", f"/api/v1/namespaces/{namespace}/configmaps"] == 1


def test_a_watch_comes_through_event_by_event(bed: TestBed, cluster: RecordingProxy, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps?watch=true&timeoutSeconds=240"
    connection = http.client.HTTPSConnection(
        "127.0.0.1", cluster.port, timeout=120, context=bed.authority.client_context()
    )
    connection.request("GET", path)
    with connection.getresponse() as stream:
        names = {json.loads(stream.readline())["object"]["metadata"]["name"]}  # kube-root-ca.crt
        for name in ("one", "two"):
            bed.kubectl("create", "configmap", name, "-n", namespace)
            names.add(json.loads(stream.readline())["object"]["metadata"]["name"])
    connection.close()
    assert {"one", "two"} & names


def test_the_answer_to_a_write_can_be_lost_after_it_took_effect(
    bed: TestBed, cluster: RecordingProxy, namespace: str, tmp_path: Path
) -> None:
    seen: list[tuple[str, int]] = []

    def lose_writes(request: Request, response: Response) -> Action:
        if not request.is_write:
            return Forward()
        seen.append((request.method, response.status))
        return Drop()

    cluster.on_response = lose_writes
    through = ["--kubeconfig", str(cluster.kubeconfig(tmp_path / "proxy.kubeconfig"))]
    bed.kubectl(*through, "create", "configmap", "made", "-n", namespace, check=False)
    assert ("POST", HTTPStatus.CREATED) in seen
    assert bed.kubectl("get", "configmap", "made", "-n", namespace, "-o", "name") == "configmap/made\n"


def test_a_request_can_be_answered_without_the_server(bed: TestBed, ca: RecordingProxy) -> None:
    ca.on_request = lambda _: Respond(503, b"later", {"Retry-After": "7"})
    answer = fetch(ca.directory_url, tls=bed.authority.client_context())
    assert (answer.status, answer.body) == (503, b"later")


def test_a_request_can_be_dropped(bed: TestBed, ca: RecordingProxy) -> None:
    ca.on_request = lambda _: Drop()
    with pytest.raises((OSError, http.client.HTTPException)):
        fetch(ca.directory_url, tls=bed.authority.client_context())
    ca.reset()
    assert fetch(ca.directory_url, tls=bed.authority.client_context()).status == HTTPStatus.OK


def test_a_request_can_be_left_without_an_answer(bed: TestBed, ca: RecordingProxy) -> None:
    ca.on_request = lambda _: Hang()
    with pytest.raises(TimeoutError):
        fetch(ca.directory_url, tls=bed.authority.client_context(), timeout=0.3)
    ca.reset()
    assert fetch(ca.directory_url, tls=bed.authority.client_context()).status == HTTPStatus.OK


def test_the_urls_of_a_pebble_behind_the_proxy_lead_through_it(bed: TestBed, ca: RecordingProxy) -> None:
    directory = json.loads(fetch(ca.directory_url, tls=bed.authority.client_context()).body)
    assert directory["newOrder"].startswith(f"{ca.url}/")


def test_a_server_that_is_down_looks_down(bed: TestBed, ca: RecordingProxy) -> None:
    pebble = bed.pebble
    pebble.stop()
    try:
        with pytest.raises((OSError, http.client.HTTPException)):
            fetch(ca.directory_url, tls=bed.authority.client_context())
    finally:
        pebble.start()


def test_an_error_in_a_hook_reaches_the_test(bed: TestBed) -> None:
    proxy = RecordingProxy.for_pebble(bed.pebble)
    proxy.start()
    proxy.on_request = lambda _: 1 / 0  # type: ignore[assignment, return-value]  # the error under test
    with pytest.raises((OSError, http.client.HTTPException)):
        fetch(proxy.directory_url, tls=bed.authority.client_context())
    with pytest.raises(ExceptionGroup) as caught:
        proxy.stop()
    assert isinstance(caught.value.exceptions[0], ZeroDivisionError)
