from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.kube.errors import Conflict, Forbidden, Invalid, NotFound
from certwright.kube.solver_objects import SolverObjectApi

if TYPE_CHECKING:
    from certwright.kube.client import KubeClient

    from .conftest import ApiServer

POD: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "cw-web"}}
ROUTE = {**POD, "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
LABELS = {"certwright.io/http01-solver": "true", "certwright.io/certificate-uid": "u-1"}
INGRESS = {"metadata": {"namespace": "shop", "name": "front", "resourceVersion": "7"}}


@pytest.fixture
def objects(client: KubeClient) -> SolverObjectApi:
    return SolverObjectApi(client)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Pod", "/api/v1/namespaces/shop/pods/cw-web"),
        ("Service", "/api/v1/namespaces/shop/services/cw-web"),
        ("EndpointSlice", "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/cw-web"),
        ("Ingress", "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/cw-web"),
        ("HTTPRoute", "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/cw-web"),
    ],
)
async def test_an_object_is_written_read_and_removed_where_it_is(
    server: ApiServer, objects: SolverObjectApi, kind: str, path: str
) -> None:
    manifest = {**POD, "kind": kind}
    server.reply(200, manifest)
    assert await objects.apply(manifest) == manifest
    server.reply(200, manifest)
    assert await objects.read(kind, "shop", "cw-web") == manifest
    await objects.delete(kind, "shop", "cw-web")
    await objects.delete_all(kind, "shop", LABELS)
    assert [(seen.method, seen.path) for seen in server.seen] == [
        ("PATCH", path),
        ("GET", path),
        ("DELETE", path),
        ("DELETE", path.removesuffix("/cw-web")),
    ]
    assert server.seen[0].query == {"fieldManager": "certwright", "force": "true"}
    assert server.seen[0].headers["Content-Type"] == "application/apply-patch+yaml"
    at_once = {"gracePeriodSeconds": "0"} if kind == "Pod" else {}
    assert server.seen[2].query == at_once
    assert server.seen[3].query == {
        "labelSelector": "certwright.io/certificate-uid=u-1,certwright.io/http01-solver=true",
        **at_once,
    }


async def test_some_are_spared_by_a_label(server: ApiServer, objects: SolverObjectApi) -> None:
    server.reply(200, {})
    await objects.delete_all("Service", "shop", {"a": "1"}, unless={"name": ["y", "x"]})
    assert server.seen[0].query == {"labelSelector": "a=1,name notin (x,y)"}


async def test_what_is_not_there_is_none_or_done(server: ApiServer, objects: SolverObjectApi) -> None:
    for _ in range(4):
        server.refuse(404, "NotFound", "no such thing")
    assert await objects.read("Pod", "shop", "cw-web") is None
    await objects.delete("Pod", "shop", "cw-web")
    await objects.delete_all("Pod", "shop", LABELS)
    assert await objects.network_policies("shop") == []


async def test_a_kind_that_the_cluster_does_not_know_is_told(server: ApiServer, objects: SolverObjectApi) -> None:
    server.reply(404, b"404 page not found")
    with pytest.raises(NotFound, match=r"does not serve gateway\.networking\.k8s\.io/v1 HTTPRoute\. Are its CRDs"):
        await objects.apply(ROUTE)
    server.refuse(404, "NotFound", 'namespaces "shop" not found')
    with pytest.raises(NotFound, match='namespaces "shop" not found'):
        await objects.apply(ROUTE)


async def test_a_refusal_is_told_in_the_api_servers_words(server: ApiServer, objects: SolverObjectApi) -> None:
    server.refuse(422, "Invalid", "spec.containers[0].image: Required value")
    with pytest.raises(Invalid, match=r"could not write Pod shop/cw-web: HTTP 422 Invalid: spec\.containers"):
        await objects.apply(POD)


async def test_an_ingress_is_edited_only_as_it_was_read(server: ApiServer, objects: SolverObjectApi) -> None:
    rules = [{"host": "a.test"}]
    server.reply(200, {"kind": "Ingress"})
    assert await objects.replace_rules(INGRESS, rules) == {"kind": "Ingress"}
    [seen] = server.seen
    assert (seen.method, seen.path) == ("PATCH", "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/front")
    assert seen.headers["Content-Type"] == "application/merge-patch+json"
    assert seen.body == {"metadata": {"resourceVersion": "7"}, "spec": {"rules": rules}}
    server.refuse(409, "Conflict", "it has changed")
    assert await objects.replace_rules(INGRESS, rules) is None
    server.refuse(403, "Forbidden", "no")
    with pytest.raises(Forbidden):
        await objects.replace_rules(INGRESS, rules)


@pytest.mark.parametrize("others", [[{"manager": "gitops", "operation": "Apply"}], []])
async def test_what_was_written_of_an_ingress_is_given_up(
    server: ApiServer, objects: SolverObjectApi, others: list[dict[str, str]]
) -> None:
    entries = [*others, {"manager": "certwright", "operation": "Update"}]
    ingress = {"metadata": {**INGRESS["metadata"], "managedFields": entries}}
    assert await objects.disown(ingress)
    [seen] = server.seen
    assert seen.body == {"metadata": {"resourceVersion": "7", "managedFields": others or [{}]}}
    server.refuse(409, "Conflict", "it has changed")
    assert not await objects.disown(ingress)
    assert await objects.disown(INGRESS)
    assert len(server.seen) == 2, "nothing of ours is in it"


async def test_an_ingress_without_rules_has_none_afterwards(server: ApiServer, objects: SolverObjectApi) -> None:
    await objects.replace_rules(INGRESS, [])
    assert server.seen[0].body["spec"] == {"rules": None}


async def test_what_may_not_be_looked_at_is_not_known_to_be_missing(
    server: ApiServer, objects: SolverObjectApi
) -> None:
    server.reply(200, {"kind": "IngressClass"})
    assert await objects.inspect("IngressClass", None, "nginx") == {"kind": "IngressClass"}
    server.refuse(404, "NotFound", "no such thing")
    assert await objects.inspect("IngressClass", None, "nginx") is None
    server.refuse(403, "Forbidden", "the operator may not look")
    assert await objects.inspect("IngressClass", None, "nginx") == {}
    assert server.seen[0].path == "/apis/networking.k8s.io/v1/ingressclasses/nginx"


async def test_what_is_created_stays_as_it_is_if_it_is_there(server: ApiServer, objects: SolverObjectApi) -> None:
    await objects.create(POD)
    [seen] = server.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/api/v1/namespaces/shop/pods", POD)
    assert seen.query == {"fieldManager": "certwright"}
    server.refuse(409, "AlreadyExists", "it is there")
    await objects.create(POD)
    server.refuse(409, "Conflict", "something other")
    with pytest.raises(Conflict, match="could not create Pod shop/cw-web"):
        await objects.create(POD)


async def test_policies_are_listed_a_bounded_number_where_that_is_allowed(
    server: ApiServer, objects: SolverObjectApi
) -> None:
    server.reply(200, {"items": [{"kind": "NetworkPolicy"}]})
    assert await objects.network_policies("shop") == [{"kind": "NetworkPolicy"}]
    assert server.seen[0].query == {"limit": "100"}
    server.refuse(403, "Forbidden", "no")
    assert await objects.network_policies("shop") == []
