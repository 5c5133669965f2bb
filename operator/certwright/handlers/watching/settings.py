"""kopf's settings: it only watches, without a time limit, and stores nothing in objects."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

import kopf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from certwright.kube.resource import Resource

LIST_CHUNK: Final = 500
"""Objects in one answer to a list, so that its size is bounded; what kubectl asks for as well."""


class NoDiffs(kopf.DiffBaseStorage):
    """Tells kopf that nothing ever differs.

    It would copy and compare each object at each event for handlers of a kind that we have none of: a twentieth of the
    operator's CPU when many certificates are issued.
    """

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:  # noqa: ARG002 - kopf's interface
        """Take nothing of the object."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:  # noqa: ARG002 - kopf's interface
        """Remember nothing."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Keep nothing, above all not in annotations of users' objects."""


class Backoffs:
    """Seconds between tries, without an end: kopf must go on for as long as the API server is away."""

    def __iter__(self) -> Iterator[float]:
        """Start again from the first: every request counts for itself."""
        return itertools.chain((0.5, 1.0, 1.0, 2.0, 2.0, 3.0), itertools.repeat(5.0))


def kopf_settings(resources: Iterable[Resource]) -> kopf.OperatorSettings:
    """Return the settings.

    Args:
        resources: What is watched.
    """
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # our Events say more
    for resource in resources:
        if resource.selector:
            settings.watching.label_selectors[resource.title] = resource.selector
    settings.watching.chunk_size = LIST_CHUNK
    # A quiet object's watch worker is worth no memory; a second is enough to join a burst of its events.
    settings.queueing.idle_timeout = 1.0
    settings.persistence.diffbase_storage = NoDiffs()
    settings.networking.connect_timeout = 10.0
    settings.networking.request_timeout = 60.0
    settings.networking.error_backoffs = Backoffs()
    settings.process.ultimate_exiting_timeout = 60.0
    return settings
