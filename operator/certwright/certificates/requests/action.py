"""The interface of a request's action: when it is refused, what it needs, and when it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from certwright.certificates.observation import Observation
    from certwright.resources import RequestSpec, RequestState, RequestStatus


@dataclass(frozen=True)
class Outcome:
    """How a request ends.

    Attributes:
        state: Succeeded, Failed or Refused.
        message: For people: what came of it.
    """

    state: RequestState
    message: str


@dataclass(frozen=True)
class Action:
    """Pure answers about one action. What it does itself is a step, see `certificates/plan_requests.py`.

    Attributes:
        refusal: Why a request cannot be begun as things are, or None.
        wants_certificate: Whether a running request needs a certificate issued now.
        outcome: How a running request has ended, or None if it has not.
    """

    refusal: Callable[[Observation, RequestSpec], str | None]
    wants_certificate: Callable[[Observation, RequestStatus], bool]
    outcome: Callable[[Observation, RequestStatus, dt.datetime], Outcome | None]
