"""Our objects as the subjects of Events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.kube.events import Subject
from certwright.resources import API_VERSION

if TYPE_CHECKING:
    from certwright.resources import Metadata


def subject_of(kind: str, metadata: Metadata) -> Subject:
    """Return an object of ours as the subject of an Event.

    Args:
        kind: For example ``Certificate``.
        metadata: The object's.
    """
    return Subject(
        api_version=API_VERSION,
        kind=kind,
        namespace=metadata.namespace or "",
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
    )
