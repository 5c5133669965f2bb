from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.kube.errors import Conflict, Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from certwright.kube.api import KubeApi

    from .conftest import ApiServer

APPLY = "application/apply-patch+yaml"
SECRET: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "shop", "name": "web-tls"}}
CERTIFICATE = {
    "namespace": "shop",
    "name": "web",
    "uid": "u-1",
    "resourceVersion": "7",
    "labels": {"a": "b"},
    "managedFields": [{"manager": "kubectl"}],
}


async def test_the_version_of_a_collection_is_asked_for_with_one_of_its_objects(
    server: ApiServer, kube_api: KubeApi
) -> None:
    server.reply(200, {"metadata": {"resourceVersion": "42"}, "items": [{}]})
    assert await kube_api.collection_version("certificates", "shop") == 42
    [seen] = server.seen
    assert (seen.method, seen.query) == ("GET", {"limit": "1"})
    assert seen.path == "/apis/certwright.io/v1/namespaces/shop/certificates"


@pytest.mark.parametrize(
    ("namespace", "path"),
    [
        ("shop", "/apis/certwright.io/v1/namespaces/shop/issuers/ca"),
        (None, "/apis/certwright.io/v1/issuers/ca"),
    ],
)
async def test_a_custom_resource_is_read_where_it_is(
    server: ApiServer, kube_api: KubeApi, namespace: str | None, path: str
) -> None:
    server.reply(200, {"kind": "Issuer"})
    assert await kube_api.read_custom("issuers", namespace, "ca") == {"kind": "Issuer"}
    assert [(seen.method, seen.path) for seen in server.seen] == [("GET", path)]


async def test_a_secret_is_read_where_it_is(server: ApiServer, kube_api: KubeApi) -> None:
    server.reply(200, SECRET)
    assert await kube_api.read_secret("shop", "web-tls") == SECRET
    assert [(seen.method, seen.path) for seen in server.seen] == [("GET", "/api/v1/namespaces/shop/secrets/web-tls")]


async def test_names_cannot_lead_elsewhere(server: ApiServer, kube_api: KubeApi) -> None:
    await kube_api.read_custom("issuers", "shop", "a?b#c%2e d")
    assert server.seen[0].path == "/apis/certwright.io/v1/namespaces/shop/issuers/a%3Fb%23c%252e%20d"


@pytest.mark.parametrize(
    "call",
    [
        lambda kube_api: kube_api.read_custom("issuers", "shop", "ca"),
        lambda kube_api: kube_api.read_secret("shop", "web-tls"),
        lambda kube_api: kube_api.delete_secret("shop", "web-tls"),
    ],
)
async def test_what_is_not_there_is_none(
    server: ApiServer, kube_api: KubeApi, call: Callable[[KubeApi], Awaitable[object]]
) -> None:
    server.refuse(404, "NotFound", "no such thing")
    assert await call(kube_api) is None


@pytest.mark.parametrize("force", [True, False])
async def test_a_secret_is_applied_whole(server: ApiServer, kube_api: KubeApi, *, force: bool) -> None:
    manifest = {**SECRET, "metadata": {**SECRET["metadata"], "resourceVersion": "5"}, "data": {"tls.crt": "eA=="}}
    server.reply(200, {"stored": True})
    assert await kube_api.apply_secret(manifest, force=force) == {"stored": True}
    [seen] = server.seen
    assert (seen.method, seen.path) == ("PATCH", "/api/v1/namespaces/shop/secrets/web-tls")
    assert seen.query == {"fieldManager": "certwright", "force": str(force).lower()}
    assert seen.headers["Content-Type"] == APPLY
    assert seen.body == manifest, "the resourceVersion, if there is one, makes the write conditional"


async def test_a_secret_is_created_and_the_repeat_of_a_lost_answer_is_a_conflict(
    server: ApiServer, kube_api: KubeApi
) -> None:
    server.drop()
    server.refuse(409, "AlreadyExists", 'secrets "web-tls" already exists')
    with pytest.raises(Conflict, match="could not create Secret shop/web-tls: HTTP 409 AlreadyExists"):
        await kube_api.create_secret(SECRET)
    assert len(server.seen) == 2
    seen = server.seen[0]
    assert (seen.method, seen.path) == ("POST", "/api/v1/namespaces/shop/secrets")
    assert (seen.query, seen.body) == ({"fieldManager": "certwright"}, SECRET)


