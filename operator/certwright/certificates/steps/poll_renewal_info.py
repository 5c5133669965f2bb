"""Ask the CA when to renew the certificate."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

from cryptography.hazmat.primitives.serialization import Encoding

from certwright.acme import (
    AcmeError,
    MalformedResponse,
    NotOffered,
    ProblemError,
    RateLimited,
    ResponseTooLarge,
    ServerResponseError,
    fetch_renewal_info,
)
from certwright.acme.renewal_info import LONGEST_POLL, RETRY_AFTER_ERROR
from certwright.certificates.renewal.due import fraction_of
from certwright.certificates.renewal_polls import next_poll, retry_seconds
from certwright.certificates.steps.step import Act
from certwright.runtime.aside import aside_if_slow
from certwright.runtime.backoff import Backoff
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.certificates.observation import Observation
    from certwright.certificates.renewal.suggestion import Suggestion
    from certwright.certificates.tools import Tools

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 10.0
"""Nobody waits for an answer for longer: others need the worker."""
QUIET: Final = dt.timedelta(minutes=1)
"""A CA that did not answer is not asked about other certificates for so long: each would hold a worker in vain,"""
LONGEST_QUIET: Final = dt.timedelta(seconds=RETRY_AFTER_ERROR / 2)
"""twice as long each time that it does not answer after that, at most so long."""
QUIET_SPREAD: Final = dt.timedelta(minutes=5)
"""After that they ask within so long, or within as long again if it was quiet for longer."""


@dataclass(frozen=True)
class PollRenewalInfo(Act):
    """Ask for renewal information (RFC 9773). It never fails: whatever is wrong, the last answer holds."""

    needs_latest: ClassVar[bool] = False

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Ask."""
        secret, known, issuer = observation.secret, observation.memory.suggestion, observation.issued_by
        if issuer is None or secret is None or secret.leaf is None or secret.certificate is None or known is None:
            raise AssertionError("renewal information was asked for without a certificate")
        certificate_der, server = secret.leaf.public_bytes(Encoding.DER), issuer.spec.server
        quiet = tools.quiet.get(server, Backoff()).pause(tools.clock())
        if quiet is not None:
            spread = max(QUIET_SPREAD, _quiet_after(tools.quiet[server].failures))
            later = quiet + spread * fraction_of(observation.uid, "quiet")
            yield observation.after_poll(known, later, observation.memory.polls)
            return
        try:
            async with aside_if_slow(), asyncio.timeout(POLL_SECONDS):
                info = await fetch_renewal_info(issuer.client.server, certificate_der)
        except (AcmeError, TimeoutError) as error:
            if _result(error) == "unreachable":
                _keep_quiet(tools, server)
            yield _failed(observation, tools, error)
            return
        tools.quiet.pop(server, None)
        tools.metrics.renewal_info("answered")
        heard = known.heard(info, secret.certificate)
        now = tools.clock()
        before, observation = (
            observation.renew_at,
            observation.after_poll(heard, next_poll(observation, info.retry_after, now), Backoff()),
        )
        if (known.start, known.end) != (heard.start, heard.end):
            _tell(observation, tools, heard, moved=known.start is not None and observation.renew_at != before)
        yield observation


def _keep_quiet(tools: Tools, server: str) -> None:
    """Have nobody ask a CA for a while, for longer each time in a row; who had asked already says nothing new."""
    now, last = tools.clock(), tools.quiet.get(server, Backoff())
    if last.pause(now) is not None:
        return
    for known in [one for one, quiet in tools.quiet.items() if (quiet.not_before or now) <= now - LONGEST_QUIET]:
        del tools.quiet[known]
    failures = last.failures + 1
    tools.quiet[server] = Backoff(failures, now + _quiet_after(failures), since=now)


def _quiet_after(failures: int) -> dt.timedelta:
    return min(QUIET * 2.0 ** min(failures - 1, 16), LONGEST_QUIET)


def _failed(observation: Observation, tools: Tools, error: Exception) -> Observation:
    """Return the observation with the time of the next request."""
    now, memory = tools.clock(), observation.memory
    failures = memory.polls.failures + 1
    seconds, result = retry_seconds(failures), _result(error)
    if isinstance(error, NotOffered):
        seconds = LONGEST_POLL  # it may come to have it
    elif result == "refused":
        seconds = RETRY_AFTER_ERROR
    asked = error.retry_after if isinstance(error, AcmeError) else None
    poll_at = next_poll(observation, max(seconds, asked or 0.0), now)
    tools.metrics.renewal_info(result)
    level = logging.DEBUG if isinstance(error, NotOffered) else logging.INFO
    name, said = observation.certificate.display_name, str(error) or "no answer in time"
    logger.log(level, "%s: no renewal information: %s; asking again at %s", name, said, rfc3339(poll_at))
    return observation.after_poll(memory.suggestion, poll_at, replace(memory.polls, failures=failures))


def _result(error: Exception) -> str:
    """Return how the metric calls a failure."""
    match error:
        case NotOffered():
            return "not_offered"
        case RateLimited():
            return "rate_limited"
        case ProblemError():
            return "failed" if error.temporary else "refused"
        case MalformedResponse() | ResponseTooLarge():
            return "malformed"
        case ServerResponseError():
            return "failed"
        case _:
            return "unreachable"


def _tell(observation: Observation, tools: Tools, heard: Suggestion, *, moved: bool) -> None:
    """Record what the CA suggests: for the log at first, as an Event if it moves a renewal that people know of."""
    renewal = observation.renewal
    if renewal is None or heard.start is None or heard.end is None:
        return
    see = f" It explains why at {heard.explanation_url}." if heard.explanation_url else ""
    at = f" The certificate is renewed at {rfc3339(renewal.at)}." if renewal.at is not None else ""
    ignored = " The window is older than the certificate, and is not followed." if heard.is_stale else ""
    message = (
        f"The CA suggests to renew the certificate between {rfc3339(heard.start)} and {rfc3339(heard.end)}.{see}"
        f"{ignored or at}"
    )
    logger.info("%s: %s", observation.certificate.display_name, message)
    if moved or heard.is_stale:
        tools.recorder.record(observation.subject, "Normal", "RenewalSuggested", message)
