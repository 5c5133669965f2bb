"""Handles a failed step: in the draft of the status, in memory, and as an Event."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from certwright.certificates.ca_trouble import weighed
from certwright.certificates.failed_attempt import Tried
from certwright.certificates.order.budget import with_order
from certwright.failures import ATTEMPT_PAUSES, NEXT_ATTEMPT, attempt_pause
from certwright.resources import MAX_COUNT, AuthorizationStatus, OrderStatus
from certwright.text import rfc3339

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.observation import Observation
    from certwright.certificates.steps.step import Act
    from certwright.certificates.tools import Tools
    from certwright.failures import Failure
    from certwright.runtime.backoff import Backoff

logger = logging.getLogger(__name__)

FAILURES_PER_LOST_ORDER: Final = 4
"""As so many failures each further order counts that was of no use: the next one waits longer each time."""

MAX_ERROR_CHARACTERS: Final = 4000
"""Of an error that a status shows for one name."""


def after_failure(observation: Observation, tools: Tools, step: Act, failure: Failure) -> Observation:
    """Note a failure, set the time of the next try, and record an Event if the failure is news.

    Args:
        observation: What is known, with what the step achieved before it failed.
        tools: For the Event, the metric and the clock.
        step: What failed.
        failure: Why.
    """
    now = tools.clock()
    failure, observation = weighed(observation, step, failure, now)
    tools.metrics.failed(failure.reason)
    before = _backoff_of(observation, step)
    if step.is_about_request:
        backoff = _failed_again(before, failure, now)
        observation = observation.remember(requesting=backoff)
    elif step.is_revoking:
        backoff = _failed_again(before, failure, now)
        observation = observation.remember(revoking=backoff)
    elif step.cleans_up:
        backoff = _failed_again(before, failure, now)
        observation = observation.remember(cleaning_up=backoff)
    elif failure.kind == "attempt":
        observation = _give_up_attempt(observation, failure, now)
        backoff = observation.memory.issuing
    else:
        if failure.kind == "order":
            gone = observation.memory.orders_gone
            observation = observation.remember(orders_gone=gone + 1)
            before = replace(before, failures=max(before.failures, FAILURES_PER_LOST_ORDER * gone))
        backoff = _failed_again(before, failure, now)
        observation = _try_again(observation, failure).remember(issuing=backoff)
    message = f"{failure.message}{NEXT_ATTEMPT}{rfc3339(backoff.not_before or now)}."
    if not (step.cleans_up or step.is_about_request or step.is_revoking):
        observation = observation.noting(failure.reason, message, under_way=False)
        observation = observation.with_status(next_attempt_time=backoff.not_before)
    if failure.kind == "attempt" or backoff.reported != before.reported:
        tools.recorder.record(observation.subject, "Warning", failure.reason, message)
        logger.warning("%s: %s: %s", observation.certificate.display_name, failure.reason, message)
    return observation


def _backoff_of(observation: Observation, step: Act) -> Backoff:
    memory = observation.memory
    if step.is_revoking:
        return memory.revoking
    return memory.requesting if step.is_about_request else memory.cleaning_up if step.cleans_up else memory.issuing


def _failed_again(backoff: Backoff, failure: Failure, now: dt.datetime) -> Backoff:
    return backoff.failed(now, not_before=failure.not_before, reported=(failure.reason, failure.message))


def _try_again(observation: Observation, failure: Failure) -> Observation:
    if failure.kind in ("order", "account"):
        observation = observation.remember(open_order=None)
    if failure.kind == "order":
        observation = abandon_order(observation).remember(ca_failures=0, doubts=0)
    errors = failure.by_name or {}
    return observation.with_authorizations({name: {"error": _cut(text)} for name, text in errors.items()})


def abandon_order(observation: Observation) -> Observation:
    """Give up the order in the draft: an order without a URL is never resumed, only cleaned up after.

    What its status says of responses stays until they are removed. If the process dies before this is written, the
    next one resumes the order, and finds out the same.
    """
    return observation.with_order(url=None)


def _give_up_attempt(observation: Observation, failure: Failure, now: dt.datetime) -> Observation:
    attempts = min(observation.status.failed_attempts + 1, MAX_COUNT)
    again = max(now + attempt_pause(attempts), failure.not_before or now)
    if failure.reason == "RateLimited" and failure.not_before is not None:
        # The CA says when, and it is no sign that anything is wrong with what was ordered.
        attempts = observation.status.failed_attempts
        again = max(failure.not_before, now + ATTEMPT_PAUSES[0])
    # The status says it too; while that cannot be written the CA must not be asked without end.
    issuing = replace(
        observation.memory.issuing, not_before=again, reported=(failure.reason, failure.message), since=now
    )
    errors = failure.by_name or {}
    order = observation.status.order
    if order is None or order.url is None or order.state == "invalid":
        order = _refused_order(observation, errors, now) or order
        recent = with_order(observation.status.recent_orders, now)
        observation = observation.with_status(recent_orders=recent).remember(ordered_at=now)
    if order is not None:
        order = order.replace(state="invalid", authorizations=_with_errors(order, errors))
    issuer = observation.issuer
    tried = Tried.of(observation.certificate, issuer.spec if issuer is not None else None)
    return observation.remember(open_order=None, issuing=issuing, tried=tried, ca_failures=0, doubts=0).with_status(
        order=order, failed_attempts=attempts, last_failure_time=now, next_attempt_time=again
    )


def _refused_order(observation: Observation, errors: dict[str, str], now: dt.datetime) -> OrderStatus | None:
    """Return an order that the CA did not even open: what it said belongs where an order's failures are read."""
    request = observation.request
    if request is None:
        return None
    return OrderStatus(
        issuer=observation.used_issuer,
        account_url=request.account_url,
        server=request.server,
        names=request.names,
        spec_hash=request.fingerprint,
        state="invalid",
        created_at=now,
        authorizations=tuple(
            AuthorizationStatus(name=name, state="invalid") for name in errors if name in request.names
        ),
    )


def _with_errors(order: OrderStatus, errors: dict[str, str]) -> tuple[AuthorizationStatus, ...]:
    changes: dict[str, dict[str, Any]] = {
        name: {"state": "invalid", "error": _cut(text)} for name, text in errors.items()
    }
    return tuple(
        entry.replace(**changes[entry.name]) if entry.name in changes else entry for entry in order.authorizations
    )


def _cut(text: str) -> str:
    return text[:MAX_ERROR_CHARACTERS]
