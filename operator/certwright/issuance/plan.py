"""`plan`: the next step for one Certificate, from what is observed and the time. Pure: no I/O, no clock, no state.

The same observation always gives the same step, so a restart, a lost event or a doubled one changes nothing.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from certwright.issuance.need import Need, issuance_need, renewal_time
from certwright.issuance.ownership import conflict_over_secret
from certwright.issuance.secret_manifest import metadata_fingerprint
from certwright.issuance.steps import (
    Adopt,
    AnswerChallenges,
    AwaitIssuer,
    CheckPropagation,
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
    Settle,
    Sleep,
    StartOrder,
    Step,
    StoreCertificate,
)
from certwright.resources import FINALIZER

if TYPE_CHECKING:
    from certwright.issuance.observed import Flight, Observed

CLEAN_UP_PATIENCE: Final = dt.timedelta(minutes=10)
"""How long a deleted Certificate is held for records that cannot be removed: its namespace must be deletable."""


def plan(observed: Observed, now: dt.datetime) -> Step:
    """Name the next step.

    Args:
        observed: All that is known.
        now: The present instant.

    Returns:
        A step. After a `Resting` one nothing more is to be done before its time or an event.
    """
    if observed.certificate.metadata.deletion_timestamp is not None:
        return _leave(observed, now)
    conflict = conflict_over_secret(observed.certificate, observed.secret, observed.rival)
    if conflict is not None:
        return _clean_up_first(observed, now) or _release_first(observed) or Refuse(conflict.reason, conflict.message)
    need = issuance_need(observed.certificate, observed.secret, observed.wanted, now)
    if need is None:
        return _keep(observed, now)
    return _issue(observed, need, now)


def _leave(observed: Observed, now: dt.datetime) -> Step:
    deleted = observed.certificate.metadata.deletion_timestamp or now
    if _outstanding(observed) and now < deleted + CLEAN_UP_PATIENCE:
        return _clean_up_first(observed, now) or Release()
    return _release_first(observed) or Forget()


def _keep(observed: Observed, now: dt.datetime) -> Step:
    """The Secret is right: tidy up what led to it, then rest until the renewal."""
    secret = observed.secret
    if secret is None or secret.certificate is None:
        raise AssertionError("no need to issue, yet no certificate: issuance_need is wrong")
    if observed.status.order is not None:
        return _clean_up_first(observed, now) or CleanUp()
    if secret.metadata_fingerprint != metadata_fingerprint(observed.certificate):
        return Adopt()
    return _release_first(observed) or Settle(renewal_time(observed.certificate, secret.certificate))


def _issue(observed: Observed, need: Need, now: dt.datetime) -> Step:
    if need.refusal is not None:
        return _clean_up_first(observed, now) or _release_first(observed) or need.refusal
    if observed.issuer.state == "unknown":
        return Park()
    if observed.issuer.state != "ready" or observed.wanted is None:
        reason = "IssuerNotFound" if observed.issuer.state == "missing" else "IssuerNotReady"
        return AwaitIssuer(reason, observed.issuer.message)
    order = observed.status.order
    if order is not None and order.spec_hash != observed.wanted.fingerprint:
        return CleanUp() if _may_clean_up(observed, now) else Sleep(observed.clean_up_at or now)
    if observed.retry_at is not None and now < observed.retry_at:
        return Sleep(observed.retry_at)
    if order is None:
        return StartOrder(need.reason, need.message)
    if order.state == "invalid" or order.url is None:
        if _outstanding(observed):
            return _clean_up_first(observed, now) or Sleep(now)
        if observed.status.next_attempt_time is not None and now < observed.status.next_attempt_time:
            return _release_first(observed) or Sleep(observed.status.next_attempt_time)
        return StartOrder(need.reason, need.message)
    if observed.flight is None:
        return ResumeOrder()
    return _fly(observed.flight, now)


def _fly(flight: Flight, now: dt.datetime) -> Step:
    """The next step of an order under way (RFC 8555 section 7.1.6)."""
    match flight.order.status:
        case "invalid":
            return RecordFailure()
        case "pending" if flight.challenges:
            if flight.presented_at is None:
                return Present()
            if now < flight.next_look:
                return Sleep(flight.next_look)
            return AnswerChallenges() if flight.propagated else CheckPropagation()
        case "ready" if not flight.finalized:
            return Finalize()
        case "valid":
            return StoreCertificate()
        case _:
            return Sleep(flight.next_look) if now < flight.next_look else PollOrder()


def _outstanding(observed: Observed) -> bool:
    order = observed.status.order
    return order is not None and any(authorization.presented for authorization in order.authorizations)


def _may_clean_up(observed: Observed, now: dt.datetime) -> bool:
    return observed.clean_up_at is None or now >= observed.clean_up_at


def _clean_up_first(observed: Observed, now: dt.datetime) -> Step | None:
    if not _outstanding(observed):
        return None
    if not _may_clean_up(observed, now):
        return Sleep(observed.clean_up_at or now)
    order = observed.status.order
    return CleanUp(keep_order=order is not None and order.state == "invalid")


def _release_first(observed: Observed) -> Step | None:
    return Release() if FINALIZER in observed.certificate.metadata.finalizers else None
