"""How a CA's answer counts that another machine of the CA may contradict in a moment: by how often it came in a row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from certwright.certificates.steps.finalize import Finalize
from certwright.certificates.steps.poll_order import end_of

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.observation import Observation
    from certwright.certificates.steps.step import Act
    from certwright.failures import Failure

GONE_TRIES: Final = 5
"""So often a CA may answer 404 for an order, or for what it named in one: with the pauses of `Backoff`, a minute."""

CA_TRIES: Final = 30
"""So often it may fail on an order that is not finalized until another one is placed: about two hours."""

FINALIZED_TRIES: Final = 20
"""So often it may refuse an order that may be finalized, whose certificate only the present key fits: over an hour."""


def weighed(observation: Observation, step: Act, failure: Failure, now: dt.datetime) -> Failure:
    """Return a failure as it counts after those before it.

    Args:
        observation: What is known.
        step: What failed.
        failure: As classified, without those before it.
        now: The present time.
    """
    order = observation.status.order
    if step.cleans_up or step.is_revoking or not failure.answered or order is None or order.url is None:
        return failure
    tries = observation.memory.ca_failures + 1
    if failure.kind == "transient":
        # The seal does not cover the time, and nothing can be added to the last one that there is.
        beyond = now > end_of(min(order.created_at, now), order.expires)
        if not beyond and (tries < CA_TRIES or _is_finalized(observation)):
            return failure
        return replace(failure, kind="attempt", message=f"{failure.message} The order is given up after {tries} tries.")
    if failure.kind == "order":
        limit = FINALIZED_TRIES if order.state == "ready" or _is_finalized(observation) else GONE_TRIES
        passing = replace(failure, kind="transient", reason="NotFoundAtCA")
    elif failure.kind == "attempt" and _is_finalized(observation) and not isinstance(step, Finalize):
        limit, passing = FINALIZED_TRIES, replace(failure, kind="transient")
    else:
        return failure
    if tries < limit:
        return passing
    # One order may be lost. If the next one is, too, it counts.
    return replace(failure, kind="attempt") if observation.memory.orders_gone else failure


def _is_finalized(observation: Observation) -> bool:
    order, open_order = observation.status.order, observation.memory.open_order
    sent = open_order is not None and open_order.finalized
    return sent or (order is not None and order.state in ("processing", "valid"))
