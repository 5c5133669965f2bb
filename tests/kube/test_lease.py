from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from certwright.kube.errors import Conflict, Forbidden, NotFound, Unavailable
from certwright.kube.lease import LeaseLock, LeaseRecord, micro_time

if TYPE_CHECKING:
    from certwright.kube.client import KubeClient

    from .conftest import ApiServer

PATH = "/apis/coordination.k8s.io/v1/namespaces/tools/leases"
RECORD = LeaseRecord("pod-a", 9, "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:05.000000Z", 3)
BODY = {
    "metadata": {"name": "certwright", "uid": "u", "resourceVersion": "7", "labels": {"team": "x"}},
    "spec": {
        "holderIdentity": "pod-a",
        "leaseDurationSeconds": 9,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:05.000000Z",
        "leaseTransitions": 3,
        "strategy": "OldestEmulationVersion",
    },
}


@pytest.fixture
def lock(client: KubeClient) -> LeaseLock:
    return LeaseLock(client, namespace="tools", name="certwright")


async def test_it_is_read(server: ApiServer, lock: LeaseLock) -> None:
    server.reply(200, BODY)
    found = await lock.read()
    assert found is not None
    assert found.record == RECORD
    assert (server.seen[0].method, server.seen[0].path) == ("GET", f"{PATH}/certwright")


@pytest.mark.parametrize("spec", [None, {}, {"holderIdentity": None, "leaseDurationSeconds": None}])
async def test_an_empty_one_is_nobodys(server: ApiServer, lock: LeaseLock, spec: dict[str, object] | None) -> None:
    server.reply(200, {"metadata": {}, "spec": spec})
    found = await lock.read()
    assert found is not None
    assert found.record == LeaseRecord()


async def test_one_that_is_not_there_is_none(server: ApiServer, lock: LeaseLock) -> None:
    server.refuse(404, "NotFound", "no")
    assert await lock.read() is None


async def test_it_is_created(server: ApiServer, lock: LeaseLock) -> None:
    server.reply(201, BODY)
    made = await lock.create(RECORD)
    assert made.record == RECORD
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", PATH)
    assert seen.body["metadata"] == {"namespace": "tools", "name": "certwright"}
    assert seen.body["spec"] == RECORD.to_spec()


async def test_it_is_replaced_at_the_version_that_was_read_with_what_others_wrote(
    server: ApiServer, lock: LeaseLock
) -> None:
    server.reply(200, BODY)
    found = await lock.read()
    assert found is not None
    server.reply(200, BODY)
    await lock.replace(found, LeaseRecord("pod-b", 9, "a", "r", 4))
    seen = server.seen[-1]
    assert (seen.method, seen.path) == ("PUT", f"{PATH}/certwright")
    assert seen.body["metadata"] == BODY["metadata"]
    assert seen.body["spec"] == {
        "holderIdentity": "pod-b",
        "leaseDurationSeconds": 9,
        "acquireTime": "a",
        "renewTime": "r",
        "leaseTransitions": 4,
        "strategy": "OldestEmulationVersion",
    }


@pytest.mark.parametrize(("status", "error"), [(409, Conflict), (404, NotFound), (403, Forbidden), (503, Unavailable)])
async def test_a_write_is_tried_once_and_a_refusal_says_which_lease(
    server: ApiServer, lock: LeaseLock, status: int, error: type[Exception]
) -> None:
    server.reply(200, BODY)
    found = await lock.read()
    assert found is not None
    server.refuse(status, "Reason", "words")
    with pytest.raises(error, match="write Lease tools/certwright"):
        await lock.replace(found, RECORD)
    assert len(server.seen) == 2


def test_the_present_is_written_as_the_api_server_does() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", micro_time())
