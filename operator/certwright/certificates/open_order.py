"""The order that this process is working on."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from certwright.acme import OrderStatus
from certwright.acme.validation import FIRST_REVIEW, LONGEST_REVIEW, answer_pause

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.acme import Challenge, Order
    from certwright.challenges.response import ChallengeResponse
    from certwright.pki import PrivateKey

FIRST_POLL_SECONDS: Final = 0.25
GROWTH_OF_POLLS: Final = 1.25
LONGEST_POLL_SECONDS: Final = 15.0
LONGEST_FLOOR_SECONDS: Final = 300.0
"""However soon a CA wants to be asked again, an order that does not move is asked about ever less often, up to this."""
LONGEST_ASKED_SECONDS: Final = 3600.0
"""A longer Retry-After than this is not believed while an order is open."""

_STATES: Final = tuple(OrderStatus)
"""In the order in which an order goes through them (RFC 8555 section 7.1.6)."""


@dataclass(frozen=True)
class OpenOrder:
    """An open order as held in memory; after a restart it is made again from the status and the CA.

    Attributes:
        order: As last seen at the CA.
        started_at: When it was placed.
        next_look: Nothing is to be asked before this time.
        rests_since: When that was decided; None if it is due at once.
        responses: What the CA is to find, by the authorization's name; an answered one stays until the order is done.
        challenges: The challenge of each that is not answered yet, by the same name.
        key: The private key of the order, once it is in a Secret.
        resumed: Whether an earlier process placed the order and may have left its key in a Secret.
        presented_at: When this process put the responses in place; None before.
        propagated: Whether they were seen where the CA looks, or need not be.
        checks: How often they were looked for.
        polls: How often the CA was asked since the last progress.
        furthest: The furthest state that the order has been in; only beyond it is progress.
        finalized: Whether this process has sent the CSR.
        next_review: When the authorizations are to be read if the order is still pending; None if that is due.
        reviews: How often they were.
        next_answer: When challenges that failed may be answered again.
        answers: How often challenges were answered.
        key_due: When its private key, which is being made, is to be fetched; None if at once.
        usable_from: When its certificate, which is issued, may be written; None if at once.
        account_key: The thumbprint of the account key that the responses are for; empty if there are none.
        answered_names: Of which authorizations this process has answered the challenge.
        doubted: Whether the CA has failed on what was read of it, so that it is read again first.
        warned: What Events have said of responses that could not be seen: the reason, and the cause.
    """

    order: Order
    started_at: dt.datetime
    next_look: dt.datetime
    rests_since: dt.datetime | None = None
    responses: Mapping[str, ChallengeResponse] = field(default_factory=dict)
    challenges: Mapping[str, Challenge] = field(default_factory=dict)
    key: PrivateKey | None = field(default=None, repr=False)
    resumed: bool = False
    presented_at: dt.datetime | None = None
    propagated: bool = False
    checks: int = 0
    polls: int = 0
    furthest: OrderStatus = OrderStatus.PENDING
    finalized: bool = False
    next_review: dt.datetime | None = None
    reviews: int = 0
    next_answer: dt.datetime | None = None
    answers: int = 1
    key_due: dt.datetime | None = None
    usable_from: dt.datetime | None = None
    account_key: str = ""
    answered_names: frozenset[str] = frozenset()
    doubted: bool = False
    warned: frozenset[tuple[str, str]] = frozenset()

    def is_review_due(self, now: dt.datetime) -> bool:
        """Whether to read the authorizations: right after a look at the order, which usually says enough."""
        return self.polls > 0 and now < self.next_look and (self.next_review is None or self.next_review <= now)

    def answered(self, asked: float | None, now: dt.datetime, *, failed: bool) -> OpenOrder:
        """Return the order after its challenges were answered.

        Args:
            asked: Seconds that the CA asked to wait, or None.
            now: The present time.
            failed: Whether the CA said at once that one failed.
        """
        pause = min(max(answer_pause(self.answers), asked or 0.0), LONGEST_ASKED_SECONDS)
        review = now if failed else now + dt.timedelta(seconds=FIRST_REVIEW)
        return replace(self, next_answer=now + dt.timedelta(seconds=pause), next_review=review)

    def reviewed(self, now: dt.datetime, *, again: bool) -> OpenOrder:
        """Return the order after its authorizations were read: the next time they are after twice the pause.

        Args:
            now: The present time.
            again: Whether a challenge waits to be answered again; then it is not read later than that is due.
        """
        pause = dt.timedelta(seconds=min(FIRST_REVIEW * 2.0 ** min(self.reviews, 16), LONGEST_REVIEW))
        review = now + pause
        if again and self.next_answer is not None:
            review = min(review, max(self.next_answer, now))
        return replace(self, reviews=self.reviews + 1, next_review=review)

    def seen(self, order: Order) -> OpenOrder:
        """Return the order as just seen at the CA. One that moves to and fro makes no progress."""
        progress = _STATES.index(order.status) > _STATES.index(self.furthest)
        return replace(
            self,
            order=order,
            polls=0 if progress else self.polls + 1,
            furthest=order.status if progress else self.furthest,
        )

    def resting(self, pause: dt.timedelta, now: dt.datetime) -> OpenOrder:
        """Return the order with its next look after a pause."""
        return replace(self, next_look=now + pause, rests_since=now)

    def polled(self, asked: float | None, now: dt.datetime) -> OpenOrder:
        """Return the order with its next look: a little later each time, and no sooner than the CA asked for.

        Args:
            asked: Seconds that the CA asked to wait, or None.
            now: The present time.
        """
        if asked is None:
            asked = min(FIRST_POLL_SECONDS * 2.0 ** min(self.polls, 10), LONGEST_POLL_SECONDS)
        floor = min(FIRST_POLL_SECONDS * GROWTH_OF_POLLS ** min(self.polls, 100), LONGEST_FLOOR_SECONDS)
        pause = min(max(asked, floor), LONGEST_ASKED_SECONDS)
        return self.resting(dt.timedelta(seconds=pause), now)
