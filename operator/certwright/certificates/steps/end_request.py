"""End a request: write its record first, then remove the field from the spec."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from certwright.certificates.finalizer import written
from certwright.certificates.requests.record import REPEATED, asked, ended, when, with_entry
from certwright.certificates.status import save
from certwright.certificates.steps.step import Act
from certwright.resources import LONGEST_REQUEST_MESSAGE, Certificate
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.requests.action import Outcome
    from certwright.certificates.tools import Tools
    from certwright.resources import RequestStatus

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EndRequest(Act):
    """Write down how the request has ended.

    Attributes:
        entry: Its entry.
        outcome: How it has ended.
    """

    is_about_request: ClassVar[bool] = True

    entry: RequestStatus
    outcome: Outcome

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """End it."""
        observation = with_end(observation, tools, self.entry, self.outcome)
        yield (await save(observation, tools)).remember(requesting=Backoff())


@dataclass(frozen=True)
class TakeOutRequest(Act):
    """Remove the request from the spec, if it is still the one that has ended.

    Attributes:
        request_id: Its ID.
    """

    is_about_request: ClassVar[bool] = True

    request_id: str

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Remove it."""
        body = await tools.kube_api.take_out(
            Certificate.PLURAL,
            observation.certificate.metadata.identity,
            "/spec/request",
            if_equal=("/spec/request/id", self.request_id),
        )
        yield written(observation, tools, body).remember(taken_out=self.request_id, requesting=Backoff())


@dataclass(frozen=True)
class NoteRepeated(Act):
    """Say that something, such as GitOps, wrote a request to the spec again that has ended. It stays there.

    Attributes:
        entry: Its entry.
    """

    is_about_request: ClassVar[bool] = True

    entry: RequestStatus

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Say so."""
        said = self.entry.message[: LONGEST_REQUEST_MESSAGE - len(REPEATED) - 1]
        message = (
            f"The {asked(self.entry)} was finished at {when(self.entry)} ({self.entry.state}), and was written to the "
            "spec again. It is not repeated. Remove spec.request from its source, such as a Git repository; "
            "to repeat it, use a new ID."
        )
        tools.recorder.record(observation.subject, "Warning", "RequestRepeated", message)
        logger.warning("%s: RequestRepeated: %s", observation.certificate.display_name, message)
        yield with_entry(observation, self.entry.replace(message=f"{said} {REPEATED}".lstrip()))


def with_end(observation: Observation, tools: Tools, entry: RequestStatus, outcome: Outcome) -> Observation:
    """Return the observation with the end of a request in its draft; tell people and Prometheus.

    Whoever calls it has it saved: `save`, or the next write of the status.
    """
    entry = ended(entry, outcome.state, outcome.message, tools.clock())
    tools.metrics.requested(entry.action, entry.state)
    message = f"{entry.state}: {asked(entry)}. {entry.message}"
    match entry.state:
        case "Succeeded":
            tools.recorder.record(observation.subject, "Normal", "RequestSucceeded", message)
        case "Refused":
            tools.recorder.record(observation.subject, "Warning", "RequestRefused", message)
            logger.warning("%s: RequestRefused: %s", observation.certificate.display_name, message)
        case _:
            tools.recorder.record(observation.subject, "Warning", "RequestFailed", message)
            logger.warning("%s: RequestFailed: %s", observation.certificate.display_name, message)
    return with_entry(observation, entry)
