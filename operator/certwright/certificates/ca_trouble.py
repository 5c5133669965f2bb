"""When a negative answer of a CA is final: only if repeated, as another of the CA's servers may contradict it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from certwright.certificates.steps.finalize import Finalize
from certwright.certificates.steps.poll_order import end_of
from certwright.certificates.steps.record_failure import RecordFailure

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.observation import Observation
    from certwright.certificates.steps.step import Act
    from certwright.failures import Failure

DOUBTED_TRIES: Final = 3
"""So often a CA must say what ends an order, which is read again in between. Of one order: it may contradict itself."""

GONE_TRIES: Final = 5
"""So often a CA may answer 404 for an order, or for what it named in one: with the pauses of `Backoff`, a minute."""

CA_TRIES: Final = 30
"""So often it may fail on an order that is not finalized until another one is placed: about two hours."""

FINALIZED_TRIES: Final = 20
"""So often it may refuse an order that may be finalized, whose certificate only the present key fits: over an hour."""

FINALIZED_CA_TRIES: Final = 300
"""So often it may fail on such an order: a day. Longer than that no certificate should wait for one that exists."""

VERDICTS: Final = frozenset({"BadCSR", "CAAForbids", "RejectedIdentifier"})
"""What a CA says of the names and the CSR themselves; it is believed at once."""


def weighed(observation: Observation, step: Act, failure: Failure, now: dt.datetime) -> tuple[Failure, Observation]:
    """Return a failure as it counts after those before it, and the observation with this one counted and taken in.

    Args:
        observation: What is known.
        step: What failed.
        failure: As classified, without those before it.
        now: The present time.
    """
    if step.cleans_up or step.is_revoking:
        return failure, observation
    # That a URL leads nowhere is the CA's doing, too: it is read again in between, which the CA has to answer.
    counts = failure.answered or (failure.read_again and step.uses_order)
    if not counts or not _is_about_open_order(observation):
        return failure, _counted(observation, failure)
    as_it_counts = _after_those_before(observation, step, failure, now)
    observation = _counted(observation, replace(failure, answered=True))
    if failure.kind == "attempt" or failure.doubtful:
        observation = observation.remember(doubts=observation.memory.doubts + 1)
    return as_it_counts, reading_again(observation, step, failure)


def reading_again(observation: Observation, step: Act, failure: Failure) -> Observation:
    """Return the observation with an order that is read again first, if what was read of it may be the cause."""
    open_order = observation.memory.open_order
    if open_order is None or not (step.uses_order and failure.read_again):
        return observation
    if open_order.order.status == "pending" and not open_order.challenges:
        return observation.remember(open_order=None)  # `ResumeOrder` reads the authorizations, too
    return observation.with_open_order(doubted=True)


def _is_about_open_order(observation: Observation) -> bool:
    order = observation.status.order
    return order is not None and order.url is not None and order.state != "invalid"


def _counted(observation: Observation, failure: Failure) -> Observation:
    memory = observation.memory
    if not failure.answered:
        return observation
    return observation.remember(ca_failures=memory.ca_failures + 1)


def _after_those_before(observation: Observation, step: Act, failure: Failure, now: dt.datetime) -> Failure:
    if failure.kind == "transient":
        return _or_too_often(observation, failure, now)
    if failure.kind == "account" or failure.reason in VERDICTS or isinstance(step, RecordFailure):
        return failure
    gone, memory = failure.kind == "order" and not failure.doubtful, observation.memory
    if (memory.ca_failures if gone else memory.doubts) + 1 < _tries(observation, step, failure):
        return replace(failure, kind="transient", reason="NotFoundAtCA" if gone else failure.reason)
    # One order may be lost. If the next one is, too, it counts.
    lost_before = failure.kind == "order" and memory.orders_gone
    return replace(failure, kind="attempt") if lost_before else failure


def _or_too_often(observation: Observation, failure: Failure, now: dt.datetime) -> Failure:
    order, tries = observation.status.order, observation.memory.ca_failures + 1
    assert order is not None  # noqa: S101 - see `_is_about_open_order`
    # The seal does not cover the time, and nothing can be added to the last one that there is.
    created = min(order.created_at, now)
    # One that had expired when it was placed is nonsense. `PollOrder` reads again until when it is.
    beyond = now > end_of(created, order.expires if order.expires and order.expires > created else None)
    limit = FINALIZED_CA_TRIES if _is_finalized(observation) else CA_TRIES
    if not beyond and tries < limit:
        return failure
    return replace(
        failure, kind="attempt", message=(f"{failure.message} The operator abandons the order after {tries} tries.")
    )


def _tries(observation: Observation, step: Act, failure: Failure) -> int:
    """Return how often a failure must come that ends the order."""
    order = observation.status.order
    if failure.doubtful:
        return DOUBTED_TRIES
    is_ready = order is not None and order.state == "ready"
    if failure.kind == "order":
        return FINALIZED_TRIES if is_ready or _is_finalized(observation) else GONE_TRIES
    return FINALIZED_TRIES if _is_finalized(observation) and not isinstance(step, Finalize) else DOUBTED_TRIES


def _is_finalized(observation: Observation) -> bool:
    order, open_order = observation.status.order, observation.memory.open_order
    sent = open_order is not None and open_order.finalized
    return sent or (order is not None and order.state in ("processing", "valid"))
