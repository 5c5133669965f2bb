"""Whether a Secret still has the labels, annotations and owner that were written on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.certificates.secret.annotations import METADATA_FINGERPRINT_ANNOTATION, TEMPLATE_ANNOTATION
from certwright.certificates.secret.manifest import LONG_TEMPLATE, fingerprint_of, template_keys
from certwright.resources import CERTIFICATE_NAME_ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_OWNERS: Final = 16


def written_fingerprint(metadata: Mapping[str, Any], ours: Mapping[str, str]) -> str | None:
    """Return the fingerprint that a Secret records of its metadata, see `manifest.metadata_fingerprint`.

    None if it has none, or if what it is of has been changed since: then it is to be written again.

    Args:
        metadata: Of the Secret.
        ours: Those of its annotations that are ours.
    """
    recorded, template = ours.get(METADATA_FINGERPRINT_ANNOTATION), ours.get(TEMPLATE_ANNOTATION)
    if recorded is None or template == LONG_TEMPLATE:
        return recorded
    name = ours.get(CERTIFICATE_NAME_ANNOTATION, "")
    return recorded if recorded in _possible(name, metadata, template) else None


def _possible(name: str, metadata: Mapping[str, Any], template: str | None) -> Iterator[str]:
    """Yield the fingerprints that the metadata may have: nothing says whether an owner is there because of us."""
    templates: list[dict[str, Any] | None] = [None, {"labels": {}, "annotations": {}}]
    if template is not None:
        recorded = {field: _values(metadata.get(field) or {}, keys) for field, keys in template_keys(template).items()}
        templates = [recorded]
    owners = [one.get("uid") for one in (metadata.get("ownerReferences") or [])[:MAX_OWNERS]]
    for owner in (None, *owners):
        for one in templates:
            yield fingerprint_of(name, owner, one)


def _values(found: Mapping[str, str], keys: tuple[str, ...]) -> dict[str, str | None]:
    return {key: found.get(key) for key in keys}
