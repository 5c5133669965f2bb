"""When to renew a certificate: when its CA suggests it (RFC 9773), otherwise by its lifetime. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from certwright.acme import RenewalPlan, renewal_by_lifetime
from certwright.acme.renewal_info import EARLY_PART

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
    """Return the state with the CA's suggestion; the chosen time stays as long as the window contains it."""
    plan = RenewalPlan.follow(info, _plan_of(state))
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
    one. A suggestion that says nothing about the certificate is useless, so the lifetime decides.
    """
    at, reason = renewal_by_lifetime(metadata.not_before, metadata.not_after), "based on its lifetime"
    suggested = suggested_time(metadata, state)
    if suggested is not None:
        at, reason = suggested, "as the CA suggests"
        if state.explanation_url:
            reason += f" ({state.explanation_url})"
    pause = timedelta() if state.looked_at is None else now - state.looked_at
    due = at <= now + min(max(pause, timedelta()), _LONGEST_PAUSE)
    if due and state.retry_at is not None and now < state.retry_at:
        return Due(now=False, at=state.retry_at, reason="when the CA accepts orders again", waits=True)
    return Due(now=due, at=at, reason=reason)


def suggested_time(metadata: Metadata, state: RenewalState) -> datetime | None:
    """Return when the CA wants the certificate renewed, as far as it is followed; None if it does not say."""
    plan = _plan_of(state)
    if plan is None:
        return None
    return plan.within(
        metadata.not_before,
        metadata.not_after,
        issued_at=metadata.issued_at,
        early_renewals=state.early_renewals,
    )


def early_renewals(metadata: Metadata, state: RenewalState, now: datetime) -> int:
    """Return how many certificates in a row were replaced early because of a suggestion, once one is renewed now."""
    suggested = suggested_time(metadata, state)
    is_early = now < metadata.not_before + _life(metadata) / EARLY_PART
    return state.early_renewals + 1 if is_early and suggested is not None and suggested <= now + _LONGEST_PAUSE else 0


def _plan_of(state: RenewalState) -> RenewalPlan | None:
    if state.at is None:
        return None
    return RenewalPlan(state.window_start or state.at, state.window_end or state.at, state.at)


def _life(metadata: Metadata) -> timedelta:
    return metadata.not_after - metadata.not_before
