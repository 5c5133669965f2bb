"""When to request renewal information: in the background, spread out, and as rarely as the CA asks (RFC 9773).

Nothing waits for the answer: an issuance needs no additional request, and a failed poll does not affect Ready.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from certwright.acme.renewal_info import DEFAULT_POLL, LONGEST_POLL, RETRY_AFTER_ERROR, SHORTEST_POLL
from certwright.certificates.renewal.due import fraction_of

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation

AFTER_ISSUANCE: Final = dt.timedelta(seconds=10)
"""So long after a certificate was issued the CA is asked at the earliest."""
FRESH_FOR: Final = dt.timedelta(seconds=DEFAULT_POLL)
"""So long after an issuance of its own a process asks for the first time: no later than it would ask again anyway.

The answer costs a write of the status as well; neither belongs to the issuance.
"""
FRESH_PART: Final = 24
"""A certificate that lives for less than six days is asked about when so small a part of its lifetime is over."""
PER_CERTIFICATE: Final = dt.timedelta(seconds=0.5)
"""After a start the first requests are spread over so much time for each Certificate that there is."""
LONGEST_SPREAD: Final = dt.timedelta(hours=1)
JITTER_PART: Final = 10
"""Of a pause: it is longer by so much at most, so that what came together does not stay together."""
FIRST_RETRY: Final = dt.timedelta(minutes=5)
"""After an error, doubling up to six hours."""
SECOND: Final = dt.timedelta(seconds=1)
"""What is remembered of a certificate has whole seconds."""
LONGEST_WAIT: Final = dt.timedelta(seconds=LONGEST_POLL * (1 + 2 / JITTER_PART))
"""A time that is further away was set with a wrong clock."""


def can_be_asked(observation: Observation) -> bool:
    """Whether the issuer of the certificate can be asked about it: it is ready, and the spec does not forbid it."""
    if observation.secret is None or observation.secret.certificate_id is None:
        return False
    settings = observation.certificate.spec.renewal
    wanted = settings is None or (settings.ari and settings.policy == "Automatic")
    return wanted and observation.issued_by is not None


def is_poll_due(observation: Observation, now: dt.datetime) -> bool:
    """Whether to ask now. When that is due at first is decided while the certificate rests, see `first_poll`."""
    at = observation.memory.poll_at
    return at is not None and not now < at <= now + LONGEST_WAIT and can_be_asked(observation)


def first_poll(observation: Observation, number: int, now: dt.datetime) -> dt.datetime:
    """Return when to ask at first, after the issuance or after the start of this process.

    Args:
        observation: What is known.
        number: How many Certificates there are.
        now: The present time.
    """
    suggestion, pause = observation.memory.suggestion, _pause_after_issuance(observation)
    begins = now if suggestion is None else max(now, suggestion.first_seen + pause)
    spread = max(min(PER_CERTIFICATE * max(number, 1), LONGEST_SPREAD), pause / JITTER_PART)
    return begins + spread * fraction_of(observation.uid, "first poll")


def _pause_after_issuance(observation: Observation) -> dt.timedelta:
    """Return how old a certificate is when it is first asked about.

    One that another process ordered, or nobody, may be the reason of the restart: it is asked about soon.
    """
    memory, facts = observation.memory, observation.secret.certificate if observation.secret is not None else None
    suggestion, ordered_at = memory.suggestion, memory.ordered_at
    if facts is None or suggestion is None or ordered_at is None or suggestion.first_seen < ordered_at - SECOND:
        return AFTER_ISSUANCE
    return max(AFTER_ISSUANCE, min(FRESH_FOR, (facts.not_after - suggestion.first_seen) / FRESH_PART))


def next_poll(observation: Observation, seconds: float, now: dt.datetime) -> dt.datetime:
    """Return when to ask again, so many seconds from now or a little later."""
    pause = dt.timedelta(seconds=min(max(seconds, SHORTEST_POLL), LONGEST_POLL))
    return now + pause + pause / JITTER_PART * fraction_of(observation.uid, "poll")


def retry_seconds(failures: int) -> float:
    """Return after how many seconds to ask again after so many failures in a row (section 4.3.3)."""
    return min(FIRST_RETRY.total_seconds() * 2.0 ** min(failures - 1, 10), RETRY_AFTER_ERROR)
