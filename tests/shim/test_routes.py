from __future__ import annotations

from typing import Any

import pytest

from certwright.kube.resource import HTTP_ROUTES
from certwright.runtime.key import Key
from certwright.shim.routes import Routes
from certwright.shim.sources import Listener

FRONT = Key("Gateway", "infra", "front")
ANY = Listener("web", 443, None)


def route(name: str, *hostnames: str, accepted: bool = True, parent: Any = None, **spec: Any) -> dict[str, Any]:
    reference = {"name": "front", "namespace": "infra"} if parent is None else parent
    condition = {"type": "Accepted", "status": str(accepted)}
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}"},
        "spec": {"parentRefs": [reference], "hostnames": list(hostnames), **spec},
        "status": {"parents": [{"parentRef": reference, "conditions": [condition]}]},
    }


async def known(*bodies: dict[str, Any]) -> Routes:
    routes = Routes()
    for body in bodies:
        if routes.wants(HTTP_ROUTES, body):
            await routes.take_event(HTTP_ROUTES, None, body)
    await routes.take_list(HTTP_ROUTES, None, {body["metadata"]["uid"] for body in bodies}, 1)
    return routes


@pytest.mark.parametrize(
    ("listener", "hostnames", "names"),
    [
        (None, ["a.test", "*.b.test"], {"a.test", "*.b.test"}),
        (None, [], set()),
        ("a.test", [], {"a.test"}),
        ("a.test", ["a.test", "b.test"], {"a.test"}),
        ("*.a.test", ["x.a.test", "x.y.a.test", "a.test", "xa.test"], {"x.a.test", "x.y.a.test"}),
        ("*.a.test", ["*.a.test", "*.x.a.test"], {"*.a.test", "*.x.a.test"}),
        ("x.a.test", ["*.a.test"], {"x.a.test"}),
        ("x.b.test", ["*.a.test"], set()),
    ],
)
async def test_names_are_those_that_listener_and_route_have_in_common(
    listener: str | None, hostnames: list[str], names: set[str]
) -> None:
    routes = await known(route("a", *hostnames))
    assert routes.names(FRONT, Listener("web", 443, listener)) == names


@pytest.mark.parametrize(
    "body",
    [
        route("a", "a.test", accepted=False),
        route("a", "a.test", parent={"name": "front"}),
        route("a", "a.test", parent={"name": "front", "namespace": "infra", "kind": "Service"}),
        route("a", "a.test", parent={"name": "front", "namespace": "infra", "sectionName": "other"}),
        route("a", "a.test", parent={"name": "front", "namespace": "infra", "port": 8443}),
        route("a", parentRefs=7),
        {"metadata": {"name": "a", "namespace": "shop", "uid": "u"}, "spec": [], "status": {"parents": [3]}},
    ],
)
async def test_a_route_that_is_not_accepted_or_is_elsewhere_gives_no_names(body: dict[str, Any]) -> None:
    assert (await known(body)).names(FRONT, ANY) == set()


async def test_a_route_of_one_listener_gives_names_to_that_one() -> None:
    parent = {"name": "front", "namespace": "infra", "sectionName": "web", "port": 443}
    routes = await known(route("a", "a.test", parent=parent))
    assert routes.names(FRONT, ANY) == {"a.test"}
    assert routes.names(FRONT, Listener("other", 443, None)) == set()


async def test_who_asked_is_woken_when_its_routes_change_and_go() -> None:
    routes = await known(route("a", "a.test"), route("b", "b.test"))
    woken: list[Key] = []
    routes.wake = lambda *keys: woken.extend(keys)
    await routes.take_event(HTTP_ROUTES, "MODIFIED", route("a", "c.test"))
    assert (woken, routes.wanted.is_set()) == ([], False)
    routes.ask(FRONT)
    assert routes.wanted.is_set()
    await routes.take_event(HTTP_ROUTES, "MODIFIED", route("a", "d.test"))
    await routes.take_event(HTTP_ROUTES, "MODIFIED", route("a", "d.test"))
    assert woken == [FRONT]
    assert routes.names(FRONT, ANY) == {"b.test", "d.test"}
    await routes.take_event(HTTP_ROUTES, "DELETED", route("a", "d.test"))
    assert routes.names(FRONT, ANY) == {"b.test"}
    await routes.take_list(HTTP_ROUTES, None, set(), 9)
    assert routes.names(FRONT, ANY) == set()
    routes.forget(FRONT)
    woken.clear()
    await routes.take_event(HTTP_ROUTES, "ADDED", route("c", "c.test"))
    assert woken == []
