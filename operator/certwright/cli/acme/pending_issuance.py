"""The order and key of an unfinished issuance, which survive a kill, so that the next run continues."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certwright.acme import OrderFailed, ProblemError, ServerResponseError
from certwright.cli.acme.settings import PendingOrder
from certwright.cli.exits import CommandError
from certwright.client import (
    BudgetWaited,
    CaaObjected,
    CleanUpFailed,
    InvalidPrivateKey,
    KeySpec,
    OrderPlaced,
    OrderReady,
    OrderResumed,
    RenewalInfoUnavailable,
    ReplacementRefused,
    StartAwaited,
    UnusableCertificate,
)
from certwright.pki import PkiError, SigningRequest, load_private_key, private_key_to_pem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.acme import Client
    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.cli.acme.output import Output
    from certwright.cli.acme.session import Session
    from certwright.cli.acme.settings import IssuanceSettings
    from certwright.client import CertificateKey, Event, OnEvent
    from certwright.pki import PrivateKey

MAX_AGE: Final = timedelta(days=7)
"""How old an order may be to be continued: CAs keep a pending one for about a week."""

MAX_FINALIZED_AGE: Final = timedelta(days=30)
"""The same for one that was finalized: its certificate may be waiting, and the CA says what became of it."""

_SAVED: Final = "The order is saved; run the same command again to continue it."
_FINALIZED: Final = ("processing", "valid")
_WARNINGS: Final = (BudgetWaited, CaaObjected, CleanUpFailed, RenewalInfoUnavailable, ReplacementRefused, StartAwaited)


class PendingIssuance:
    """One issuance that is not finished yet.

    Attributes:
        key: The key or CSR to issue for, instead of the one that was asked for.
        resume: The URL of the order to continue, or None.
    """

    def __init__(self, session: Session, folder: CertificateFolder, pending: PendingOrder, key: CertificateKey) -> None:
        self.key = key
        self.resume = pending.order_url
        self._session = session
        self._folder = folder
        self._pending = pending
        self._report = progress(session.output)

    def on_event(self, event: Event) -> None:
        """Print an event, and save an order as soon as it is placed.

        Raises:
            CommandError: It cannot be saved.
        """
        self._report(event)
        match event:
            case OrderPlaced(order):
                self._save(order_url=order.url, made_at=datetime.now(UTC), finalized=False)
            case OrderResumed(order):
                self._save(finalized=order.status in _FINALIZED)
            case OrderReady():
                self._save(finalized=True)

    def _save(self, **changes: Any) -> None:
        changed = replace(self._pending, **changes)
        if changed != self._pending:
            self._folder.save_pending(changed)
        self._pending = changed
        self._session.output.last_word = _SAVED

    def is_lost(self, error: Exception) -> bool:
        """Return whether an error means that this order, or its key, can no longer lead to a certificate.

        One that was finalized is lost only if the CA says so, or its certificate is here: the CA may have issued it,
        and counts it, and only this key fits.
        """
        if isinstance(error, OrderFailed | UnusableCertificate):
            return True
        gone = isinstance(error, ServerResponseError) and error.status == HTTPStatus.NOT_FOUND
        refused = isinstance(error, ProblemError) and not error.temporary
        if not self._pending.finalized:
            return gone or refused
        return isinstance(error, ProblemError) and error.action == "finalize" and refused and not gone


def progress(output: Output) -> OnEvent:
    """Return what prints the events of an issuance."""

    def report(event: Event) -> None:
        (output.warn if isinstance(event, _WARNINGS) else output.say)(str(event))

    return report


@asynccontextmanager
async def pending_issuance(
    session: Session,
    folder: CertificateFolder,
    settings: IssuanceSettings,
    client: Client,
    key: CertificateKey,
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> AsyncIterator[PendingIssuance]:
    """Save order and key of an issuance beside the certificate until the block has finished with both.

    Args:
        session: The command.
        folder: The certificate's folder, prepared and locked by the caller.
        settings: What is issued.
        client: The account that orders it.
        key: What was asked for. A new key is made now.
        not_before: Requested start of validity, or None.
        not_after: Requested end of validity, or None.

    Raises:
        InvalidPrivateKey: The key cannot be read or made.
        CommandError: The order cannot be saved.
    """
    wanted = PendingOrder(
        names=settings.names,
        server=settings.server,
        account_url=client.account_url or "",
        profile=settings.profile,
        not_before=not_before,
        not_after=not_after,
        key_type=settings.key_type if isinstance(key, KeySpec) else None,
        key_sha256=None if isinstance(key, KeySpec) else await asyncio.to_thread(_fingerprint, key),
        made_at=datetime.now(UTC),
    )
    saved = _saved(session, folder)
    if saved is not None and _is_for(saved, wanted):
        pending = saved
    else:
        if saved is not None and saved.order_url is not None:
            session.output.say("The saved order is for something else, or too old; placing a new one")
        pending = wanted
        if isinstance(key, KeySpec):
            made = private_key_to_pem(await asyncio.to_thread(key.make)).decode("ascii")
            pending = replace(wanted, private_key=made)
        # Before the CA is involved, so that a full disk is noticed now.
        folder.save_pending(pending)
    chosen = key if pending.private_key is None else pending.private_key.encode("ascii")
    issuance = PendingIssuance(session, folder, pending, chosen)
    try:
        yield issuance
    except Exception as error:
        if issuance.is_lost(error):
            folder.forget_pending()
            session.output.last_word = ""
        raise
    folder.forget_pending()
    session.output.last_word = ""


def _saved(session: Session, folder: CertificateFolder) -> PendingOrder | None:
    try:
        saved = folder.pending()
    except CommandError as error:
        session.output.warn(f"{error}. Placing a new order")
        return None
    if saved is None or (folder.exists() and folder.metadata().order_url == saved.order_url):
        # Its certificate is here already: only forgetting the order was interrupted.
        return None
    return saved


def _is_for(saved: PendingOrder, wanted: PendingOrder) -> bool:
    age = wanted.made_at - saved.made_at
    same = ("server", "account_url", "profile", "not_before", "not_after", "key_type", "key_sha256")
    return (
        timedelta() <= age <= (MAX_FINALIZED_AGE if saved.finalized else MAX_AGE)
        and set(saved.names) == set(wanted.names)
        and all(getattr(saved, name) == getattr(wanted, name) for name in same)
    )


def _fingerprint(key: PrivateKey | bytes | SigningRequest) -> str:
    if isinstance(key, bytes):
        try:
            key = load_private_key(key)
        except PkiError as error:
            raise InvalidPrivateKey(f"The key of the certificate cannot be used: {error}") from None
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()
