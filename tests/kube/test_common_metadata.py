from __future__ import annotations

from typing import TYPE_CHECKING, Any

from certwright.kube.api import KubeApi
from certwright.kube.common_metadata import CommonMetadata
from certwright.kube.lease import LeaseLock, LeaseRecord
from certwright.kube.solver_objects import SolverObjectApi

if TYPE_CHECKING:
    from certwright.kube.client import KubeClient

    from .conftest import ApiServer

COMMON = CommonMetadata({"team": "web", "app": "theirs"}, {"owner": "web@example.com"})


def manifest(kind: str) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"namespace": "shop", "name": "a", "labels": {"app": "ours"}}}


async def test_every_object_that_is_made_has_them_and_keeps_its_own(server: ApiServer, client: KubeClient) -> None:
    kube_api, objects = KubeApi(client, group="g", version="v1", common=COMMON), SolverObjectApi(client, COMMON)
    lock = LeaseLock(client, namespace="shop", name="a", common=COMMON)
    await kube_api.apply_secret(manifest("Secret"), force=True)
    await kube_api.create_secret(manifest("Secret"))
    await kube_api.create_event("shop", manifest("Event"))
    for kind in ("Service", "EndpointSlice", "Ingress", "HTTPRoute"):
        await objects.apply({**manifest(kind), "apiVersion": "v1"})
    await objects.create(manifest("Pod"))
    created = await lock.create(LeaseRecord())
    await lock.replace(type(created)(created.record, manifest("Lease")), LeaseRecord())
    assert len(server.seen) == 10
    for seen in server.seen:
        assert seen.body["metadata"]["annotations"] == COMMON.annotations
        assert seen.body["metadata"]["labels"]["team"] == "web"
    own = [seen.body["metadata"]["labels"].get("app") for seen in server.seen if seen.body["kind"] != "Lease"]
    assert own == ["ours"] * 8


def test_without_any_a_manifest_stays_as_it_is() -> None:
    assert CommonMetadata().added_to(manifest("Pod")) == manifest("Pod")
