"""What is kept of an issuance that ends too early, and what the next one makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from certwright.acme import (
    AccountDoesNotExist,
    BadCsr,
    Client,
    ConnectionFailed,
    Identifier,
    MalformedResponse,
    Order,
    OrderFailed,
    OrderStatus,
    Problem,
    ProblemError,
    RateLimited,
    ServiceUnavailable,
)
from certwright.cli.acme.common import Common
from certwright.cli.acme.output import Output
from certwright.cli.acme.pending_issuance import MAX_AGE, MAX_FINALIZED_AGE, pending_issuance
from certwright.cli.acme.session import Session
from certwright.cli.acme.settings import IssuanceSettings
from certwright.cli.exits import CommandError
from certwright.client import (
    CertificateStartsLater,
    IssuanceTimedOut,
    KeySpec,
    OrderNotResumed,
    OrderPlaced,
    OrderReady,
    OrderResumed,
    SolverFailed,
    UnusableCertificate,
)
from certwright.pki import private_key_to_pem

if TYPE_CHECKING:
    from pathlib import Path

    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.client import CertificateKey, Event

NAMES = ("a.example.test", "www.a.example.test")
SETTINGS = IssuanceSettings(NAMES, "https://ca.example.test/dir")
URL = "https://ca.example.test/order/1"
ORDER = Order(URL, OrderStatus.PENDING, tuple(map(Identifier.dns, NAMES)), (), "https://ca.example.test/finalize")
PROBLEM = Problem(type="urn:ietf:params:acme:error:badCSR", detail="no")


class Account:
    account_url = "https://ca.example.test/account/1"


CLIENT = cast("Client", Account())


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Common(tmp_path), Output(as_json=False, quiet=True))


@pytest.fixture
def folder(session: Session) -> CertificateFolder:
    found = session.certificates.at(NAMES[0])
    found.prepare()
    return found


async def run(
    session: Session, folder: CertificateFolder, key: CertificateKey, error: Exception, *events: Event
) -> None:
    """Issue, as far as these events, and end with an error."""
    async with pending_issuance(session, folder, SETTINGS, CLIENT, key) as issuance:
        for event in events:
            issuance.on_event(event)
        raise error


async def cut_short(
    session: Session, folder: CertificateFolder, error: Exception, key: CertificateKey, *events: Event
) -> None:
    """Order, go on as far as these events, and end with an error."""
    with pytest.raises(type(error)):
        await run(session, folder, key, error, *(events or (OrderPlaced(ORDER),)))


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (CommandError("Cannot write: no space left on device"), True),
        (SolverFailed("present", challenge_type="dns-01", names=NAMES, reason="x"), True),
        (IssuanceTimedOut("too late", order_url=URL), True),
        (CertificateStartsLater(datetime.now(UTC), datetime.now(UTC), order_url=URL), True),
        (RateLimited(PROBLEM, action="finalize", url=URL, status=429), True),
        (BadCsr(PROBLEM, action="finalize", url=URL, status=400), False),
        (OrderFailed(ORDER, {}), False),
        (UnusableCertificate("another key", order_url=URL, certificate_url=URL), False),
    ],
)
async def test_an_order_is_kept_as_long_as_it_can_bring_a_certificate(
    session: Session, folder: CertificateFolder, error: Exception, *, kept: bool
) -> None:
    await cut_short(session, folder, error, KeySpec())
    pending = folder.pending()
    assert (pending is not None, "The order is saved" in session.output.last_word) == (kept, kept)
    async with pending_issuance(session, folder, SETTINGS, CLIENT, KeySpec()) as issuance:
        assert issuance.resume == (URL if kept else None)
        if pending is not None and pending.private_key is not None:
            assert issuance.key == pending.private_key.encode()
    assert folder.pending() is None
    assert not session.output.last_word


def problem(action: str, status: int) -> ProblemError:
    return ProblemError(PROBLEM, action=action, url=URL, status=status)


FINALIZED = {
    "placed": (OrderPlaced(ORDER), OrderReady(ORDER)),
    "processing": (OrderResumed(replace(ORDER, status=OrderStatus.PROCESSING)),),
    "valid": (OrderResumed(replace(ORDER, status=OrderStatus.VALID)),),
}


@pytest.mark.parametrize("events", FINALIZED)
@pytest.mark.parametrize(
    "error",
    [
        IssuanceTimedOut("too late", order_url=URL),
        problem("order", 404),
        problem("order", 403),
        problem("certificate", 404),
        problem("certificate", 500),
        problem("finalize", 404),
        AccountDoesNotExist(PROBLEM, action="order", url=URL, status=400),
        MalformedResponse("a page", url=URL, status=404),
        ServiceUnavailable("down", url=URL, status=503),
        ConnectionFailed("broke", host="ca.test", request_sent=True),
    ],
)
async def test_an_order_that_was_finalized_is_kept_until_its_certificate_is_here(
    session: Session, folder: CertificateFolder, events: str, error: Exception
) -> None:
    key = None
    for _ in range(3):
        placed = () if key else (OrderPlaced(ORDER),)
        await cut_short(session, folder, error, KeySpec(), *placed, *FINALIZED[events])
        pending = folder.pending()
        assert pending is not None
        assert pending.finalized
        assert key in (None, pending.private_key)
        key = pending.private_key


@pytest.mark.parametrize("error", [OrderFailed(ORDER, {}), BadCsr(PROBLEM, action="finalize", url=URL, status=400)])
async def test_an_order_that_the_ca_refuses_to_finalize_is_given_up(
    session: Session, folder: CertificateFolder, error: Exception
) -> None:
    await cut_short(session, folder, error, KeySpec(), OrderPlaced(ORDER), OrderReady(ORDER))
    assert folder.pending() is None


async def test_a_new_order_that_is_refused_does_not_cost_the_one_before(
    session: Session, folder: CertificateFolder
) -> None:
    """Say the CA has lost its database for an hour: it knows neither the order nor the account."""
    late = IssuanceTimedOut("too late", order_url=URL)
    await cut_short(session, folder, late, KeySpec(), OrderPlaced(ORDER), OrderReady(ORDER))
    refusal = AccountDoesNotExist(PROBLEM, action="newOrder", url=URL, status=400)
    await cut_short(session, folder, refusal, KeySpec(), OrderNotResumed(URL, "it is gone"))
    async with pending_issuance(session, folder, SETTINGS, CLIENT, KeySpec()) as issuance:
        assert issuance.resume == URL


@pytest.mark.parametrize(("age", "resumed"), [(MAX_AGE * 2, True), (MAX_FINALIZED_AGE * 2, False)])
async def test_an_order_that_was_finalized_is_asked_for_longer(
    session: Session, folder: CertificateFolder, age: timedelta, *, resumed: bool
) -> None:
    late = IssuanceTimedOut("too late", order_url=URL)
    await cut_short(session, folder, late, KeySpec(), OrderPlaced(ORDER), OrderReady(ORDER))
    pending = folder.pending()
    assert pending is not None
    folder.save_pending(replace(pending, made_at=datetime.now(UTC) - age))
    async with pending_issuance(session, folder, SETTINGS, CLIENT, KeySpec()) as issuance:
        assert (issuance.resume == URL) is resumed


async def test_a_key_that_was_given_is_not_copied_and_has_to_be_the_same(
    session: Session, folder: CertificateFolder
) -> None:
    given, other = (private_key_to_pem(ec.generate_private_key(ec.SECP256R1())) for _ in range(2))
    await cut_short(session, folder, CommandError("x"), given)
    assert b"PRIVATE KEY" not in (folder.path / "order.json").read_bytes()
    async with pending_issuance(session, folder, SETTINGS, CLIENT, given) as issuance:
        assert (issuance.key, issuance.resume) == (given, URL)
    await cut_short(session, folder, CommandError("x"), given)
    async with pending_issuance(session, folder, SETTINGS, CLIENT, other) as issuance:
        assert (issuance.key, issuance.resume) == (other, None)


@pytest.mark.parametrize(
    ("changes", "resumed"),
    [
        ({}, True),
        ({"names": tuple(reversed(NAMES))}, True),
        ({"names": NAMES[:1]}, False),
        ({"server": "https://other.example.test/dir"}, False),
        ({"profile": "short"}, False),
        ({"key_type": "ec384"}, False),
        # How it is proven and deployed makes no difference to the order.
        ({"deploy_hook": "true", "combined": True}, True),
    ],
)
async def test_an_order_is_for_one_thing_only(
    session: Session, folder: CertificateFolder, changes: dict[str, object], *, resumed: bool
) -> None:
    await cut_short(session, folder, CommandError("x"), KeySpec())
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]  # see above
    async with pending_issuance(session, folder, settings, CLIENT, KeySpec()) as issuance:
        assert (issuance.resume == URL) is resumed


@pytest.mark.parametrize(("age", "resumed"), [(MAX_AGE - timedelta(hours=1), True), (MAX_AGE * 2, False)])
async def test_an_old_order_is_not_gone_on_with(
    session: Session, folder: CertificateFolder, age: timedelta, *, resumed: bool
) -> None:
    await cut_short(session, folder, CommandError("x"), KeySpec())
    pending = folder.pending()
    assert pending is not None
    folder.save_pending(replace(pending, made_at=datetime.now(UTC) - age))
    async with pending_issuance(session, folder, SETTINGS, CLIENT, KeySpec()) as issuance:
        assert (issuance.resume == URL) is resumed
