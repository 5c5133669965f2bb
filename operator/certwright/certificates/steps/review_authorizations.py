"""Find out why an order stays pending, and let the CA retry failed challenges."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

from certwright.acme import AcmeError, OrderFailed
from certwright.acme.validation import Review
from certwright.certificates.steps.step import Act
from certwright.failures import MAX_MESSAGE_CHARACTERS, IssuanceError
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from certwright.acme import Authorization, Challenge
    from certwright.certificates.observation import Observation
    from certwright.certificates.open_order import OpenOrder
    from certwright.certificates.tools import Tools

logger = logging.getLogger(__name__)

MAX_DOUBTS: Final = 10
"""So often an order is prepared again at most because a challenge turns out to wait for its answer."""

MAX_ANSWERS: Final = 30
"""So often a challenge that the CA leaves to be answered again is answered: half an hour."""

MAX_CONCURRENT_ANSWERS: Final = 10


@dataclass(frozen=True)
class ReviewAuthorizations(Act):
    """Read the authorizations of an order that stays pending; answer again the challenges that failed (section 8.2)."""

    asks_ca: ClassVar[bool] = True
    uses_order: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Read them.

        Raises:
            OrderFailed: The order cannot become ready any more.
            IssuanceError: It has failed too often.
        """
        open_order, client = observation.open_order, observation.ready_issuer.client
        authorizations = await client.fetch_readable_authorizations(open_order.order)
        now = tools.clock()
        review = Review.of(authorizations, set(_answered(authorizations, open_order)))
        reasons = {name: str(problem)[:MAX_MESSAGE_CHARACTERS] for name, problem in review.reasons.items()}
        observation = observation.remember(open_order=open_order.reviewed(now, again=bool(review.again)))
        observation = observation.with_authorizations({name: {"error": reason} for name, reason in reasons.items()})
        yield observation
        if _lacks_answers(authorizations, open_order) and observation.memory.doubts < MAX_DOUBTS:
            # What was read when the order was prepared was damaged, or has changed: it is prepared again.
            yield observation.remember(open_order=None, doubts=observation.memory.doubts + 1)
            return
        if review.failed:
            raise OrderFailed(open_order.order, dict(review.failed))
        if reasons:
            said = listed(f"{name}: {reason}" for name, reason in reasons.items())
            message = f"{observation.ready_issuer.spec.server} has not validated all domains yet. It said: {said}."
            if observation.memory.note is None or observation.memory.note.message != message:
                observation = observation.remember(saved_at=None)  # the status is to say it at once
            observation = observation.noting("Validating", message)
            yield observation
        if review.again and (open_order.next_answer is None or open_order.next_answer <= now):
            if open_order.answers >= MAX_ANSWERS:
                failed = OrderFailed(open_order.order, dict(review.reasons))
                said = f"{failed}. The last good certificate, if any, is kept."
                raise IssuanceError("ValidationFailed", said, costly=True, by_name=reasons)
            asked = await _answer_again(observation, review.again)
            again = replace(observation.open_order, answers=open_order.answers + 1, polls=0)
            answered = again.polled(asked, now).answered(asked, now, failed=False)
            yield observation.remember(open_order=answered)


def _lacks_answers(authorizations: Iterable[Authorization], open_order: OpenOrder) -> bool:
    """Whether the CA waits for an answer that nobody is going to give."""
    return any(
        authorization.status == "pending"
        and authorization.name not in open_order.answered_names
        and authorization.name not in open_order.challenges
        and any(one.status == "pending" and one.error is None for one in _ours(authorization, open_order))
        for authorization in authorizations
    )


def _ours(authorization: Authorization, open_order: OpenOrder) -> Iterable[Challenge]:
    response = open_order.responses.get(authorization.name)
    return [one for one in authorization.challenges if response is None or one.type == response.challenge_type]


def _answered(authorizations: Iterable[Authorization], open_order: OpenOrder) -> Iterable[str]:
    """Return the URLs of the challenges that this order answered: those of the type of our responses."""
    for authorization in authorizations:
        response = open_order.responses.get(authorization.name)
        if response is not None and authorization.name not in open_order.challenges:
            for challenge in authorization.challenges:
                if challenge.type == response.challenge_type:
                    yield challenge.url


async def _answer_again(observation: Observation, challenges: Iterable[Challenge]) -> float | None:
    """Answer challenges again, and return the longest wait that the CA asks for."""
    client, slots = observation.ready_issuer.client, asyncio.Semaphore(MAX_CONCURRENT_ANSWERS)

    async def answer(challenge: Challenge) -> float | None:
        async with slots:
            try:
                return (await client.answer_challenge(challenge)).retry_after
            except AcmeError as error:
                # It was answered before: what counts is the order.
                name = observation.certificate.display_name
                logger.info("%s: a challenge could not be answered again: %s", name, error)
                return error.retry_after

    asked = await asyncio.gather(*map(answer, challenges))
    return max((seconds for seconds in asked if seconds is not None), default=None)