async def test_a_secret_is_deleted(server: ApiServer, kube_api: KubeApi) -> None:
    await kube_api.delete_secret("shop", "web-tls")
    assert [(seen.method, seen.path) for seen in server.seen] == [("DELETE", "/api/v1/namespaces/shop/secrets/web-tls")]


async def test_a_status_is_applied_to_the_object_of_this_uid_and_nothing_else_of_it_is(
    server: ApiServer, kube_api: KubeApi
) -> None:
    await kube_api.apply_status("certificates", "Certificate", CERTIFICATE, {"revision": 2})
    [seen] = server.seen
    assert (seen.method, seen.path) == ("PATCH", "/apis/certwright.io/v1/namespaces/shop/certificates/web/status")
    assert seen.query == {"fieldManager": "certwright", "force": "true"}
    assert seen.headers["Content-Type"] == APPLY
    assert seen.body == {
        "apiVersion": "certwright.io/v1",
        "kind": "Certificate",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1"},
        "status": {"revision": 2},
    }


async def test_the_status_of_a_cluster_scoped_object(server: ApiServer, kube_api: KubeApi) -> None:
    metadata = {"name": "ca", "namespace": None, "uid": "u-2"}
    await kube_api.apply_status("clusterissuers", "ClusterIssuer", metadata, {})
    [seen] = server.seen
    assert seen.path == "/apis/certwright.io/v1/clusterissuers/ca/status"
    assert seen.body["metadata"] == {"name": "ca", "uid": "u-2"}


async def test_what_another_field_manager_keeps_in_a_status_is_taken_out_of_it(
    server: ApiServer, kube_api: KubeApi
) -> None:
    kept = {"revision": 2, "order": {"url": "x"}, "acme": {"uri": "y", "old": 1}, "conditions": [{"type": "Other"}]}
    server.reply(200, {"metadata": {"uid": "u-1", "resourceVersion": "8"}, "status": kept})
    server.reply(200, {"metadata": {"uid": "u-1", "resourceVersion": "9"}, "status": {}})
    wanted = {"revision": 2, "acme": {"uri": "y"}, "conditions": []}
    body = await kube_api.apply_status("certificates", "Certificate", CERTIFICATE, wanted)
    assert body["metadata"]["resourceVersion"] == "9"
    _, seen = server.seen
    assert (seen.path, seen.headers["Content-Type"]) == (server.seen[0].path, "application/merge-patch+json")
    assert seen.body == {
        "metadata": {"uid": "u-1", "resourceVersion": "8"},
        "status": {"order": None, "acme": {"old": None}},
    }


FINALIZER = "certwright.io/clean-up"
FINALIZED = {"metadata": {"uid": "u-1", "finalizers": ["other/one", FINALIZER]}}


async def test_a_finalizer_is_held_by_a_field_manager_of_its_own(server: ApiServer, kube_api: KubeApi) -> None:
    server.reply(200, {"kind": "Certificate"})
    await kube_api.add_finalizer("certificates", "Certificate", CERTIFICATE, FINALIZER)
    server.refuse(409, "Conflict", "Precondition failed: UID in precondition: u-1, UID in object meta: u-9")
    with pytest.raises(Conflict, match=r"could not hold Certificate shop/web: .*UID in object meta"):
        await kube_api.add_finalizer("certificates", "Certificate", CERTIFICATE, FINALIZER)
    seen = server.seen[0]
    assert (seen.method, seen.path) == ("PATCH", "/apis/certwright.io/v1/namespaces/shop/certificates/web")
    assert seen.query == {"fieldManager": "certwright-finalizer", "force": "true"}
    assert seen.headers["Content-Type"] == APPLY
    assert seen.body == {
        "apiVersion": "certwright.io/v1",
        "kind": "Certificate",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "finalizers": [FINALIZER]},
    }


