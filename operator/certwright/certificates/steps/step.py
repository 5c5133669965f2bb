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
        cleans_up: Whether its failures use the back-off of cleaning up instead of that of issuing.
        asks_ca: Whether it sends requests to the CA, which may have asked to wait.
        uses_order: Whether it relies on what was read of the order before: its URLs and challenges.
        needs_latest: Whether a new leader must read the Certificate again before this step.
        is_about_request: Whether it updates the record of a request, which has a separate back-off.
        is_revoking: Whether it is about a revocation, which also has a separate back-off.
    """

    cleans_up: ClassVar[bool] = False
    asks_ca: ClassVar[bool] = False
    uses_order: ClassVar[bool] = False
    needs_latest: ClassVar[bool] = True
    is_about_request: ClassVar[bool] = False
    is_revoking: ClassVar[bool] = False

    @abstractmethod
    def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Carry out the step.

        Args:
            observation: The current observation.
            tools: The collaborators.

        Yields:
            The new observation after each part that succeeded. If a later part raises, the last one stays valid, so
            yield everything that must not be lost before anything that may fail.

        Raises:
            Exception: The step failed; see `certwright.failures.classify`.
        """


class Rest:
    """A step that ends the reconciliation, because there is nothing more to do now.

    Attributes:
        is_silent: Whether the status stays unchanged.
    """

    is_silent: ClassVar[bool] = False

    def rest(self, observation: Observation, tools: Tools) -> Observation:  # noqa: ARG002 - others need them
        """Return the observation with a note of the current state, and record an Event if it is new."""
        return observation

    def next_look(self, observation: Observation, now: dt.datetime) -> Result:  # noqa: ARG002 - others need them
        """Return when to reconcile the Certificate again."""
        return Result.ON_EVENT


Step = Act | Rest
