"""Our objects that are created for, and owned by, objects of others: applied whole, only if they differ."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from certwright.kube.api import label
from certwright.kube.client import APPLY
from certwright.kube.events import Subject
from certwright.kube.paths import object_path
from certwright.resources import Certificate
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping

    from certwright.kube.client import KubeClient
    from certwright.kube.resource import Resource
    from certwright.resources import Metadata
    from certwright.resources.base import Model
    from certwright.resources.object import Object


Said = TypeVar("Said", bound="Hashable")


@dataclass(frozen=True)
class OwningObject:
    """An object of others that ours are made for.

    Attributes:
        resource: What it is.
        namespace: Its namespace; empty if it has none.
        name: Its name.
        uid: Its UID.
        resource_version: Its version, as last seen.
    """

    resource: Resource
    namespace: str
    name: str
    uid: str
    resource_version: str

    @property
    def key(self) -> Key:
        """Its key."""
        return Key(self.resource.key_kind, self.namespace, self.name)

    @property
    def reference(self) -> dict[str, Any]:
        """The entry for `metadata.ownerReferences` of what is made for it."""
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }

    @property
    def subject(self) -> Subject:
        """It, as the subject of an Event."""
        return Subject(
            api_version=self.resource.api_version,
            kind=self.resource.kind,
            namespace=self.namespace,
            name=self.name,
            uid=self.uid,
            resource_version=self.resource_version,
        )

    def owns(self, ours: Object) -> bool:
        """Whether an object of ours was made for it."""
        owner = ours.metadata.controller
        return owner is not None and (owner.kind, owner.name, owner.uid) == (self.resource.kind, self.name, self.uid)


async def apply_owned(
    client: KubeClient, resource: Resource, manifest: Mapping[str, Any], *, uid: str | None, field_manager: str
) -> dict[str, Any]:
    """Apply a whole object and return it.

    Args:
        client: Sends the request.
        resource: What it is.
        manifest: The whole object.
        uid: Of the object to change, which is then taken over; None to create one, which is refused (`Conflict`) if
            another one has the name and says something else.
        field_manager: What users set besides, such as a request, stays theirs, as they are other managers.

    Raises:
        KubeError: It was refused, or the API server cannot be asked.
    """
    metadata = manifest["metadata"]
    namespace, name = metadata.get("namespace"), metadata["name"]
    return await client.request(
        "PATCH",
        object_path(f"/{resource.root}", resource.plural, namespace, name),
        action=f"write {label(resource.kind, namespace, name)}",
        query={"fieldManager": field_manager, "force": str(uid is not None).lower()},
        body=manifest if uid is None else {**manifest, "metadata": {**metadata, "uid": uid}},
        content_type=APPLY,
    )


def digest(manifest: Mapping[str, Any]) -> str:
    """Return what tells a manifest from another one."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class _Applied:
    digest: str
    uid: str
    generation: int


class Applied:
    """What this process has applied: the watch may be behind, and others may have set further fields."""

    def __init__(self) -> None:
        self._applied: dict[Hashable, _Applied] = {}

    def note(self, place: Hashable, manifest: Mapping[str, Any], written: Mapping[str, Any]) -> None:
        """Remember what was applied, and the metadata that the API server gave it."""
        self._applied[place] = _Applied(digest(manifest), written.get("uid", ""), int(written.get("generation") or 0))

    def forget(self, place: Hashable) -> None:
        """Forget an object that is gone."""
        self._applied.pop(place, None)

    def is_as_written(self, place: Hashable, metadata: Metadata) -> bool:
        """Whether nobody has changed the spec of an object since."""
        applied = self._applied.get(place)
        return applied is not None and applied.uid == metadata.uid and applied.generation >= metadata.generation

    def is_seen(self, place: Hashable, metadata: Metadata) -> bool:
        """Whether what is known of an object is as new as what was applied: the watch may be behind."""
        applied = self._applied.get(place)
        return applied is None or applied.uid != metadata.uid or metadata.generation >= applied.generation

    def is_unchanged(self, place: Hashable, present: Object | None, manifest: Mapping[str, Any]) -> bool:
        """Whether an object is as it should be already.

        What this process applied needs no comparison: others may have set further fields, which stay theirs.
        """
        applied = self._applied.get(place)
        if applied is not None and (present is None or self.is_as_written(place, present.metadata)):
            # The watch may be behind our own write; one that is gone is forgotten.
            return applied.digest == digest(manifest)
        if present is None:
            return False
        for name in ("labels", "annotations"):
            if not (manifest["metadata"].get(name) or {}).items() <= getattr(present.metadata, name).items():
                return False
        return _own_spec(present) == _own_spec(type(present).parse(manifest))


def _own_spec(found: Object) -> Model:
    """Return a spec without what people ask for besides."""
    spec: Model = found.spec  # type: ignore[attr-defined]  # of every kind of ours
    return spec.model_copy(update={"request": None, "paused": False}) if isinstance(found, Certificate) else spec


class Told(Generic[Said]):
    """What was said of objects, so that each thing is said once for as long as it holds.

    Args:
        most: Objects that are remembered; of one that is forgotten it is said again.
    """

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._told: dict[Key, frozenset[Said]] = {}

    def news(self, key: Key, said: Collection[Said]) -> list[Said]:
        """Return what was not said of an object before, and remember all of it."""
        before = self._told.pop(key, frozenset())
        if said:
            self._told[key] = frozenset(said)
            while len(self._told) > self._most:
                del self._told[next(iter(self._told))]
        return [one for one in dict.fromkeys(said) if one not in before]

    def forget(self, key: Key) -> None:
        """Forget an object that is gone."""
        self._told.pop(key, None)
