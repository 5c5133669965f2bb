"""What a failed step leaves behind: in the draft of the status, in memory, as an Event."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from certwright.certificates.steps.resting import Adopt, CleanUp, Release, Step
from certwright.failures import attempt_pause, setback_pause
from certwright.resources import AuthorizationStatus, OrderStatus

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.observation import Case
    from certwright.certificates.tools import Tools
    from certwright.failures import Failure

logger = logging.getLogger(__name__)


def take_failure(case: Case, tools: Tools, step: Step, failure: Failure) -> None:
    """Note a failure and set the time of the next try.

    Args:
        case: The Certificate.
        tools: For the Event, the metric and the clock.
        step: What failed.
        failure: Why.
    """
    now = tools.clock()
    tools.metrics.failed(failure.reason)
    # Tidying up has its own count and pause: neither an issuance nor the tidying waits for the other's failures.
    tidying = isinstance(step, Adopt | CleanUp | Release)
    if tidying:
        again = _clean_up_later(case, failure, now)
    elif failure.kind == "attempt":
        again = _give_up_order(case, failure, now)
    else:
        again = _try_again(case, failure, now)
    message = f"{failure.message} The next try is at {again:%Y-%m-%dT%H:%M:%SZ}."
    if not tidying:
        case.note(failure.reason, message, under_way=False)
    told, case.memory.told = case.memory.told, (failure.reason, failure.message)
    if failure.kind == "attempt" or told != case.memory.told:
        tools.recorder.record(case.subject, "Warning", failure.reason, message)
        logger.warning("%s: %s: %s", case.certificate.display_name, failure.reason, message)


def _clean_up_later(case: Case, failure: Failure, now: dt.datetime) -> dt.datetime:
    memory = case.memory
    memory.clean_up_failures += 1
    memory.clean_up_at = max(now + setback_pause(memory.clean_up_failures), failure.not_before or now)
    return memory.clean_up_at


def _try_again(case: Case, failure: Failure, now: dt.datetime) -> dt.datetime:
    memory = case.memory
    memory.setbacks += 1
    memory.retry_at = max(now + setback_pause(memory.setbacks), failure.not_before or now)
    if failure.kind == "order":
        memory.flight = None
        # No order has this digest, so the plan gives this one up: records first, then a new order.
        case.change_order(spec_hash="gone")
    elif failure.kind == "account":
        memory.flight = None
    if failure.by_name:
        case.change_authorizations(**{name: {"error": text[:4000]} for name, text in failure.by_name.items()})
    return memory.retry_at


def _give_up_order(case: Case, failure: Failure, now: dt.datetime) -> dt.datetime:
    memory = case.memory
    memory.flight = None
    memory.key = None
    attempts = case.status.failed_attempts + 1
    again = max(now + attempt_pause(attempts), failure.not_before or now)
    # The status says it too; while that cannot be written the CA must not be asked without end.
    memory.retry_at = again
    case.status = case.status.replace(failed_attempts=attempts, last_failure_time=now, next_attempt_time=again)
    by_name = failure.by_name or {}
    if case.status.order is None or case.status.order.state == "invalid":
        _note_refused_order(case, by_name, now)
    case.change_order(state="invalid")
    case.change_authorizations(**{name: {"state": "invalid", "error": text[:4000]} for name, text in by_name.items()})
    return again


def _note_refused_order(case: Case, by_name: dict[str, str], now: dt.datetime) -> None:
    """The CA did not even open an order: keep what it said where an order's failures are read."""
    wanted = case.wanted
    if wanted is None:
        return
    order = OrderStatus(
        account_url=wanted.account_url,
        server=wanted.server,
        names=wanted.names,
        spec_hash=wanted.fingerprint,
        state="invalid",
        created_at=now,
        authorizations=tuple(
            AuthorizationStatus(name=name, state="invalid") for name in by_name if name in wanted.names
        ),
    )
    case.status = case.status.replace(order=order)
