"""When a certificate is due: when its CA suggests (RFC 9773), else by its lifetime. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from certwright.acme import RenewalPlan, renewal_by_lifetime

if TYPE_CHECKING:
    from datetime import datetime

    from certwright.acme import RenewalInfo
    from certwright.cli.acme.settings import Metadata, RenewalState

_LONGEST_PAUSE: Final = timedelta(days=1)
"""The longest time until the next run that is assumed from the time since the last one."""


@dataclass(frozen=True)
class Due:
    """Whether a certificate is due.

    Attributes:
        now: Whether to renew it now.
        at: When it is due.
        reason: Why then, for the user.
        waits: Whether it is due, but the CA accepts no order yet.
    """

    now: bool
    at: datetime
    reason: str
    waits: bool = False


def heard(state: RenewalState, info: RenewalInfo, now: datetime) -> RenewalState:
    """Return the state with the CA's suggestion; the chosen time stays as long as the window does."""
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
    """Return whether to ask the CA again: its Retry-After has passed (RFC 9773 section 4.3.2)."""
    return state.ask_again is None or now >= state.ask_again


def decide(metadata: Metadata, state: RenewalState, now: datetime) -> Due:
    """Decide whether to renew a certificate now.

    Renew what would be overdue at the next run, which is expected after as much time as has passed since the last
    one. A suggestion after the certificate expires is useless, so the lifetime decides.
    """
    at, reason = renewal_by_lifetime(metadata.not_before, metadata.not_after), "based on its lifetime"
    if state.at is not None and state.at < metadata.not_after:
        at, reason = state.at, "as the CA suggests"
        if state.explanation_url:
            reason += f" ({state.explanation_url})"
    pause = timedelta() if state.looked_at is None else now - state.looked_at
    due = at <= now + min(max(pause, timedelta()), _LONGEST_PAUSE)
    if due and state.retry_at is not None and now < state.retry_at:
        return Due(now=False, at=state.retry_at, reason="when the CA accepts orders again", waits=True)
    return Due(now=due, at=at, reason=reason)
