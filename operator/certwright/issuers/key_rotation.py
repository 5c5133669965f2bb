"""Replace an issuer's account key at its CA (RFC 8555 section 7.3.5), so that a kill at any time loses no account.

1. The next key is in the Secret, next to the current one, before the CA sees it.
2. The CA replaces the key; reading the account with the new key confirms this, and nothing else does.
3. One write makes the next key the current one, and records the request that it was for. The former key is kept for a
   while, because it sealed the orders that were open.

A process that finds a next key in the Secret asks the CA which of the two it knows, and continues from there.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.acme import (
    AccountKey,
    AccountKeyInUse,
    AcmeError,
    BadPublicKey,
    BadSignatureAlgorithm,
    Client,
    HeldKey,
    NotOffered,
    RolloverUnconfirmed,
    probe_keys,
)
from certwright.issuers.account_key import announce, forget_former, promote, withdraw
from certwright.issuers.issuer_status import KEY_ROTATED, Problem
from certwright.kube.errors import KubeError
from certwright.resources import find_condition
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.acme import AcmeServer
    from certwright.issuers.account_key import AccountKeySecret
    from certwright.issuers.key_sharing import KeySharing
    from certwright.kube.api import KubeApi
    from certwright.resources import AcmeIssuerSpec, Condition

logger = logging.getLogger(__name__)

FORMER_KEPT: Final = dt.timedelta(days=8)
"""The former key stays in the Secret for so long: no order that it sealed is open longer."""
RETRY: Final = dt.timedelta(hours=1)
"""A rotation that failed or is refused is tried again after so long, or when the issuer changes."""
BETWEEN_MANY: Final = dt.timedelta(days=1)
"""Between rotations of a key that more issuers share, each with a request of its own, than are remembered."""
PATIENCE: Final = dt.timedelta(minutes=10)
"""For so long a rotation waits for orders whose challenges are being answered: their responses are for the old key.

It counts from the condition that says so, so a restart does not begin it again."""
LONGEST_CHANGE_SECONDS: Final = 40.0
"""A CA that takes longer to replace the key is asked which one it knows: its issuer must not wait for a rotation."""
WAITING: Final = "KeyRotationWaiting"
WAIT: Final = dt.timedelta(seconds=30)
"""How often it looks whether they are done."""


def waiting_since(conditions: Iterable[Condition], now: dt.datetime) -> dt.datetime:
    """Return since when a rotation waits that has to: since its issuer's condition says so, or since now."""
    said = find_condition(conditions, KEY_ROTATED)
    if said is None or said.reason != WAITING or said.last_transition_time is None:
        return now
    return said.last_transition_time


@dataclass(frozen=True)
class RotationResult:
    """What became of a rotation.

    Attributes:
        keys: The key as it is now.
        former: The key that was replaced just now, or None.
        problem: Why a rotation that is due was not carried out; None if it was, or if none is due.
        next_at: When to look again; None if nothing is to be done.
    """

    keys: AccountKeySecret
    former: AccountKey | None = None
    problem: Problem | None = None
    next_at: dt.datetime | None = None


