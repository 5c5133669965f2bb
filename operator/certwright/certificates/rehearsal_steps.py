"""The steps of a rehearsal: try the renewal at another issuer, and report the result."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from certwright.certificates import budgeted
from certwright.certificates.ca_trouble import DOUBTED_TRIES, reading_again
from certwright.certificates.failed_step import abandon_order
from certwright.certificates.private_keys import with_key
from certwright.certificates.rehearsal import MAX_TRIES, is_rehearsing
from certwright.certificates.status import save
from certwright.certificates.steps.reread_order import RereadOrder
from certwright.certificates.steps.resume_order import ResumeOrder
from certwright.certificates.steps.step import Act
from certwright.certificates.steps.store_certificate import checked_chain
from certwright.failures import classify
from certwright.issuers.budgets import BudgetWait
from certwright.issuers.rate_limits import RateLimitWait
from certwright.pki import NotYetValid
from certwright.resources import RehearsalStatus
from certwright.runtime.aside import SLOW_CA_SECONDS, aside_if_slow
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools

logger = logging.getLogger(__name__)

STEP_SECONDS: Final = 100.0
"""A step is interrupted before the reconciler would do it, who counts that as a failure of the renewal."""
MAX_MESSAGE: Final = 1500


@dataclass(frozen=True)
class Rehearse(Act):
    """Take one step of a rehearsal: that of an issuance, at the issuer of the rehearsal.

    Whatever fails in it is the result of the rehearsal, and counts against nothing else.

    Attributes:
        step: The step.
    """

    step: Act

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Take it."""
        if observation.rehearsal_state is None:
            observation = observation.remember(rehearsal=_begun(observation, tools.clock()), rehearsing=Backoff())
        rehearsing = observation.as_rehearsal()
        try:
            async with aside_if_slow(SLOW_CA_SECONDS), asyncio.timeout(STEP_SECONDS):
                async for latest in self.step.run(rehearsing, tools):
                    observation = latest.as_real()
                    rehearsing = latest
                    yield observation
        except Exception as error:  # noqa: BLE001 - the result of the rehearsal, classified as in any step
            observation = _after_failure(observation, tools, self.step, error)
            yield observation
        else:
            if not isinstance(self.step, ResumeOrder | RereadOrder):  # reading is no progress
                observation = observation.remember(rehearsing=Backoff())
                yield observation
        budgeted.keep_account(rehearsing)
        if not is_rehearsing(observation):
            # Before its key is removed: a process that found the order without it would tell of a wrong certificate.
            yield await save(observation, tools)


@dataclass(frozen=True)
class CheckRehearsal(Act):
    """Download the certificate, and pass it through the gate that the real one will have to pass. It goes nowhere."""

    uses_order: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Check it.

        Raises:
            GateRefused: The chain is not what was requested.
        """
        observation, key = await with_key(observation, tools)
        yield observation
        try:
            await checked_chain(observation, tools, key)
        except NotYetValid as early:
            if not early.starts_soon:
                raise
        names = ", ".join(observation.request.names[:3]) if observation.request is not None else ""
        yield ended(observation, tools, "Succeeded", f"{observation.issuer_key} has issued a certificate for {names}.")


@dataclass(frozen=True)
class EndRehearsal(Act):
    """Give a rehearsal up.

    Attributes:
        why: For people.
    """

    why: str

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Say so."""
        if observation.rehearsal_state is None:
            observation = observation.remember(rehearsal=_begun(observation, tools.clock()))
        yield ended(observation, tools, "Failed", self.why)


def ended(observation: Observation, tools: Tools, state: Literal["Succeeded", "Failed"], message: str) -> Observation:
    """Return the observation with the result; the order is cleaned up after, as any order that is over."""
    begun, now = observation.rehearsal_state, tools.clock()
    if begun is None:
        raise AssertionError("a rehearsal ended that had not begun")
    what = "" if state == "Succeeded" else " The certificate in the Secret and its renewal are not affected."
    result = begun.replace(state=state, message=f"{message[:MAX_MESSAGE]}{what}", finished_time=now)
    name, said = observation.certificate.display_name, f"The renewal was rehearsed at {result.issuer}. {result.message}"
    if state == "Succeeded":
        logger.info("%s: %s", name, said)
        tools.recorder.record(observation.subject, "Normal", "RehearsalSucceeded", said)
    else:
        logger.warning("%s: %s", name, said)
        tools.recorder.record(observation.subject, "Warning", "RehearsalFailed", said)
    tools.metrics.rehearsed(state)
    return abandon_order(observation).remember(rehearsal=result, open_order=None, rehearsing=Backoff())


def _begun(observation: Observation, now: dt.datetime) -> RehearsalStatus:
    facts = observation.secret.certificate if observation.secret is not None else None
    if facts is None or observation.rehearsal_issuer is None:
        raise AssertionError("a rehearsal was planned without a certificate, or without an issuer")
    return RehearsalStatus(
        certificate=facts.fingerprint_sha256,
        issuer=str(observation.rehearsal_issuer.key),
        state="Running",
        started_time=now,
    )


def _after_failure(observation: Observation, tools: Tools, step: Act, error: Exception) -> Observation:
    """Return the observation with a later try, if the failure may pass, else with the result."""
    now = tools.clock()
    if isinstance(error, RateLimitWait):
        return observation.remember(
            rehearsing=replace(observation.memory.rehearsing, not_before=error.turn.look, since=now)
        )
    if isinstance(error, BudgetWait):
        return ended(observation, tools, "Failed", f"The rate limits of its CA do not allow it: {error}.")
    failure = classify(error, now)
    if not failure.expected:
        logger.error("%s: unexpected error in a rehearsal", observation.certificate.display_name, exc_info=error)
    backoff = observation.memory.rehearsing.failed(now, not_before=failure.not_before)
    tries = MAX_TRIES if failure.kind == "transient" else DOUBTED_TRIES if failure.doubtful else 0
    if backoff.failures < tries:
        return reading_again(observation.remember(rehearsing=backoff), step, failure)
    return ended(observation, tools, "Failed", failure.message)
