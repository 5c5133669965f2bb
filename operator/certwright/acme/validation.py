"""What the authorizations of a pending order show: failed domains, the CA's errors, challenges to answer again.

Usually the order says enough. But a CA may leave a failed challenge `pending` with an `error`, to be answered again
(RFC 8555 section 8.2), or an authorization `invalid` in an order that stays `pending`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.acme.authorization import AuthorizationStatus, ChallengeStatus
from certwright.acme.errors import AcmeError
from certwright.acme.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from certwright.acme.authorization import Authorization, AuthorizationClient, Challenge, Ordered

logger = logging.getLogger(__name__)

FIRST_REVIEW: Final = 3.0
"""Seconds that an order may stay pending after its challenges were answered until its authorizations are read."""

LONGEST_REVIEW: Final = 60.0
"""The longest time, in seconds, between two readings; it doubles from the first."""

FIRST_ANSWER_PAUSE: Final = 5.0
"""Seconds until a challenge that failed is answered again; they double each time up to the longest."""
LONGEST_ANSWER_PAUSE: Final = 60.0


@dataclass(frozen=True)
class Review:
    """What the authorizations of a pending order say.

    Attributes:
        failed: Those that will not become valid any more, by name as the order wrote it, with the CA's reason.
        reasons: Why those that are still pending are not valid yet, as far as the CA says, by the same name.
        again: The challenges that were answered and failed, and can be answered again.
        valid: The URLs of those that are valid, which need not be read again.
    """

    failed: Mapping[str, Problem]
    reasons: Mapping[str, Problem]
    again: tuple[Challenge, ...]
    valid: frozenset[str]

    @classmethod
    def of(cls, authorizations: Iterable[Authorization], answered: Collection[str]) -> Review:
        """Review authorizations.

        Args:
            authorizations: As the CA has them.
            answered: The URLs of the challenges that were answered.
        """
        failed: dict[str, Problem] = {}
        reasons: dict[str, Problem] = {}
        again: list[Challenge] = []
        valid: set[str] = set()
        for authorization in authorizations:
            if authorization.status is AuthorizationStatus.VALID:
                valid.add(authorization.url)
                continue
            ours = [challenge for challenge in authorization.challenges if challenge.url in answered]
            if authorization.status is not AuthorizationStatus.PENDING:
                failed[authorization.name] = authorization.error or _unexplained(authorization.status)
            elif lost := [challenge for challenge in ours if challenge.status is ChallengeStatus.INVALID]:
                failed[authorization.name] = lost[0].error or _unexplained(ChallengeStatus.INVALID)
            if authorization.name in failed:
                continue
            error = next((challenge.error for challenge in ours if challenge.error is not None), authorization.error)
            if error is not None:
                reasons[authorization.name] = error
            again += [one for one in ours if one.error is not None and one.status is ChallengeStatus.PENDING]
        return cls(failed, reasons, tuple(again), frozenset(valid))


def _unexplained(status: str) -> Problem:
    return Problem(type="", detail=f"its authorization is {status}, and the CA gives no reason")


def answer_pause(answers: int) -> float:
    """Return the seconds between an answer to a challenge and the next one, after so many answers (1 or more)."""
    return min(FIRST_ANSWER_PAUSE * 2.0 ** min(answers - 1, 16), LONGEST_ANSWER_PAUSE)


class ValidationWatch:
    """Reads the authorizations of an order that stays pending, now and then, and answers again what failed.

    Args:
        client: The account.
        answered: The challenges that were answered, as last seen.

    Attributes:
        reasons: Why authorizations are not valid yet, as last heard, by name as the order wrote it.
        has_looked: Whether they were read at all.
    """

    def __init__(self, client: AuthorizationClient, answered: Iterable[Challenge]) -> None:
        self.reasons: dict[str, Problem] = {}
        self.has_looked = False
        self._client = client
        self._clock = client.server.clock
        self._valid: frozenset[str] = frozenset()
        now = self._clock.monotonic()
        known = tuple(answered)
        self._answers = dict.fromkeys((challenge.url for challenge in known), 1)
        self._next_answer = {
            challenge.url: now + max(answer_pause(1), challenge.retry_after or 0.0) for challenge in known
        }
        failed = any(challenge.error is not None or challenge.status is ChallengeStatus.INVALID for challenge in known)
        self._pause = FIRST_REVIEW
        self._next_review = now if failed else now + FIRST_REVIEW

    async def look(self, order: Ordered) -> Mapping[str, Problem]:
        """Read the authorizations if it is time to, and answer again what is due.

        Returns:
            Those that will not become valid any more, by name, with the CA's reason; see `Review.failed`.
        """
        if self._clock.monotonic() < self._next_review:
            return {}
        review = await self.review(order)
        for challenge in review.again:
            await self._answer_again(challenge)
        self._next_review = self._clock.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_REVIEW)
        if review.again:
            due = min(self._next_answer[challenge.url] for challenge in review.again)
            self._next_review = min(self._next_review, due)
        return review.failed

    async def review(self, order: Ordered) -> Review:
        """Read the authorizations that are not valid yet; those that cannot be read say nothing."""
        self.has_looked = True
        urls = [url for url in order.authorization_urls if url not in self._valid]
        found = await self._client.fetch_readable_authorizations(order, urls)
        review = Review.of(found, self._answers)
        self._valid |= review.valid
        self.reasons.update(review.reasons)
        return review

    async def _answer_again(self, challenge: Challenge) -> None:
        now = self._clock.monotonic()
        if now < self._next_answer[challenge.url]:
            return
        answers = self._answers[challenge.url] + 1
        self._answers[challenge.url] = answers
        pause = answer_pause(answers)
        try:
            asked = (await self._client.answer_challenge(challenge)).retry_after
        except AcmeError as error:
            # It was answered before: the order still counts.
            logger.info("The challenge %s could not be answered again: %s", challenge.url, error)
            asked = error.retry_after
        self._next_answer[challenge.url] = now + max(pause, asked or 0.0)
