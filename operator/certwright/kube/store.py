"""Stores of watched objects: the operator's view of its resources without further requests."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping

T = TypeVar("T")

_REMEMBERED = 4096
"""How many removed objects are remembered; late events about them arrive within seconds."""


class _Known(NamedTuple, Generic[T]):
    version: int
    uid: str
    parsed: T


class Store(Generic[T]):
    """Latest known objects of one kind by (namespace, name), newest resourceVersion wins.

    The operator also stores the responses of its own writes, so it never acts on a status older than what it wrote,
    however late the watch is. (resourceVersions of one resource are comparable decimal numbers: KEP-5504.)

    Args:
        indexes: Additional indexes: for each name, a function that returns the value of an object.
        multiple: The same for indexes in which an object may have several values.
        on_change: Called at each change with the previous and the current object, each None if there is none.
    """

    def __init__(
        self,
        indexes: Mapping[str, Callable[[T], Hashable]] | None = None,
        multiple: Mapping[str, Callable[[T], Iterable[Hashable]]] | None = None,
        *,
        on_change: Callable[[T | None, T | None], object] | None = None,
    ) -> None:
        self._indexes = dict(indexes or {})
        self._multiple = dict(multiple or {})
        self._listeners = [] if on_change is None else [on_change]
        self._indexed: defaultdict[tuple[str, Hashable], set[tuple[str, str]]] = defaultdict(set)
        self._objects: dict[tuple[str, str], _Known[T]] = {}
        self._gone: dict[str, int] = {}

    def listen(self, listener: Callable[[T | None, T | None], object]) -> None:
        """Add a listener for changes, by our own writes as well as by the watch; see `on_change`."""
        self._listeners.append(listener)

    def put(self, metadata: Mapping[str, Any], parsed: T) -> bool:
        """Store an object unless a newer one is known; return whether it was stored."""
        key = _key(metadata)
        version, uid = int(metadata["resourceVersion"]), metadata.get("uid", "")
        known = self._objects.get(key)
        if version <= self._gone.get(uid, -1) or (known is not None and known.version >= version):
            return False
        self._unlink(key)
        self._objects[key] = _Known(version, uid, parsed)
        for place in self._places(parsed):
            self._indexed[place].add(key)
        self._tell(known, parsed)
        return True

    def remove(self, metadata: Mapping[str, Any]) -> None:
        """Remove an object that is gone or no longer watched, and ignore older events about it from now on.

        Newer events count, because an object that lost its label may get it back.
        """
        version = int(metadata["resourceVersion"])
        self._gone[metadata.get("uid", "")] = version
        while len(self._gone) > _REMEMBERED:
            del self._gone[next(iter(self._gone))]
        key = _key(metadata)
        known = self._objects.get(key)
        if known is not None and known.version <= version:
            self._unlink(key)
            del self._objects[key]
            self._tell(known, None)

    def drop(self, namespace: str | None, name: str) -> None:
        """Drop an object that exists but is not needed. Any event about it may bring it back."""
        key = (namespace or "", name)
        self._unlink(key)
        self._tell(self._objects.pop(key, None), None)

    def latest(self, namespace: str | None) -> int:
        """Return the newest version that is known of a namespace, or of all if it is None; -1 if there is none."""
        known = (known.version for (place, _), known in self._objects.items() if namespace in (None, place))
        return max(max(known, default=-1), max(self._gone.values(), default=-1))

    def rewind(self, namespace: str | None) -> None:
        """Accept any version from now on, in a namespace or in all, as the API server's versions went backwards."""
        self._gone.clear()
        for key, known in self._objects.items():
            if namespace in (None, key[0]):
                self._objects[key] = known._replace(version=-1)

    def get(self, namespace: str | None, name: str) -> T | None:
        """Return the object, or None if none is known."""
        known = self._objects.get((namespace or "", name))
        return known.parsed if known else None

    def names(self) -> list[tuple[str, str]]:
        """Return the namespace (empty for none) and the name of each object."""
        return list(self._objects)

    def indexed(self, index: str, value: Hashable) -> list[T]:
        """Return the objects that have a value in an index, sorted by namespace and name."""
        return [self._objects[key].parsed for key in sorted(self._indexed.get((index, value), ()))]

    def unlisted(self, namespace: str | None, uids: Collection[str], version: int) -> list[dict[str, Any]]:
        """Return what a complete list shows to be gone, for `remove`.

        Args:
            namespace: Of which it is the list; None if of all.
            uids: What is in it.
            version: Its resourceVersion; what was seen at a later one is not judged.
        """
        return [
            {"namespace": place or None, "name": name, "uid": known.uid, "resourceVersion": str(version)}
            for (place, name), known in self._objects.items()
            if namespace in (None, place) and known.version <= version and known.uid not in uids
        ]

    def __iter__(self) -> Iterator[T]:
        return iter([known.parsed for known in self._objects.values()])

    def __len__(self) -> int:
        return len(self._objects)

    def _tell(self, before: _Known[T] | None, after: T | None) -> None:
        if before is not None or after is not None:
            for listener in self._listeners:
                listener(before.parsed if before is not None else None, after)

    def _unlink(self, key: tuple[str, str]) -> None:
        known = self._objects.get(key)
        if known is None:
            return
        for place in self._places(known.parsed):
            self._indexed[place].discard(key)
            if not self._indexed[place]:
                del self._indexed[place]

    def _places(self, parsed: T) -> set[tuple[str, Hashable]]:
        """Return where an object is in the indexes."""
        single = {(name, value_of(parsed)) for name, value_of in self._indexes.items()}
        return single | {(name, value) for name, values_of in self._multiple.items() for value in values_of(parsed)}


def _key(metadata: Mapping[str, Any]) -> tuple[str, str]:
    return (metadata.get("namespace") or "", metadata["name"])
