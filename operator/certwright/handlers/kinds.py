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
        resource: What is watched.
        parse: Makes what is kept of an object; raises `InvalidResource` if it cannot be worked with.
        wakes: Which keys to look at when an object came or changed, and when it is gone; called with its key, with what
            was known of it and with what is known now, each None if there is nothing.
        store: Where objects are kept.
        reconcile: Looks at an object; None for a kind that is watched only for what it wakes.
        keeps: Whether an object is of any use at present. Of one that is not, nothing is parsed and nothing is kept.
        parses_in_thread: Whether parsing takes so long that the loop must not wait for it.
        place: Whose turn a key takes; that of its namespace by default.
        progress: Returns what can be seen of an object that a look moves on: nothing by default. While that stays the
            same, a look that asks for another one at once has no effect.
        on_gone: Called with the key and UID of an object that is gone, once the store does not have it any more.
        on_invalid: Called in place of `reconcile` for an object that `parse` refuses.
        invalid: Where those are kept.
        wants: Whether an object is of any interest, as its metadata shows; only for kinds of others.
        is_foreign: Whether others define it. It is then watched by a list-watch of our own, which tells only what is
            wanted, and no mark of ours is ever written to its status.
        is_whole: Whether a list-watch of our own has to bring more than metadata.
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
        """Whether there is an object of this name, one that cannot be worked with included."""
        place = (key.namespace, key.name)
        return self.store.get(*place) is not None or self.invalid.get(*place) is not None

    def keys(self) -> set[Key]:
        """Return the keys of what is known, what cannot be worked with included."""
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
        """Return the metadata of what is known and not in a complete list; see `Store.unlisted`."""
        gone = self.store.unlisted(namespace, uids, version)
        names = {self.resource.key(metadata) for metadata in gone}
        refused = self.invalid.unlisted(namespace, uids, version)
        return gone + [metadata for metadata in refused if self.resource.key(metadata) not in names]


class Kinds:
    """The kinds that are watched, each registered once."""

    def __init__(self) -> None:
        self._kinds: dict[str, WatchedKind[Any]] = {}

    def register(self, kind: WatchedKind[Any]) -> None:
        """Add a kind.

        Raises:
            ValueError: One of its name is there.
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
        """What kopf watches, in the order of registration."""
        return [kind.resource for kind in self if not kind.is_foreign]

    @property
    def foreign(self) -> list[WatchedKind[Any]]:
        """What our own list-watches watch."""
        return [kind for kind in self if kind.is_foreign]
