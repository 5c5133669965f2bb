"""When a certificate is due: as its CA says (RFC 9773), else by its lifetime. Pure: what is known goes in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from certwright.acme import RenewalPlan

if TYPE_CHECKING:
    from datetime import datetime

    from certwright.acme import RenewalInfo
    from certwright.cli.acme.recipe import Metadata, RenewalState

#: Certificates that live less than this are renewed at half of their life, others with a third left.
SHORT_LIFE: Final = timedelta(days=10)

#: Between which bounds the time since the last run says when the next one comes.
_LONGEST_PAUSE: Final = timedelta(days=1)


@dataclass(frozen=True)
class Due:
    """Whether to renew.

    Attributes:
        now: Whether it is time.
        at: When it is, UTC.
        reason: In words.
        waits: Whether it is time, and the CA takes no order yet.
    """

    now: bool
    at: datetime
    reason: str
    waits: bool = False


def by_lifetime(not_before: datetime, not_after: datetime) -> datetime:
    """Return when to renew a certificate whose CA says nothing: a third of its life before its end, or a half."""
    life = not_after - not_before
    return not_after - (life / 2 if life < SHORT_LIFE else life / 3)


def heard(state: RenewalState, info: RenewalInfo, now: datetime) -> RenewalState:
    """Return the state after the CA has said when; the instant that was chosen stays while the window does."""
    previous = None
    if state.window_start and state.window_end and state.at:
        previous = RenewalPlan(state.window_start, state.window_end, state.at)
    plan = RenewalPlan.follow(info, previous)
    return replace(
        state,
        window_start=plan.start,
        window_end=plan.end,
        at=plan.at,
        explanation_url=info.explanation_url,
        ask_again=now + timedelta(seconds=info.retry_after),
    )


def is_to_be_asked(state: RenewalState, now: datetime) -> bool:
    """Whether the CA is asked again: its last word has run out (RFC 9773 section 4.3.2)."""
    return state.ask_again is None or now >= state.ask_again


def decide(metadata: Metadata, state: RenewalState, now: datetime) -> Due:
    """Decide whether a certificate is renewed now.

    A run that comes before the next one, judged by the time since the last, renews what would be late then. A window
    that is only after the end of the certificate is no help, so the lifetime counts.
    """
    at, reason = by_lifetime(metadata.not_before, metadata.not_after), "by its lifetime"
    if state.at is not None and state.at < metadata.not_after:
        at, reason = state.at, "as the CA suggests"
        if state.explanation_url:
            reason += f" ({state.explanation_url})"
    pause = timedelta() if state.looked_at is None else now - state.looked_at
    due = at <= now + min(max(pause, timedelta()), _LONGEST_PAUSE)
    if due and state.retry_at is not None and now < state.retry_at:
        return Due(now=False, at=state.retry_at, reason="the CA takes no order before", waits=True)
    return Due(now=due, at=at, reason=reason)
