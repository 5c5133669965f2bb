"""The watched kinds: one declaration for each, from which everything else is derived.

Modelled on controller-runtime's builder: the kind of a reconciler, and the keys that a change enqueues.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from certwright.kube.store import Store
from certwright.runtime.key import Key
from certwright.runtime.queue import Place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Iterator, Mapping

    from certwright.handlers.invalid import InvalidObject
    from certwright.kube.resource import Resource
    from certwright.runtime.result import Result

T = TypeVar("T")


@dataclass(frozen=True)
class WatchedKind(Generic[T]):
    """The declaration of a kind.

    Attributes:
        resource: The watched resource.
        parse: Converts an object into the form to keep; raises `InvalidResource` if it is invalid.
        wakes: Returns the keys to enqueue when an object is added, changed or removed; called with its key, its
            previous form and its current form, each None if there is none.
        store: Where objects are kept.
        reconcile: Reconciles an object; None for a kind that is watched only to enqueue other keys.
        keeps: Whether an object is currently needed. Others are neither parsed nor kept.
        parses_in_thread: Whether parsing takes so long that it must not block the event loop.
        place: Whose turn a key uses; that of its namespace by default.
        progress: Returns the visible state that a reconciliation advances; nothing by default. While it stays the same,
            a reconciliation that asks to run again immediately has had no effect.
        on_gone: Called with the key and UID of a removed object, after its removal from the store.
        on_invalid: Called instead of `reconcile` for an object that `parse` refuses.
        invalid: Where refused objects are kept.
        wants: Whether an object is relevant, judged by its metadata; only for kinds of others.
        is_foreign: Whether others define the kind. Then our own list-watch watches it, which reports only wanted
            objects, and we never mark its status.
        is_whole: Whether our own list-watch needs whole objects, not only metadata.
        is_namespaced: Whether its objects are in namespaces.
    """

    resource: Resource
    parse: Callable[[Mapping[str, Any]], T]
    wakes: Callable[[Key, T | None, T | None], Iterable[Key]]
    store: Store[T] = field(default_factory=Store)
    reconcile: Callable[[Key], Awaitable[Result]] | None = None
    keeps: Callable[[Key], bool] = lambda _key: True
    parses_in_thread: bool = False
    place: Callable[[Key], Place] = lambda key: Place(key.namespace, key.kind)
    progress: Callable[[Key], Hashable] = lambda _key: None
    on_gone: Callable[[Key, str], None] = lambda _key, _uid: None
    on_invalid: Callable[[Key, InvalidObject], Awaitable[None]] | None = None
    invalid: Store[InvalidObject] = field(default_factory=Store)
    wants: Callable[[Mapping[str, Any]], bool] = lambda _body: True
    is_foreign: bool = False
    is_whole: bool = False
    is_namespaced: bool = True

    def knows(self, key: Key) -> bool:
        """Whether there is an object with this name, even an invalid one."""
        place = (key.namespace, key.name)
        return self.store.get(*place) is not None or self.invalid.get(*place) is not None

    def keys(self) -> set[Key]:
        """Return the keys of all known objects, including invalid ones."""
        return {Key(self.resource.key_kind, *name) for store in (self.store, self.invalid) for name in store.names()}

    def generation(self, key: Key) -> int:
        """Return the generation of an object's spec as last seen; 0 if it has none, or is not known."""
        place = (key.namespace, key.name)
        invalid = self.invalid.get(*place)
        if invalid is not None:
            return int(invalid.body["metadata"].get("generation") or 0)
        metadata = getattr(self.store.get(*place), "metadata", None)
        return 0 if metadata is None else int(metadata.generation)

    def unlisted(self, namespace: str | None, uids: Collection[str], version: int) -> list[dict[str, Any]]:
        """Return the metadata of known objects that are not in a complete list; see `Store.unlisted`."""
        gone = self.store.unlisted(namespace, uids, version)
        names = {self.resource.key(metadata) for metadata in gone}
        refused = self.invalid.unlisted(namespace, uids, version)
        return gone + [metadata for metadata in refused if self.resource.key(metadata) not in names]


class Kinds:
    """The watched kinds, each registered once."""

    def __init__(self) -> None:
        self._kinds: dict[str, WatchedKind[Any]] = {}

    def register(self, kind: WatchedKind[Any]) -> None:
        """Add a kind.

        Raises:
            ValueError: A kind with this name is already registered.
        """
        name = kind.resource.key_kind
        if name in self._kinds:
            raise ValueError(f"{name} is registered already")
        self._kinds[name] = kind

    def __getitem__(self, name: str) -> WatchedKind[Any]:
        """Return a kind by its name."""
        return self._kinds[name]

    def __iter__(self) -> Iterator[WatchedKind[Any]]:
        return iter(self._kinds.values())

    @property
    def resources(self) -> list[Resource]:
        """The resources that kopf watches, in the order of registration."""
        return [kind.resource for kind in self if not kind.is_foreign]

    @property
    def foreign(self) -> list[WatchedKind[Any]]:
        """The kinds that our own list-watches watch."""
        return [kind for kind in self if kind.is_foreign]