async def test_a_finalizer_is_taken_off_where_it_is_and_nowhere_else(server: ApiServer, kube_api: KubeApi) -> None:
    server.refuse(422, "Invalid", "the test operation failed")  # another entry went meanwhile
    server.reply(200, FINALIZED)
    server.reply(200, {"kind": "Certificate"})
    body = await kube_api.remove_finalizer(
        "certificates", "Certificate", CERTIFICATE, FINALIZER, known=("gone/one", "other/one", FINALIZER)
    )
    assert body == {"kind": "Certificate"}
    first, _, last = server.seen
    assert first.headers["Content-Type"] == last.headers["Content-Type"] == "application/json-patch+json"
    assert last.body == [
        {"op": "test", "path": "/metadata/uid", "value": "u-1"},
        {"op": "test", "path": "/metadata/finalizers/1", "value": FINALIZER},
        {"op": "remove", "path": "/metadata/finalizers/1"},
    ]
    assert first.body[1]["path"] == "/metadata/finalizers/2"


@pytest.mark.parametrize("found", [None, {"metadata": {"uid": "u-9", "finalizers": [FINALIZER]}}])
async def test_an_object_that_is_gone_need_not_be_let_go(
    server: ApiServer, kube_api: KubeApi, found: dict[str, Any] | None
) -> None:
    if found is None:
        server.refuse(404, "NotFound", "gone")
    else:
        server.refuse(422, "Invalid", "the test operation failed")
        server.reply(200, found)
    removed = await kube_api.remove_finalizer("certificates", "Certificate", CERTIFICATE, FINALIZER, known=[FINALIZER])
    assert removed is None


async def taken_out(kube_api: KubeApi) -> dict[str, Any]:
    return await kube_api.take_out("certificates", CERTIFICATE, "/spec/request", if_equal=("/spec/request/id", "r-1"))


def with_request(request_id: str | None, uid: str = "u-1") -> dict[str, Any]:
    request = {} if request_id is None else {"request": {"id": request_id}}
    return {"metadata": {"uid": uid}, "spec": {"dnsNames": ["a"], **request}}


async def test_a_field_is_taken_out_only_if_it_is_the_one_that_was_meant(server: ApiServer, kube_api: KubeApi) -> None:
    server.reply(200, with_request(None))
    assert await taken_out(kube_api) == with_request(None)
    (seen,) = server.seen
    assert seen.headers["Content-Type"] == "application/json-patch+json"
    assert seen.body == [
        {"op": "test", "path": "/metadata/uid", "value": "u-1"},
        {"op": "test", "path": "/spec/request/id", "value": "r-1"},
        {"op": "remove", "path": "/spec/request"},
    ]


@pytest.mark.parametrize("now", [None, "r-2"])
async def test_a_field_that_is_another_one_by_now_stays(server: ApiServer, kube_api: KubeApi, now: str | None) -> None:
    server.refuse(422, "Invalid", "the test operation failed")
    server.reply(200, with_request(now))
    assert await taken_out(kube_api) == with_request(now)


async def test_a_field_that_cannot_be_taken_out_is_an_error(server: ApiServer, kube_api: KubeApi) -> None:
    server.refuse(422, "Invalid", "spec.dnsNames is not what it should be")
    server.reply(200, with_request("r-1"))
    with pytest.raises(Invalid, match="dnsNames"):
        await taken_out(kube_api)


async def test_a_field_of_an_object_that_was_made_again_stays(server: ApiServer, kube_api: KubeApi) -> None:
    server.refuse(422, "Invalid", "the test operation failed")
    server.reply(200, with_request("r-1", uid="u-9"))
    with pytest.raises(NotFound):
        await taken_out(kube_api)


async def test_an_event_is_posted_once(server: ApiServer, kube_api: KubeApi) -> None:
    server.refuse(503, "", "busy")
    with pytest.raises(Unavailable, match="could not post an Event in shop"):
        await kube_api.create_event("shop", {"kind": "Event"})
    assert [(seen.method, seen.path, seen.body) for seen in server.seen] == [
        ("POST", "/api/v1/namespaces/shop/events", {"kind": "Event"})
    ]
