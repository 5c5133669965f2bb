"""The base classes of steps: something to do now, or an end of the reconciliation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from certwright.runtime.result import Result

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools


class Act(ABC):
    """A step that does something.

    Attributes:
        cleans_up: Whether its failures have the back-off of cleaning up instead of that of issuing.
        asks_ca: Whether it sends requests to the CA, which may have asked to wait.
        uses_order: Whether it relies on what was read of the order before: its URLs, its challenges.
        needs_latest: Whether a new leader must read the Certificate again before it takes the step.
        is_about_request: Whether it keeps the record of a person's request, which has a back-off of its own.
        is_revoking: Whether it is about a revocation, which has one, too: neither waits for the other, nor for issuing.
    """

    cleans_up: ClassVar[bool] = False
    asks_ca: ClassVar[bool] = False
    uses_order: ClassVar[bool] = False
    needs_latest: ClassVar[bool] = True
    is_about_request: ClassVar[bool] = False
    is_revoking: ClassVar[bool] = False

    @abstractmethod
    def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Do it.

        Args:
            observation: What is known.
            tools: What it is done with.

        Yields:
            What is known after each part of the step that has gone well. If a later part raises, the last one holds:
            yield before anything that may fail whatever must not be lost with it.

        Raises:
            Exception: The step failed; see `certwright.failures.classify`.
        """


class Rest:
    """A step after which nothing more is to be done now.

    Attributes:
        is_silent: Whether the status is left as it is.
    """

    is_silent: ClassVar[bool] = False

    def rest(self, observation: Observation, tools: Tools) -> Observation:  # noqa: ARG002 - others need them
        """Return the observation with a note of where things stand, and record an Event if that is news."""
        return observation

    def next_look(self, observation: Observation, now: dt.datetime) -> Result:  # noqa: ARG002 - others need them
        """Tell when the Certificate is to be looked at again."""
        return Result.ON_EVENT


Step = Act | Rest
