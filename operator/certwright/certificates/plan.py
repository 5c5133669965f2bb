"""`plan`: the next step for one Certificate, from what is observed and the time. Pure: no I/O, no clock, no state.

The same observation always gives the same step, so a restart, a lost event or a doubled one changes nothing.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from certwright.certificates.need import Need, issuance_need, renewal_time
from certwright.certificates.ownership import conflict_over_secret
from certwright.certificates.secret import metadata_fingerprint
from certwright.certificates.steps.resting import (
    Adopt,
    AnswerChallenges,
    AwaitIssuer,
    CleanUp,
    Finalize,
    Forget,
    Park,
    PollOrder,
    Present,
    RecordFailure,
    Refuse,
    Release,
    ResumeOrder,
    SelfCheck,
    Settle,
    Sleep,
    StartOrder,
    Step,
    StoreCertificate,
)
from certwright.resources import FINALIZER

if TYPE_CHECKING:
    from certwright.certificates.open_order import Flight, Observed

CLEAN_UP_PATIENCE: Final = dt.timedelta(minutes=10)
"""How long a deleted Certificate is held for records that cannot be removed: its namespace must be deletable."""
CLEAN_UP_TRIES: Final = 7
"""After so many failures (some four minutes) a new order waits once more for the old one's records to be removed.

The name that was mistyped, or whose zone is gone, is what people take out of a spec; its record never was in the DNS.
"""


def plan(observed: Observed, now: dt.datetime) -> Step:
    """Name the next step.

    Args:
        observed: All that is known.
        now: The present instant.

    Returns:
        A step. After a `Resting` one nothing more is to be done before its time or an event.
    """
    if observed.certificate.metadata.deletion_timestamp is not None:
        return _leave(observed, observed.certificate.metadata.deletion_timestamp, now)
    conflict = conflict_over_secret(observed.certificate, observed.secret, observed.rival)
    if conflict is not None:
        return _let_go_first(observed, now) or Refuse(conflict.reason, conflict.message)
    need = issuance_need(observed.certificate, observed.secret, observed.wanted, now)
    if need is None:
        return _keep(observed, now)
    return _issue(observed, need, now)


def _leave(observed: Observed, deleted: dt.datetime, now: dt.datetime) -> Step:
    if now < deleted + CLEAN_UP_PATIENCE:
        return _let_go_first(observed, now) or Forget()
    return _release_first(observed, now) or Forget()


def _keep(observed: Observed, now: dt.datetime) -> Step:
    """The Secret is right: tidy up what led to it, then rest until the renewal."""
    secret = observed.secret
    if secret is None or secret.certificate is None:
        raise AssertionError("no need to issue, yet no certificate: issuance_need is wrong")
    if observed.status.order is not None:
        return _clean_up_first(observed, now) or _not_before(observed.clean_up_at, now) or CleanUp()
    if secret.metadata_fingerprint != metadata_fingerprint(observed.certificate):
        return _not_before(observed.clean_up_at, now) or Adopt()
    return _release_first(observed, now) or Settle(renewal_time(observed.certificate, secret.certificate))


def _issue(observed: Observed, need: Need, now: dt.datetime) -> Step:
    if need.refusal is not None:
        return _let_go_first(observed, now) or need.refusal
    if observed.issuer.state == "unknown":
        return Park()
    if observed.issuer.state != "ready" or observed.wanted is None:
        reason = "IssuerNotFound" if observed.issuer.state == "missing" else "IssuerNotReady"
        return AwaitIssuer(reason, observed.issuer.message)
    order = observed.status.order
    if order is not None and order.spec_hash != observed.wanted.fingerprint:
        return _not_before(observed.clean_up_at, now) or CleanUp(last_try=_tried_enough(observed))
    if order is not None and (order.state == "invalid" or order.url is None):
        pause = _not_before(observed.status.next_attempt_time, now)
        tidy = _clean_up_first(observed, now, new_order_waits=pause is None)
        if tidy is None and pause is not None:
            tidy = _release_first(observed, now) or pause
        if tidy is not None:
            return tidy
        order = None
    pause = _not_before(observed.retry_at, now)
    if pause is not None:
        return pause
    if order is None:
        return StartOrder(need.reason, need.message)
    return ResumeOrder() if observed.flight is None else _fly(observed.flight, now)


def _fly(flight: Flight, now: dt.datetime) -> Step:
    """The next step of an order under way (RFC 8555 section 7.1.6)."""
    match flight.order.status:
        case "invalid":
            return RecordFailure()
        case "pending" if flight.proofs and flight.presented_at is None:
            return Present()
        case "pending" if flight.challenges:
            return _not_before(flight.next_look, now) or (AnswerChallenges() if flight.propagated else SelfCheck())
        case "ready" if not flight.finalized:
            return Finalize()
        case "valid":
            return StoreCertificate()
        case _:
            return _not_before(flight.next_look, now) or PollOrder()


def _let_go_first(observed: Observed, now: dt.datetime) -> Step | None:
    """Remove what is outside, then the finalizer; None if neither is there."""
    return _clean_up_first(observed, now) or _release_first(observed, now)


def _clean_up_first(observed: Observed, now: dt.datetime, *, new_order_waits: bool = False) -> Step | None:
    order = observed.status.order
    if order is None or not any(authorization.presented for authorization in order.authorizations):
        return None
    if observed.issuer.state == "unknown":
        return Park()
    return _not_before(observed.clean_up_at, now) or CleanUp(
        keep_order=order.state == "invalid", last_try=new_order_waits and _tried_enough(observed)
    )


def _tried_enough(observed: Observed) -> bool:
    return observed.clean_up_failures >= CLEAN_UP_TRIES


def _release_first(observed: Observed, now: dt.datetime) -> Step | None:
    if FINALIZER not in observed.certificate.metadata.finalizers:
        return None
    return _not_before(observed.clean_up_at, now) or Release()


def _not_before(instant: dt.datetime | None, now: dt.datetime) -> Sleep | None:
    return Sleep(instant) if instant is not None and now < instant else None
