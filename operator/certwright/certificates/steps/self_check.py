"""Check that the responses are visible where the CA will look for them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.certificates.order.responses import look_for_all, waiting_reason
from certwright.certificates.steps.step import Act
from certwright.dns import Propagation
from certwright.failures import IssuanceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
    from certwright.challenges.response import ChallengeResponse, Sighting

FIRST_CHECK_SECONDS: Final = 0.2
GROWTH_OF_CHECKS: Final = 1.25
LONGEST_CHECK_SECONDS: Final = 5.0
MAX_WARNINGS: Final = 10
"""Of one order: what changes to and fro is told once."""
MAX_SEEN_CHARACTERS: Final = 4000
"""Of what a status shows of the last look for one name."""


@dataclass(frozen=True)
class SelfCheck(Act):
    """Look once for every response; set the time of the next look if some cannot be seen yet."""

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Look.

        Raises:
            IssuanceError: Some that are required cannot be seen after their presenter's patience.
        """
        now = tools.clock()
        open_order, presenters = observation.open_order, observation.memory.presenters
        responses = open_order.responses
        seen = await look_for_all(responses, presenters)
        presented_at = open_order.presented_at or now
        if presented_at > now:
            presented_at = now  # the clock was set back: the patience begins again
            observation = observation.with_open_order(presented_at=now)
        waited = tools.clock() - presented_at
        # What is answered already is the CA's to look for.
        missing = sorted(name for name in open_order.challenges if not seen[name].complete)
        advisory = [name for name in missing if presenters[name].self_check != "required"]
        given_up = [name for name in advisory if waited >= presenters[name].patience]
        blocking = [name for name in missing if name not in given_up]
        words = {name: seen[name].describe() for name in missing}
        told = words | {name: seen[name].describe() for name in open_order.challenges if seen[name].remark}
        observation = observation.with_authorizations(
            {name: {"last_seen": text[:MAX_SEEN_CHARACTERS], "last_look_time": now} for name, text in told.items()}
        ).with_open_order(checks=open_order.checks + 1)
        if not blocking:
            if given_up:
                what = _describe_missing(responses, words, given_up)
                message = f"{what}. Asking the CA anyway (selfCheck: {presenters[given_up[0]].self_check})."
                tools.recorder.record(observation.subject, "Warning", "SelfCheckSkipped", message)
            yield observation.with_open_order(propagated=True)
            return
        what = _describe_missing(responses, words, blocking)
        left = max(presenters[name].patience for name in blocking) - waited
        if left <= dt.timedelta():
            yield observation.with_open_order(presented_at=None)  # the next try puts them in place again
            first = responses[blocking[0]]
            message = f"After {waited.total_seconds():.0f} s {what}. {first.advice}"
            raise IssuanceError(first.failure_reason, message, by_name=words)
        pause = min(FIRST_CHECK_SECONDS * GROWTH_OF_CHECKS ** min(open_order.checks, 20), LONGEST_CHECK_SECONDS)
        rested = observation.open_order.resting(min(dt.timedelta(seconds=pause), left), tools.clock())
        observation = observation.remember(open_order=rested)
        late = {
            name: seen[name]
            for name in blocking
            if waited >= responses[name].warn_after and not _is_underway(seen[name])
        }
        observation = _with_warning(observation, tools, late, words)
        yield observation.noting(waiting_reason(responses), f"{what}.")


def _is_underway(sighting: Sighting) -> bool:
    """Whether a DNS provider says that it is still distributing the record: nothing is wrong with that."""
    return isinstance(sighting, Propagation) and bool(sighting.pending)


def _with_warning(
    observation: Observation, tools: Tools, late: Mapping[str, Sighting], words: Mapping[str, str]
) -> Observation:
    """Record an Event, well before the patience is over, of responses that cannot be seen; one for every new cause."""
    open_order = observation.open_order
    known, responses = open_order.warned, open_order.responses
    causes = {name: (responses[name].waiting_reason, sighting.cause) for name, sighting in late.items()}
    new = [name for name, cause in causes.items() if cause not in known]
    if not new or len(known) >= MAX_WARNINGS:
        return observation
    message = f"{_describe_missing(responses, words, new)}."
    tools.recorder.record(observation.subject, "Warning", responses[new[0]].waiting_reason, message)
    observation = observation.with_open_order(warned=known | {causes[name] for name in new})
    return observation.remember(saved_at=None)  # the status is to say it too, at once


def _describe_missing(responses: Mapping[str, ChallengeResponse], words: Mapping[str, str], names: list[str]) -> str:
    first = names[0]
    others = len(names) - 1
    what = responses[first].describe_missing(first, words[first])
    return what + (f" ({others} more domain{'s' if others > 1 else ''} also waiting)" if others else "")
