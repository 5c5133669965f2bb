"""What of an issuance survives a kill: its order, and the key that it is for. The next run goes on with both."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certwright.acme import OrderFailed, ProblemError
from certwright.cli.acme.exits import CommandError
from certwright.cli.acme.issuing import progress
from certwright.cli.acme.recipe import PendingOrder
from certwright.client import (
    InvalidPrivateKey,
    IssuanceTimedOut,
    KeySpec,
    OrderPlaced,
    OrderReady,
    OrderResumed,
    UnusableCertificate,
)
from certwright.pki import PkiError, SigningRequest, load_private_key, private_key_to_pem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.acme import Client
    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.cli.acme.recipe import Recipe
    from certwright.cli.acme.session import Session
    from certwright.client import CertificateKey, Event
    from certwright.pki import PrivateKey

#: How long an order is gone on with: CAs keep one that is pending for about a week.
LONGEST: Final = timedelta(days=7)

_KEPT: Final = "The order is kept, and the same command goes on with it."
_HANDED_IN: Final = ("processing", "valid")


class Undertaking:
    """One issuance under way.

    Attributes:
        key: The key or request to hand to the issuance, in place of the one that was asked for.
        resume: The URL of the order to go on with, or None.
    """

    def __init__(self, session: Session, folder: CertificateFolder, pending: PendingOrder, key: CertificateKey) -> None:
        self.key = key
        self.resume = pending.order_url
        self._session = session
        self._folder = folder
        self._pending = pending
        self._handed_in_before = False
        self._tell = progress(session.output)

    def on_event(self, event: Event) -> None:
        """Tell of an event, and keep an order as soon as it is made.

        Raises:
            CommandError: It cannot be kept.
        """
        self._tell(event)
        match event:
            case OrderPlaced(order):
                self._pending = replace(self._pending, order_url=order.url, made_at=datetime.now(UTC))
                self._folder.save_pending(self._pending)
                self._session.output.last_word = _KEPT
            case OrderResumed(order):
                self._handed_in_before = order.status in _HANDED_IN
                self._session.output.last_word = _KEPT
            case OrderReady():
                self._handed_in_before = False

    def is_lost(self, error: Exception) -> bool:
        """Whether an error means that this order, or its key, will not bring a certificate any more."""
        if isinstance(error, IssuanceTimedOut):
            # A CA that does not come to an end with it in two runs may do better with another one.
            return self._handed_in_before
        return isinstance(error, OrderFailed | UnusableCertificate) or (
            isinstance(error, ProblemError) and not error.temporary
        )


@asynccontextmanager
async def under_way(
    session: Session,
    folder: CertificateFolder,
    recipe: Recipe,
    client: Client,
    key: CertificateKey,
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> AsyncIterator[Undertaking]:
    """Keep order and key of an issuance beside the certificate until the block is done with both.

    Args:
        session: The command.
        folder: Where the certificate will be; held by the caller's lock, and prepared.
        recipe: What is issued.
        client: The account that orders it.
        key: What was asked for. A key that is to be made is made now.
        not_before: When the certificate should begin to be valid, or None.
        not_after: When it should end, or None.

    Raises:
        InvalidPrivateKey: The key cannot be read or made.
        CommandError: Nothing can be kept.
    """
    wanted = PendingOrder(
        names=recipe.names,
        server=recipe.server,
        account_url=client.account_url or "",
        profile=recipe.profile,
        not_before=not_before,
        not_after=not_after,
        key_type=recipe.key_type if isinstance(key, KeySpec) else None,
        key_sha256=None if isinstance(key, KeySpec) else await asyncio.to_thread(_fingerprint, key),
        made_at=datetime.now(UTC),
    )
    kept = _kept(session, folder)
    if kept is not None and _is_for(kept, wanted):
        pending = kept
    else:
        if kept is not None and kept.order_url is not None:
            session.output.say("The order that was kept is for something else, or too old; ordering afresh")
        pending = wanted
        if isinstance(key, KeySpec):
            made = private_key_to_pem(await asyncio.to_thread(key.make)).decode("ascii")
            pending = replace(wanted, private_key=made)
        # Before the CA hears of it: a disk that is full shows now.
        folder.save_pending(pending)
    chosen = key if pending.private_key is None else pending.private_key.encode("ascii")
    undertaking = Undertaking(session, folder, pending, chosen)
    try:
        yield undertaking
    except Exception as error:
        if undertaking.is_lost(error):
            folder.forget_pending()
            session.output.last_word = ""
        raise
    folder.forget_pending()
    session.output.last_word = ""


def _kept(session: Session, folder: CertificateFolder) -> PendingOrder | None:
    try:
        kept = folder.pending()
    except CommandError as error:
        session.output.warn(f"{error}. A new order is made")
        return None
    if kept is None or (folder.exists() and folder.metadata().order_url == kept.order_url):
        # What came of it is here already: only the tidying up was cut short.
        return None
    return kept


def _is_for(kept: PendingOrder, wanted: PendingOrder) -> bool:
    age = wanted.made_at - kept.made_at
    same = ("server", "account_url", "profile", "not_before", "not_after", "key_type", "key_sha256")
    return (
        timedelta() <= age <= LONGEST
        and set(kept.names) == set(wanted.names)
        and all(getattr(kept, name) == getattr(wanted, name) for name in same)
    )


def _fingerprint(key: PrivateKey | bytes | SigningRequest) -> str:
    if isinstance(key, bytes):
        try:
            key = load_private_key(key)
        except PkiError as error:
            raise InvalidPrivateKey(f"The key of the certificate cannot be used: {error}") from None
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()
