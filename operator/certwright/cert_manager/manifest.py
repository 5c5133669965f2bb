"""What every translation does: identify the object, check that it can be read, and that ours is valid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from certwright.cert_manager import api
from certwright.cert_manager.spec import is_bounded, known_fields, mapping
from certwright.cert_manager.translation import Notes, Translation
from certwright.resources import API_VERSION, RESERVED_PREFIX, InvalidResource
from certwright.resources.labels import metadata_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.resources.base import Model
    from certwright.resources.object import Object

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_LONGEST_NAME: Final = 253


@dataclass(frozen=True)
class Source:
    """The object that is translated.

    Attributes:
        kind: As it should be.
        namespace: None for a ClusterIssuer.
        name: Empty if it has none.
        manifest: The object.
    """

    kind: str
    namespace: str | None
    name: str
    manifest: Mapping[str, Any]

    @classmethod
    def of(cls, manifest: Mapping[str, Any], kind: str) -> Self:
        """Return whose object it is, as far as it says so."""
        metadata = mapping(manifest.get("metadata"))
        namespace, name = metadata.get("namespace"), metadata.get("name")
        return cls(
            kind,
            namespace[:_LONGEST_NAME] if isinstance(namespace, str) and kind != "ClusterIssuer" else None,
            name[:_LONGEST_NAME] if isinstance(name, str) else "",
            manifest,
        )

    def is_readable(self, notes: Notes) -> bool:
        """Whether the object is what it should be; says what it is not."""
        if not is_bounded(self.manifest):
            notes.refuse("the object", "is larger or more deeply nested than any that people write")
        elif self.manifest.get("apiVersion") != api.API_VERSION or self.manifest.get("kind") != self.kind:
            notes.refuse("apiVersion", f"is not {api.API_VERSION} with kind {self.kind}")
        elif not isinstance(self.manifest.get("spec"), dict):
            notes.refuse("spec", "is missing")
        return not notes.refusals


class Built(NamedTuple):
    """Our object before it is checked: its models, metadata and spec."""

    model: type[Object]
    spec_model: type[Model]
    metadata: dict[str, Any]
    spec: dict[str, Any]


def finished(source: Source, built: Built | None, notes: Notes) -> Translation:
    """Check our object and return the translation: what our models refuse is a reason to stay."""
    manifest = None
    if built is not None and not notes.refusals:
        unknown: list[str] = []
        spec = known_fields(built.spec_model, built.spec, "spec", unknown)
        for path in unknown:
            told_unknown(path, notes)
        manifest = {"apiVersion": API_VERSION, "kind": source.kind, "metadata": built.metadata, "spec": spec}
        try:
            built.model.parse(manifest)
        except InvalidResource as error:
            for problem in error.problems:
                field, _, why = problem.partition(": ")
                notes.refuse(field, why)
    return Translation(
        source.kind,
        source.namespace,
        source.name,
        None if notes.refusals else manifest,
        tuple(notes.changes),
        tuple(notes.refusals),
    )


def told_unknown(path: str, notes: Notes) -> None:
    """Say that a field is not carried over, as neither cert-manager 1.21 nor Certwright has it."""
    notes.change(path, "no field of cert-manager 1.21", "not carried over")


def moved_metadata(manifest: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """Return name, namespace, and the labels and annotations that are the user's own."""
    given = mapping(manifest.get("metadata"))
    metadata: dict[str, Any] = {"name": source.name}
    if source.namespace is not None:
        metadata["namespace"] = source.namespace
    for field, is_label in (("labels", True), ("annotations", False)):
        kept = {
            str(key): value
            for key, value in mapping(given.get(field)).items()
            if isinstance(value, str) and not _is_programs(str(key)) and _is_valid(str(key), value, is_label)
        }
        if kept:
            metadata[field] = kept
    return metadata


def _is_valid(key: str, value: str, is_label: bool) -> bool:  # noqa: FBT001 - one call
    return metadata_problem(key, value, is_label=is_label) is None


def _is_programs(key: str) -> bool:
    """Whether a program wrote it for itself: kubectl, cert-manager, we."""
    domain = key.partition("/")[0]
    return (
        key == _LAST_APPLIED
        or domain == api.GROUP
        or domain.endswith(f".{api.GROUP}")
        or key.startswith(RESERVED_PREFIX)
    )
