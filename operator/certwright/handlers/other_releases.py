"""Objects that another release of Certwright also serves are left to it, and a condition says so."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from certwright.kube.errors import Conflict, KubeError, NotFound
from certwright.resources import OPERATOR_CONFLICT
from certwright.text import rfc3339

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from certwright.kube.api import KubeApi
    from certwright.kube.claims import Claims
    from certwright.kube.resource import Resource
    from certwright.runtime.key import Key

logger = logging.getLogger(__name__)

REASON = "ServedByOtherRelease"


class OtherReleases:
    """Keeps this release from objects that another one serves.

    Args:
        claims: The other releases.
        kube_api: Where the condition is written, as a field manager of its own: the rest of a status is the other's.
        clock: The present time.
        wake: Called with the keys of objects that are to be looked at again when a release came or went.
    """

    def __init__(
        self, claims: Claims, kube_api: KubeApi, *, clock: Callable[[], dt.datetime], wake: Callable[..., None]
    ) -> None:
        self._claims = claims
        self._kube_api = kube_api
        self._clock = clock
        self._wake = wake
        self._told: dict[Key, str] = {}
        self._refused: set[Key] = set()
        claims.on_change = self._changed

    def take(self, key: Key, body: Mapping[str, Any]) -> None:
        """Take in what an object says of this."""
        conditions = (body.get("status") or {}).get("conditions") or ()
        said = [one for one in conditions if one.get("type") == OPERATOR_CONFLICT]
        if said:
            self._told[key] = str(said[0].get("message"))
        else:
            self._told.pop(key, None)

    def forget(self, key: Key) -> None:
        """Forget an object that is gone."""
        self._told.pop(key, None)
        self._refused.discard(key)

    async def serves(self, key: Key) -> bool:
        """Tell whether an object of a kind of others is another release's business; nothing is written to it."""
        await self._claims.looked.wait()
        if self._claims.keeper(key.namespace) is None:
            self._refused.discard(key)
            return False
        self._refused.add(key)
        return True

    async def keep_out(self, resource: Resource, key: Key, metadata: Mapping[str, Any]) -> bool:
        """Tell whether an object is another release's business, and have it say so.

        Args:
            resource: One of our own.
            key: The object's.
            metadata: The object's name, namespace and UID.

        Raises:
            KubeError: The condition cannot be written.
        """
        await self._claims.looked.wait()
        keeper = self._claims.keeper(key.namespace)
        if keeper is None:
            self._refused.discard(key)
            if key in self._told and not self._claims.others(key.namespace):
                await self._remove(resource, key, metadata)
            return False
        self._refused.add(key)
        message = (
            f"The release {keeper} of Certwright (namespace/Lease) serves this object too and is older, so the "
            f"release {self._claims.own} leaves it alone. Give each release its own namespaces (chart "
            "value namespaces), or uninstall one of them."
        )
        if self._told.get(key) != message:
            await self._write(resource, metadata, message)
            self._told[key] = message
        return True

    async def _remove(self, resource: Resource, key: Key, metadata: Mapping[str, Any]) -> None:
        """Remove the condition. If that fails the object is served all the same, and it is tried at its next look."""
        try:
            await self._write(resource, metadata, None)
        except KubeError as error:
            logger.warning("%s: %s", key, error)
        else:
            self._told.pop(key, None)

    async def _write(self, resource: Resource, metadata: Mapping[str, Any], message: str | None) -> None:
        condition = None
        if message is not None:
            condition = {
                "type": OPERATOR_CONFLICT,
                "status": "True",
                "reason": REASON,
                "message": message,
                "lastTransitionTime": rfc3339(self._clock()),
            }
        try:
            await self._kube_api.apply_conflict(resource.plural, resource.kind, metadata, condition)
        except (NotFound, Conflict):
            return  # deleted or recreated meanwhile; the event is on the way

    def _changed(self) -> None:
        self._wake(*{*self._told, *self._refused})
