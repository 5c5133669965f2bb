"""A CA's 429s, for one Certificate: waiting for its turn before a step, and sharing refusals with others."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from certwright.certificates.steps.resting import AwaitRateLimit
from certwright.certificates.steps.start_order import StartOrder
from certwright.failures import UNSAID_RATE_LIMIT
from certwright.issuers.rate_limits import Turn, is_about_names
from certwright.text import rfc3339

if TYPE_CHECKING:
    from certwright.acme import RateLimited
    from certwright.certificates.observation import Observation
    from certwright.certificates.steps.step import Act
    from certwright.issuers.rate_limits import RateLimit


def await_turn(step: Act, observation: Observation, now: dt.datetime) -> AwaitRateLimit | None:
    """Return the rest that others' refusals ask for before a step; None if it may be taken now."""
    asker = observation.asker
    for limit in _limits(step, observation):
        turn = limit.enter(asker, now)
        if turn is not None:
            return rest_until(turn, observation, limit)
    return None


def rest_until(turn: Turn, observation: Observation, limit: RateLimit) -> AwaitRateLimit:
    """Return the rest until a turn, which says for whom and until when everybody waits."""
    issuer = observation.ready_issuer
    everybody = limit.until or turn.at
    said = f" The CA said: {limit.said.rstrip('.')}." if limit.said else ""
    return AwaitRateLimit(
        turn.look,
        turn.at,
        f"{issuer.key} must not send more requests to {issuer.spec.server} for now: its account has reached a rate "
        f"limit, and all its Certificates wait until {rfc3339(everybody)}.{said} This Certificate's turn is at about "
        f"{rfc3339(turn.at)}.",
    )


def went_well(step: Act, observation: Observation, now: dt.datetime) -> None:
    """Note that the CA answered a step."""
    if step.asks_ca and observation.issuer is not None:
        observation.issuer.limits.others.went_well(observation.asker, now)
        observation.issuer.limits.orders.left(observation.asker, now)


def failed(step: Act, observation: Observation, now: dt.datetime) -> None:
    """Note that nothing is known of the CA's limits after a step that failed."""
    for limit in _limits(step, observation):
        limit.left(observation.asker, now)


def refused(error: RateLimited, observation: Observation, now: dt.datetime) -> AwaitRateLimit | None:
    """Take in a refusal. Return the rest if it is about the account; None if only about what was ordered."""
    if observation.issuer is None or is_about_names(error, observation.identifiers):
        return None
    limit = observation.issuer.limits.of(error.action)
    asked = UNSAID_RATE_LIMIT if error.retry_after is None else dt.timedelta(seconds=error.retry_after)
    limit.refused(error.retry_at or now + asked, now, str(error))
    turn = limit.enter(observation.asker, now)
    return rest_until(turn or Turn(now, now), observation, limit)


def _limits(step: Act, observation: Observation) -> tuple[RateLimit, ...]:
    if not step.asks_ca or observation.issuer is None:
        return ()
    limits = observation.issuer.limits
    return (limits.others, limits.orders) if isinstance(step, StartOrder) else (limits.others,)
