"""What every other scenario relies on: a node that runs pods, its networks, and that nothing of it is left."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from certwright.acme import AccountKey, AcmeServer, Client, HttpxTransport, Identifier
from harness.cluster import conditions, refusal
from scenarios.pods import OK, PORT, ask_by, asked_by, start_web, web_ingress, web_pod
from testbed.cgroups import CgroupTree
from testbed.parts.gateway import NAME as GATEWAY
from testbed.parts.gateway import NAMESPACE as GATEWAY_NAMESPACE
from testbed.web import fetch

if TYPE_CHECKING:
    from typing import Any

    from harness.cluster import Cluster
    from testbed import TestBed


@pytest.fixture
def web(node_bed: TestBed, cluster: Cluster, namespace: str) -> dict[str, Any]:
    """A Ready pod of the web server, named `web`, with its Service."""
    return start_web(node_bed, cluster, namespace, "web")


def test_the_node_is_ready_and_has_the_bed_s_address(node_bed: TestBed, cluster: Cluster) -> None:
    node = cluster.get("Node", None, node_bed.node.name)
    assert node is not None
    assert conditions(node)["Ready"]["status"] == "True"
    assert {"type": "InternalIP", "address": node_bed.node.address} in node["status"]["addresses"]


def test_a_restricted_pod_runs_and_cannot_write(web: dict[str, Any]) -> None:
    assert web["status"]["phase"] == "Running"
    answer = fetch(f"http://{web['status']['podIP']}:{PORT}/write")
    assert "read-only file system" in answer.body.decode()


def test_what_the_restricted_profile_forbids_is_refused(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        cluster.apply(web_pod(namespace, "root", runAsNonRoot=False))
    assert 'violates PodSecurity "restricted:latest"' in refusal(caught.value)


def test_a_service_answers_the_host_and_other_pods_by_name(
    node_bed: TestBed, cluster: Cluster, namespace: str, web: dict[str, Any]
) -> None:
    service = cluster.get("Service", namespace, "web")
    assert service is not None
    assert "on web" in fetch(f"http://{service['spec']['clusterIP']}/").body.decode()
    other = start_web(node_bed, cluster, namespace, "other")
    for name in ("web", f"web.{namespace}", f"web.{namespace}.svc.cluster.local"):
        assert asked_by(cluster, other, f"http://{name}/") == f"hello from {name} on web\n"
    # A pod reaches itself through its Service as well; its short name would be its own host name.
    assert asked_by(cluster, web, f"http://web.{namespace}/") == f"hello from web.{namespace} on web\n"


def test_pods_resolve_the_bed_s_zones_and_nothing_else(web: dict[str, Any]) -> None:
    assert "404 page not found" in _failure(web, "http://anything.example.test/")
    assert "server misbehaving" in _failure(web, "http://certwright.io/")


def test_an_ingress_on_port_80_leads_to_a_pod(cluster: Cluster, namespace: str, web: dict[str, Any]) -> None:
    host = f"{namespace}.example.test"
    cluster.apply(web_ingress(namespace, "web", host))
    _await_answer(cluster, host)
    # And from inside the cluster, by the name in the bed's DNS: as a CA would come.
    assert asked_by(cluster, web, f"http://{host}/") == f"hello from {host} on web\n"


def test_an_http_route_leads_to_a_pod(cluster: Cluster, namespace: str, web: dict[str, Any]) -> None:
    host = f"{namespace}.delegated.test"
    cluster.apply(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {
                "parentRefs": [{"name": GATEWAY, "namespace": GATEWAY_NAMESPACE}],
                "hostnames": [host],
                "rules": [{"backendRefs": [{"name": "web", "port": 80}]}],
            },
        }
    )
    _await_answer(cluster, host)
    assert asked_by(cluster, web, f"http://{host}/") == f"hello from {host} on web\n"


def test_the_gateway_serves_https_on_port_443(node_bed: TestBed) -> None:
    tls = node_bed.authority.client_context()
    with (
        socket.create_connection((node_bed.node.address, 443), timeout=5.0) as connection,
        tls.wrap_socket(connection, server_hostname="anything.example.test") as secured,
    ):
        certificate = secured.getpeercert()
    assert certificate is not None
    assert ("DNS", "*.example.test") in certificate["subjectAltName"]


async def test_the_ca_comes_over_port_80_to_a_pod(node_bed: TestBed, cluster: Cluster, namespace: str) -> None:
    host = f"{namespace}.example.test"
    key = AccountKey.generate()
    start_web(node_bed, cluster, namespace, "web", thumbprint=key.thumbprint)
    cluster.apply(web_ingress(namespace, "web", host))
    _await_answer(cluster, host)
    async with HttpxTransport(ca_bundle=node_bed.pebble.ca_bundle_pem.decode()) as transport:
        client = Client(AcmeServer(node_bed.pebble.directory_url, transport), key)
        await client.register(terms_of_service_agreed=True)
        order = await client.new_order([Identifier.dns(host)])
        (authorization,) = await client.fetch_authorizations(order)
        challenge = authorization.challenge("http-01")
        assert challenge is not None
        await client.answer_challenge(challenge)
        assert (await client.poll_order(order, until={"ready"})).status == "ready"


def test_pods_reach_the_api_server_and_the_ca(node_bed: TestBed, web: dict[str, Any]) -> None:
    # Both are reached, and the web server's client knows neither CA.
    for url in ("https://kubernetes.default.svc/", node_bed.pebble.directory_url):
        assert "certificate signed by unknown authority" in _failure(web, url)


def test_logs_of_pods_come_through_the_kubelet(node_bed: TestBed, namespace: str, web: dict[str, Any]) -> None:
    fetch(f"http://{web['status']['podIP']}:{PORT}/fetch?url=nonsense")
    assert 'asks for "nonsense"' in node_bed.kubectl("logs", "web", "-n", namespace)


@pytest.mark.usefixtures("web")
def test_a_network_policy_holds_between_pods(node_bed: TestBed, cluster: Cluster, namespace: str) -> None:
    friend = start_web(node_bed, cluster, namespace, "friend")
    stranger = start_web(node_bed, cluster, namespace, "stranger")
    url = f"http://web.{namespace}/"
    assert asked_by(cluster, stranger, url) == asked_by(cluster, friend, url)
    cluster.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "friends", "namespace": namespace},
            "spec": {
                "podSelector": {"matchLabels": {"app": "web"}},
                "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}],
            },
        }
    )
    cluster.wait_for(
        "the stranger is kept out",
        lambda: {"status": {"code": _status(stranger, url)}},
        lambda seen: seen["status"]["code"] != OK,
    )
    assert "hello" in asked_by(cluster, friend, url)
    cluster.delete("NetworkPolicy", namespace, "friends")
    cluster.wait_for(
        "the stranger is let in again",
        lambda: {"status": {"code": _status(stranger, url)}},
        lambda seen: seen["status"]["code"] == OK,
    )


def test_a_second_bed_runs_beside_this_one_and_leaves_nothing(node_bed: TestBed) -> None:
    program = Path(__file__).with_name("ended_bed.py")
    command = [sys.executable, "-m", "testbed", "isolated", "--", sys.executable, str(program)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    seen = json.loads(ended.stdout)
    # Shim, pause and web server; otherwise what is asserted below would prove nothing.
    assert seen["processes while up"] >= 3
    assert seen["mounts while up"] > 0
    assert seen["processes left"] == []
    assert seen["mounts left"] == []
    assert seen["links left"] == ["lo"]
    assert seen["rules left"] == ""
    assert not Path(seen["folder"]).exists()
    assert not CgroupTree(seen["cgroup"]).exists()
    assert node_bed.node.cgroup != seen["cgroup"]
    assert CgroupTree(node_bed.node.cgroup).exists()


def _await_answer(cluster: Cluster, host: str) -> None:
    """Wait until Traefik leads a host to the pod."""

    def look() -> dict[str, Any]:
        answer = fetch("http://127.0.0.1:80/", headers={"Host": host})
        return {"status": {"code": answer.status, "body": answer.body.decode(errors="replace")}}

    cluster.wait_for(
        f"Traefik leads {host} to the pod",
        look,
        lambda seen: seen["status"]["body"] == f"hello from {host} on web\n",
    )


def _status(pod: dict[str, Any], url: str) -> int:
    """Return the status of what a pod's request for a URL is answered, 502 where it has no answer."""
    return ask_by(pod, url).status


def _failure(pod: dict[str, Any], url: str) -> str:
    """Return what a pod's request failed with."""
    answer = ask_by(pod, url)
    assert answer.status != OK
    return answer.body.decode()
