"""Begin a request or refuse it: the record is written first, then the work begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from certwright.certificates.requests.action import Outcome
from certwright.certificates.requests.record import asked, begun, current_revision, with_entry
from certwright.certificates.status import save
from certwright.certificates.steps.end_request import with_end
from certwright.certificates.steps.step import Act
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
    from certwright.resources import RequestSpec


@dataclass(frozen=True)
class BeginRequest(Act):
    """Write down that the request runs, and try at once what failed before: a person has looked at it.

    Attributes:
        request: What is asked for.
    """

    is_about_request: ClassVar[bool] = True

    request: RequestSpec

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Begin. A wait that the CA asked for stays."""
        note = observation.memory.note
        if note is None or note.reason != "RateLimited":
            observation = observation.with_status(last_failure_time=None, next_attempt_time=None)
            observation = observation.remember(issuing=Backoff())
        observation = observation.with_status(revision=current_revision(observation))
        entry = begun(observation, self.request, tools.clock())
        observation = await save(with_entry(observation, entry), tools)
        message = f"Begun: {asked(entry)}."
        tools.recorder.record(observation.subject, "Normal", "RequestBegun", message)
        yield observation.remember(requesting=Backoff())


@dataclass(frozen=True)
class RefuseRequest(Act):
    """Write down that the request is not carried out.

    Attributes:
        request: What is asked for.
        message: Why not, and what to do.
    """

    is_about_request: ClassVar[bool] = True

    request: RequestSpec
    message: str

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Refuse."""
        entry = begun(observation, self.request, tools.clock())
        observation = with_end(observation, tools, entry, Outcome("Refused", self.message))
        yield (await save(observation, tools)).remember(requesting=Backoff())
