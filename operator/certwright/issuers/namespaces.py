"""The labels of namespaces, read when a ClusterIssuer's rules depend on them, and cached for some seconds."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.kube.errors import Forbidden

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.kube.api import KubeApi

FRESH: Final = dt.timedelta(seconds=20)
"""So long after a change of its labels a namespace may still be treated as before."""
MAX_KEPT: Final = 1000


@dataclass(frozen=True)
class NamespaceLabels:
    """The labels of a namespace, or why they are not known."""

    labels: Mapping[str, str] | None
    unread: str | None
    read_at: dt.datetime


class Namespaces:
    """Reads namespaces: they are not watched, as few installations need them.

    Args:
        kube_api: The API server.
        clock: The present time.
    """

    def __init__(self, kube_api: KubeApi, clock: Callable[[], dt.datetime]) -> None:
        self._kube_api = kube_api
        self._clock = clock
        self._known: dict[str, NamespaceLabels] = {}

    async def labels(self, name: str) -> NamespaceLabels:
        """Return the labels of a namespace, no older than 20 s.

        Raises:
            KubeError: The API server does not answer.
        """
        now, known = self._clock(), self._known.get(name)
        if known is not None and known.read_at <= now < known.read_at + FRESH:
            return known
        self._known.pop(name, None)
        try:
            found = await self._kube_api.read_namespace(name)
        except Forbidden:
            unread = f"the operator may not read namespace {name}: grant it get on namespaces there"
            fresh = NamespaceLabels(None, unread, now)
        else:
            fresh = NamespaceLabels(_labels_of(found), None, now)
        if len(self._known) >= MAX_KEPT:
            del self._known[next(iter(self._known))]
        self._known[name] = fresh
        return fresh


def _labels_of(namespace: Mapping[str, Any] | None) -> Mapping[str, str]:
    labels = ((namespace or {}).get("metadata") or {}).get("labels") or {}
    return dict(labels)
