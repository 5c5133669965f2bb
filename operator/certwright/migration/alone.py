"""One migration at a time: a Lease in the operator's namespace, renewed for as long as a step runs."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from certwright.kube.errors import Conflict, KubeError, NotFound, Unavailable, Unreachable
from certwright.kube.lease import LeaseLock, LeaseRecord, Sighting, micro_time

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from certwright.kube.client import KubeClient
    from certwright.kube.lease import Lease

LEASE_NAME: Final = "certwright-migration"
DURATION: Final = 15
"""Seconds after which a run that was killed is over for the others."""
RENEW_SECONDS: Final = 3.0
TRIES: Final = 5
"""To take the Lease from an API server that is overloaded or out of reach."""
LOOK_SECONDS: Final = 1.0
LONGEST: Final = 60.0
"""Whoever may write the Lease may write any duration."""
Result = TypeVar("Result")


class MigrationBusy(Exception):
    """Somebody else is migrating; the text is for people."""


async def alone(
    client: KubeClient,
    namespace: str,
    step: Coroutine[Any, Any, Result],
    *,
    tell: Callable[[str], object],
    identity: str | None = None,
) -> Result:
    """Take a step while nobody else takes one, and return what came of it.

    Two at once would undo each other's writes: one creates what the other's way back has just looked for.

    Args:
        client: Sends the requests.
        namespace: Of the Lease: the operator's.
        step: What to do; it is not begun unless the Lease is ours, and cancelled if it is lost.
        tell: Is told what is waited for.
        identity: Who does it, for the others.

    Raises:
        MigrationBusy: Somebody else does, or has taken the Lease meanwhile.
        KubeError: The API server refuses, or cannot be asked.
    """
    holder = _Holder(LeaseLock(client, namespace=namespace, name=LEASE_NAME), identity or _identity())
    try:
        await holder.take(tell)
    except BaseException:
        step.close()
        raise
    working, renewing = asyncio.ensure_future(step), asyncio.ensure_future(holder.keep())
    try:
        await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
            renewing.result()  # raises why
        return working.result()
    finally:
        for task in (working, renewing):
            task.cancel()
        await asyncio.wait({working, renewing})
        await holder.release()


class _Holder:
    def __init__(self, lock: LeaseLock, identity: str) -> None:
        self._lock = lock
        self._identity = identity
        self._term = micro_time()
        self._held: Lease | None = None

    def _record(self) -> LeaseRecord:
        return LeaseRecord(self._identity, DURATION, self._term, micro_time())

    async def take(self, tell: Callable[[str], object]) -> None:
        """Take the Lease, once its last holder has given it back or was not seen to renew it for as long as it lasts.

        Raises:
            MigrationBusy: It is renewed.
        """
        loop = asyncio.get_running_loop()
        seen: Sighting | None = None
        tries = TRIES
        while self._held is None:
            try:
                found = await self._lock.read()
                if found is None:
                    self._held = await self._lock.create(self._record())
                    continue
                if self._is_ours(found):
                    # The answer to our own write was lost.
                    self._held = found
                    continue
                now, record = loop.time(), found.record
                if seen is not None and record.holder and record != seen.record:
                    raise MigrationBusy(self._busy(record.holder))
                if not record.holder or (seen and now >= seen.over_at(least=LOOK_SECONDS, most=LONGEST)):
                    self._held = await self._lock.replace(found, self._record())
                    continue
                if seen is None:
                    tell(f"{record.holder} has begun a migration: waiting for {record.duration} s, if it was killed")
                    seen = Sighting(record, now)
            except (Conflict, NotFound):
                pass  # somebody was quicker: look at what there is now
            except (Unavailable, Unreachable):
                tries -= 1
                if not tries:
                    raise
            await asyncio.sleep(LOOK_SECONDS)

    async def keep(self) -> None:
        """Renew it, until cancelled.

        Raises:
            MigrationBusy: Somebody else has it, or it could not be renewed in time.
        """
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while self._held is not None:
            await asyncio.sleep(RENEW_SECONDS)
            sent = loop.time()
            try:
                self._held = await self._lock.replace(self._held, self._record())
            except (Conflict, NotFound):
                if not await self._is_still_ours():
                    raise MigrationBusy(self._busy("somebody else")) from None
                continue
            except KubeError as error:
                if loop.time() - renewed >= DURATION - RENEW_SECONDS:
                    raise MigrationBusy(f"The Lease {self._lock} could not be renewed: {error}") from error
                continue
            renewed = sent

    async def release(self) -> None:
        """Remove the Lease; one that stays is over in a moment."""
        held, self._held = self._held, None
        if held is not None:
            with suppress(KubeError):
                await self._lock.delete(held)

    async def _is_still_ours(self) -> bool:
        """Look whether only an answer of ours was lost."""
        found = await self._lock.read()
        self._held = found if found is not None and self._is_ours(found) else None
        return self._held is not None

    def _is_ours(self, found: Lease) -> bool:
        return (found.record.holder, found.record.acquired) == (self._identity, self._term)

    def _busy(self, holder: str) -> str:
        return (
            f"{holder} is migrating (it holds the {self._lock}). Nothing more was changed: wait until that has ended, "
            "and run it again."
        )


def _identity() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{user}@{socket.gethostname()} ({os.getpid()})"[:200]