@dataclass(frozen=True)
class KeyRotation:
    """Replaces the account key of one issuer.

    Attributes:
        kube_api: Where the Secret is.
        server: The CA.
        spec: The issuer's.
        namespace: Of the Secret.
        now: The present time.
    """

    kube_api: KubeApi
    server: AcmeServer
    spec: AcmeIssuerSpec
    namespace: str
    now: dt.datetime

    async def settle(self, keys: AccountKeySecret) -> RotationResult:
        """Finish a rotation that was interrupted, if the CA knows the next key already.

        Raises:
            AcmeError: The CA cannot tell now which key it knows.
            KubeError: The key could not be written. Both are in the Secret still.
        """
        if keys.upcoming is None:
            return RotationResult(keys)
        held = await probe_keys(Client(self.server, keys.key), old=keys.key, new=keys.upcoming)
        return await self._promoted(keys) if held is HeldKey.NEW else RotationResult(keys)

    def due_at(self, keys: AccountKeySecret, sharing: KeySharing | None = None) -> dt.datetime | None:
        """Return when the key is to be replaced, perhaps in the past; None if it is not.

        Args:
            keys: The account's key.
            sharing: Who else names its Secret.
        """
        wanted = self.spec.account_key_rotation
        if wanted is None:
            return None
        created = min(keys.created_at or self.now, self.now)
        if wanted.request is not None and wanted.request != keys.request:
            # Those who share a key, and ask for different rotations, would replace it in turn for ever.
            in_turn = sharing is not None and keys.request in sharing.requests
            if not in_turn or (wanted.request not in keys.former_requests and not keys.forgets_requests):
                return self.now
            if wanted.request not in keys.former_requests:
                return created + BETWEEN_MANY
        return None if wanted.interval is None else created + wanted.interval

    async def carry_out(
        self, keys: AccountKeySecret, account_url: str, *, sharing: KeySharing, waiting_since: dt.datetime | None
    ) -> RotationResult:
        """Replace the key if that is due.

        Args:
            keys: The account's key, which the CA knows.
            account_url: The account.
            sharing: Who else names the Secret.
            waiting_since: Since when the rotation waits for orders that are being validated; None if there are none.

        Raises:
            AcmeError: The CA cannot tell now which key it knows.
            KubeError: The new key could not be written. Both are in the Secret still.
        """
        due = self.due_at(keys, sharing)
        if due is None or due > self.now:
            return await self._resting(keys, due, sharing)
        problem = self._refusal(keys, sharing)
        if problem is not None:
            return RotationResult(keys, problem=problem, next_at=self.now + RETRY)
        if waiting_since is not None and dt.timedelta() <= self.now - waiting_since < PATIENCE:
            return RotationResult(keys, problem=_waiting(waiting_since), next_at=self.now + WAIT)
        if (await self.server.directory()).key_change is None:
            # Before a key is made for it: an hour later the CA offers it no more than now.
            return await self._given_up(keys, f"{self.spec.server} does not offer key rollover (keyChange)")
        try:
            if keys.upcoming is None:
                algorithm, size = self.spec.account_key_algorithm, self.spec.account_key_size
                upcoming = await asyncio.to_thread(AccountKey.generate, algorithm, size=size)
                keys = await announce(self.kube_api, keys, upcoming, self._request, self.now)
        except KubeError as error:
            return self._failed(keys, f"The next key could not be stored: {error}.")
        return await self._replace(keys, account_url)

    async def _replace(self, keys: AccountKeySecret, account_url: str) -> RotationResult:
        upcoming = keys.upcoming
        if upcoming is None:
            raise AssertionError("there is no next key")
        client = Client(self.server, keys.key, account_url=account_url)
        try:
            await _changed(client, upcoming)
        except NotOffered as error:
            return await self._given_up(keys, f"{error}")
        except AcmeError as error:
            # Whatever the answer: it may be lost, be about an earlier request, or contradict what was done.
            held = await probe_keys(Client(self.server, keys.key, account_url=account_url), old=keys.key, new=upcoming)
            if held is HeldKey.NEW:
                return await self._promoted(keys)
            if held is HeldKey.NEITHER:
                raise
            if isinstance(error, AccountKeyInUse | BadPublicKey | BadSignatureAlgorithm):
                return await self._given_up(keys, f"{error}")
            return self._failed(keys, f"{error}.")
        return await self._promoted(keys)

    @property
    def _request(self) -> str | None:
        wanted = self.spec.account_key_rotation
        return wanted.request if wanted is not None else None

    async def _promoted(self, keys: AccountKeySecret) -> RotationResult:
        former = keys.key
        keys = await promote(self.kube_api, keys, self.namespace, self.now)
        return RotationResult(keys, former, next_at=self._next(keys, self.due_at(keys)))

    async def _resting(self, keys: AccountKeySecret, due: dt.datetime | None, sharing: KeySharing) -> RotationResult:
        """Tidy the Secret while nothing is due; what fails there is no harm, and tried again."""
        unwanted = keys.upcoming is not None and self.spec.account_key_rotation is None and not sharing.rotates
        try:
            if unwanted and (until := self._in_flight_until(keys)) is not None:
                due = until
            elif unwanted:
                keys = await withdraw(self.kube_api, keys)
            if keys.former is not None and keys.created_at is not None and self.now - keys.created_at > FORMER_KEPT:
                keys = await forget_former(self.kube_api, keys)
        except KubeError as error:
            logger.warning("Secret %s/%s could not be tidied: %s", self.namespace, keys.name, error)
        return RotationResult(keys, next_at=self._next(keys, due))

    def _in_flight_until(self, keys: AccountKeySecret) -> dt.datetime | None:
        """Return until when a request with the next key may still reach the CA; None if none can."""
        created = keys.upcoming_created_at
        until = None if created is None or created > self.now else created + RETRY
        return until if until is not None and until > self.now else None

    def _next(self, keys: AccountKeySecret, due: dt.datetime | None) -> dt.datetime | None:
        tidied = None
        if keys.former is not None and keys.created_at is not None:
            # A time to come, which others wrote into the Secret, counts as now: it may be the end of the calendar.
            tidied = max(min(keys.created_at, self.now) + FORMER_KEPT, self.now + RETRY)
        return min((time for time in (due, tidied) if time is not None), default=None)

    def _refusal(self, keys: AccountKeySecret, sharing: KeySharing) -> Problem | None:
        wanted, place = self.spec.account_key_rotation, f"Secret {self.namespace}/{keys.name}"
        if keys.is_immutable:
            return Problem("KeyRotationRefused", f"The account key is not rotated: {place} is immutable.")
        if keys.has_certificate:
            return Problem(
                "KeyRotationRefused",
                f"The account key is not rotated: {place} has a certificate for it, which another key would not fit. "
                "Name a Secret of its own in privateKeySecretRef.",
            )
        if keys.is_provided and wanted is not None and not wanted.replace_provided_key:
            return Problem(
                "KeyRotationRefused",
                f"The account key is not rotated: Certwright did not create {place}, and whatever did could put the "
                "old key back. Rotate it there, or set accountKeyRotation.replaceProvidedKey.",
            )
        if sharing.refusal is not None:
            return Problem(
                "KeyRotationRefused", f"The account key is not rotated: {sharing.refusal}. Give it a Secret of its own."
            )
        return None

    async def _given_up(self, keys: AccountKeySecret, why: str) -> RotationResult:
        """Drop the next key, which the CA does not take."""
        try:
            if keys.upcoming is not None:
                keys = await withdraw(self.kube_api, keys)
        except KubeError as error:
            logger.warning("Secret %s/%s could not be tidied: %s", self.namespace, keys.name, error)
        return self._failed(keys, f"{why}.")

    def _failed(self, keys: AccountKeySecret, why: str) -> RotationResult:
        message = f"The account key was not rotated, and stays in use: {why} The operator tries again within an hour."
        return RotationResult(keys, problem=Problem("KeyRotationFailed", message), next_at=self.now + RETRY)


async def _changed(client: Client, upcoming: AccountKey) -> None:
    try:
        async with asyncio.timeout(LONGEST_CHANGE_SECONDS) as deadline:
            await client.change_key(upcoming)
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise RolloverUnconfirmed(f"The CA took longer than {LONGEST_CHANGE_SECONDS:g} s to replace the key") from error


def _waiting(since: dt.datetime) -> Problem:
    until = rfc3339(since + PATIENCE)
    return Problem(
        WAITING,
        "The account key is due to be rotated. Orders whose challenges the CA is validating go first: their "
        f"responses are for the current key. The operator rotates it when they are done, or at {until} at the latest.",
    )
