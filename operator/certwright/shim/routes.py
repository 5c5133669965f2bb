"""The HTTPRoutes attached to listeners, whose hostnames can be the domains of a Certificate.

They are watched only if an annotated Gateway or ListenerSet asks for this. A route counts once its controller has
accepted it, because the listener decides from which namespaces it accepts routes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager.spec import entries, mapping
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.kube.resource import Resource
    from certwright.shim.sources import Listener

MAX_PARENTS: Final = 32
MAX_HOSTNAMES: Final = 16
"""Of one HTTPRoute; its CRD has both numbers."""


@dataclass(frozen=True, slots=True)
class _Attachment:
    """An HTTPRoute at one of its parents; the section and the port are None for all of them."""

    parent: Key
    section: str | None
    port: int | None
    hostnames: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Route:
    uid: str
    attachments: tuple[_Attachment, ...]


class Routes:
    """What is known of HTTPRoutes; the sink of their list-watch.

    Attributes:
        wanted: Set once something asks; before that nothing is watched.
        is_listed: Whether everything that there is is known.
        wake: Called with the keys of what asked when routes at it changed.
    """

    def __init__(self) -> None:
        self.wanted = asyncio.Event()
        self.is_listed = False
        self.wake: Callable[..., None] = lambda *_keys: None
        self._routes: dict[tuple[str, str], _Route] = {}
        self._at: dict[Key, set[tuple[str, str]]] = {}
        self._asking: set[Key] = set()

    def names(self, parent: Key, listener: Listener) -> set[str]:
        """Return the names that a listener serves by the routes attached to it."""
        found: set[str] = set()
        for place in self._at.get(parent, ()):
            for one in self._routes[place].attachments:
                if one.parent == parent and one.section in {None, listener.name} and one.port in {None, listener.port}:
                    found |= _shared(listener.hostname, one.hostnames)
        return found

    def ask(self, parent: Key) -> None:
        """Have the routes of a Gateway or ListenerSet watched."""
        self._asking.add(parent)
        self.wanted.set()

    def forget(self, parent: Key) -> None:
        """Watch them no more for it."""
        self._asking.discard(parent)

    def wants(self, _resource: Resource, body: Mapping[str, Any]) -> bool:
        """Whether a route is accepted anywhere."""
        return bool(_attachments(body))

    async def take_event(self, _resource: Resource, event: str | None, body: Mapping[str, Any]) -> None:
        """Take in a route."""
        metadata = body["metadata"]
        place = (metadata.get("namespace") or "", metadata["name"])
        made = () if event == "DELETED" else _attachments(body)
        self._put(place, _Route(str(metadata.get("uid")), made) if made else None)

    async def take_list(self, _resource: Resource, namespace: str | None, uids: set[str], _version: int) -> None:
        """Forget what a complete list does not have."""
        gone = [place for place, one in self._routes.items() if namespace in {None, place[0]} and one.uid not in uids]
        for place in gone:
            self._put(place, None)
        self.is_listed = True
        self.wake(*self._asking)

    def take_rewind(self, _resource: Resource, _namespace: str | None) -> None:
        """Nothing: no versions are compared here."""

    def _put(self, place: tuple[str, str], route: _Route | None) -> None:
        before = self._routes.pop(place, None)
        if route is not None:
            self._routes[place] = route
        if route == before:
            return
        touched = set()
        for one in before.attachments if before is not None else ():
            touched.add(one.parent)
            self._at[one.parent].discard(place)
        for one in route.attachments if route is not None else ():
            touched.add(one.parent)
            self._at.setdefault(one.parent, set()).add(place)
        for parent in touched:
            if not self._at[parent]:
                del self._at[parent]
        if self.is_listed:
            self.wake(*(touched & self._asking))


def _attachments(body: Mapping[str, Any]) -> tuple[_Attachment, ...]:
    """Return where a route is attached: at the parents whose controller has accepted it."""
    spec, namespace = mapping(body.get("spec")), str(body["metadata"].get("namespace") or "")
    hostnames = tuple(one for one in entries(spec.get("hostnames"))[:MAX_HOSTNAMES] if isinstance(one, str))
    accepted = [
        _reference(mapping(one.get("parentRef")), namespace)
        for one in map(mapping, entries(mapping(body.get("status")).get("parents"))[: 2 * MAX_PARENTS])
        if any(
            condition.get("type") == "Accepted" and condition.get("status") == "True"
            for condition in map(mapping, entries(one.get("conditions")))
        )
    ]
    made = []
    for one in entries(spec.get("parentRefs"))[:MAX_PARENTS]:
        reference = _reference(mapping(one), namespace)
        if reference is not None and reference in accepted:
            made.append(_Attachment(*reference, hostnames))
    return tuple(made)


def _reference(reference: Mapping[str, Any], namespace: str) -> tuple[Key, str | None, int | None] | None:
    kind, name, place = reference.get("kind", "Gateway"), reference.get("name"), reference.get("namespace") or namespace
    section, port = reference.get("sectionName"), reference.get("port")
    if not (isinstance(kind, str) and isinstance(name, str) and isinstance(place, str)):
        return None
    return (
        Key(kind, place, name),
        section if isinstance(section, str) and section else None,
        port if isinstance(port, int) else None,
    )


def _shared(listener: str | None, hostnames: tuple[str, ...]) -> set[str]:
    """Return the names that a listener and a route have in common, as the Gateway API intersects them."""
    if listener is None:
        return set(hostnames)
    if not hostnames:
        return {listener}
    shared = set()
    for one in hostnames:
        if one == listener or (listener.startswith("*.") and one.removeprefix("*.").endswith(listener[1:])):
            shared.add(one)
        elif one.startswith("*.") and listener.endswith(one[1:]):
            shared.add(listener)
    return shared
