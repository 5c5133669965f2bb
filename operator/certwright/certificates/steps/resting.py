"""The ways to rest: settle, sleep, await the issuer, refuse, park, forget."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from certwright.certificates.steps.step import Rest
from certwright.runtime.backoff import Backoff
from certwright.runtime.result import Result

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
    from certwright.reasons import Reason

logger = logging.getLogger(__name__)

ISSUER_PAUSE_SECONDS: Final = 300.0
FIRST_REFUSED_PAUSE_SECONDS: Final = 5.0
LONGEST_REFUSED_PAUSE_SECONDS: Final = 60.0
"""A Secret that is not ours is not watched, so we poll for its removal, often at first, while someone may be at it."""


@dataclass(frozen=True)
class Settle(Rest):
    """All is well until the renewal.

    Attributes:
        renew_at: When to look again.
    """

    renew_at: dt.datetime

    def rest(self, observation: Observation, tools: Tools) -> Observation:  # noqa: ARG002 - every step has this form
        """Forget failures: they are history, also when the spec went back to what the Secret holds."""
        return observation.with_status(failed_attempts=0, last_failure_time=None, next_attempt_time=None).remember(
            note=None, issuing=Backoff(), orders_gone=0
        )

    def next_look(self, observation: Observation, now: dt.datetime) -> Result:  # noqa: ARG002
        """Look again when it is to be renewed."""
        return Result.again_at(self.renew_at, now)


@dataclass(frozen=True)
class Sleep(Rest):
    """Nothing to do before this time.

    Attributes:
        until: When to look again.
    """

    until: dt.datetime

    def rest(self, observation: Observation, tools: Tools) -> Observation:  # noqa: ARG002
        """Say in the status when that is."""
        return observation.with_order(next_look_time=self.until)

    def next_look(self, observation: Observation, now: dt.datetime) -> Result:  # noqa: ARG002
        """Look again then."""
        return Result.again_at(self.until, now)


@dataclass(frozen=True)
class AwaitIssuer(Rest):
    """The issuer is missing or not ready; its own event brings us back."""

    reason: Reason
    message: str

    def rest(self, observation: Observation, tools: Tools) -> Observation:
        """Say so."""
        return _say(observation, tools, self.reason, self.message)

    def next_look(self, observation: Observation, now: dt.datetime) -> Result:  # noqa: ARG002
        """Look again in a while, should the event have been lost."""
        return Result.again_in(ISSUER_PAUSE_SECONDS)


@dataclass(frozen=True)
class Refuse(Rest):
    """The Certificate cannot be served as it is; only a change by its owner helps, and an event will tell of it."""

    reason: Reason
    message: str

    def rest(self, observation: Observation, tools: Tools) -> Observation:
        """Say why."""
        return _say(observation, tools, self.reason, self.message)

    def next_look(self, observation: Observation, now: dt.datetime) -> Result:  # noqa: ARG002
        """Look again soon at first, then once a minute."""
        earlier = observation.memory.refusals
        return Result.again_in(min(FIRST_REFUSED_PAUSE_SECONDS * 2.0 ** min(earlier, 8), LONGEST_REFUSED_PAUSE_SECONDS))


@dataclass(frozen=True)
class Park(Rest):
    """The issuer is not loaded yet (the operator has just started): say nothing, its event brings us back."""

    is_silent: ClassVar[bool] = True


@dataclass(frozen=True)
class Forget(Rest):
    """The Certificate is going and nothing of ours is left: do nothing."""

    is_silent: ClassVar[bool] = True


def _say(observation: Observation, tools: Tools, reason: Reason, message: str) -> Observation:
    before = observation.memory.note
    observation = observation.noting(reason, message, under_way=False)
    if observation.memory.note != before:
        logger.warning("%s: %s: %s", observation.certificate.display_name, reason, message)
        tools.recorder.record(observation.subject, "Warning", reason, message)
    return observation
