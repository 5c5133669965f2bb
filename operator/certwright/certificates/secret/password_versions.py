"""Checks whether Secrets with passwords have changed, once for all Certificates that use one. Keeps no passwords."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, NamedTuple

from certwright.concurrency import KeyedLock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from certwright.kube.api import KubeApi

BELIEVED_FOR: Final = dt.timedelta(minutes=10)
"""How long a Secret that was read is taken to be the present one: the Secrets of passwords are not watched."""
MAX_SECRETS: Final = 10_000
"""So many are remembered, at some 300 bytes each; of those beyond it, each Certificate asks by itself."""


class Seen(NamedTuple):
    """The version of a Secret when it was read.

    Attributes:
        version: Of whatever object has the name; empty if there is none.
        at: When it was read.
    """

    version: str
    at: dt.datetime

    def is_current(self, now: dt.datetime) -> bool:
        """Whether it need not be read again."""
        return dt.timedelta() <= now - self.at < BELIEVED_FOR


class PasswordVersions:
    """The versions of the Secrets with passwords of keystores."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], Seen] = {}
        self._reading: KeyedLock[tuple[str, str]] = KeyedLock()

    def __len__(self) -> int:
        """How many Secrets are remembered."""
        return len(self._seen)

    def note(self, namespace: str, name: str, secret: Mapping[str, object] | None, now: dt.datetime) -> str:
        """Take note of a Secret that was read; return its version."""
        version = version_of(secret)
        self._seen.pop((namespace, name), None)
        self._seen[namespace, name] = Seen(version, now)
        self._drop_old(now)
        return version

    async def of(self, namespace: str, names: Iterable[str], kube_api: KubeApi, now: dt.datetime) -> dict[str, Seen]:
        """Return the versions of Secrets, read within the last ten minutes: by this Certificate or by another one.

        Raises:
            KubeError: One cannot be read.
        """
        found = {}
        for name in names:
            async with self._reading.at((namespace, name)):
                seen = self._seen.get((namespace, name))
                if seen is None or not seen.is_current(now):
                    secret = await kube_api.read_secret(namespace, name)
                    seen = Seen(self.note(namespace, name, secret, now), now)
                found[name] = seen
        return found

    def _drop_old(self, now: dt.datetime) -> None:
        """Drop what can no longer be used; the oldest is first."""
        while self._seen:
            first = next(iter(self._seen))
            if len(self._seen) <= MAX_SECRETS and self._seen[first].is_current(now):
                return
            del self._seen[first]


def version_of(secret: Mapping[str, object] | None) -> str:
    """Return what changes with every change of a Secret: a Secret that is made anew has another UID."""
    metadata = (secret or {}).get("metadata")
    if not isinstance(metadata, dict):
        return ""
    return f"{metadata.get('uid', '')}/{metadata.get('resourceVersion', '')}"
