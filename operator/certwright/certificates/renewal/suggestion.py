"""The CA's suggestion for renewing the certificate in a Secret (RFC 9773), and when it is followed. Pure.

A suggestion can only move the renewal within the certificate's lifetime: a window after its end is ignored, and one
that is always in the past (from a CA with a stale cache or a wrong clock) costs one renewal instead of a loop.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from certwright.acme.renewal_info import EARLY_PART, LAST_PART, pause_after_early_renewals
from certwright.http.url import page_url
from certwright.resources import MAX_COUNT, RenewalStatus

if TYPE_CHECKING:
    from certwright.acme import RenewalInfo
    from certwright.pki import CertificateFacts

LONGEST_BACKDATING: Final = dt.timedelta(hours=2)
"""CAs let a certificate begin an hour or so before it was issued, for clients whose clock is behind."""
MAX_URL: Final = 512


@dataclass(frozen=True)
class Suggestion:
    """What is known of one certificate.

    Attributes:
        certificate: Its identifier (RFC 9773 section 4.1), or its fingerprint if it has none and nobody can be asked.
        first_seen: When it was first seen in the Secret; not before its lifetime begins.
        start: The start of the window, in whole seconds; None if none is known.
        end: Its end.
        at: The time that was chosen in it.
        explanation_url: A page that explains the window.
        early_renewals: How many certificates in a row were replaced early by a suggestion, this one being the last.
        confirmed: Whether the CA said so to this process. What an earlier process wrote anybody may have written.
    """

    certificate: str
    first_seen: dt.datetime
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    at: dt.datetime | None = None
    explanation_url: str | None = None
    early_renewals: int = 0
    confirmed: bool = False

    def heard(self, info: RenewalInfo, facts: CertificateFacts) -> Suggestion:
        """Return what is known after an answer of the CA.

        The chosen time stays as long as the window contains it: choosing again at every answer would favour early
        times. A window that begins after the certificate ends is no answer, nor is one of all its lifetime, which some
        CAs give for short certificates. Of one that began before the certificate was there the rest counts.
        """
        start, end = info.start.replace(microsecond=0), info.end.replace(microsecond=0)
        says_nothing = start <= self.first_seen and end >= facts.not_after
        if start >= facts.not_after or says_nothing:
            return replace(self, start=None, end=None, at=None, explanation_url=None, confirmed=True)
        at = self.at
        end = min(end, facts.not_after)
        if at is None or not start <= at <= end:
            begin = max(start, self.first_seen) if end > self.first_seen else start
            at = max(replace(info, start=begin, end=end).choose().replace(microsecond=0), begin)
        url = _page(info.explanation_url)
        return replace(self, start=start, end=end, at=at, explanation_url=url, confirmed=True)

    def time(self, facts: CertificateFacts) -> dt.datetime | None:
        """Return when to renew by it; None if it is not followed."""
        if self.at is None or self.is_stale:
            return None
        life = facts.not_after - facts.not_before
        if not self.confirmed and self.at < facts.not_before + life / EARLY_PART:
            return None
        pause = pause_after_early_renewals(self.early_renewals, life)
        return min(max(self.at, self.first_seen + pause), facts.not_after - life / LAST_PART)

    def issued_at(self, facts: CertificateFacts) -> dt.datetime:
        """Return when the certificate was issued, as far as it is known: CAs date it back by an hour or two.

        No later than when its last tenth begins, as what a status says of it must not put a renewal off for ever. (Of
        a certificate for ten minutes that was dated back by an hour, most of the lifetime was over when it was issued.)
        """
        life = facts.not_after - facts.not_before
        latest = facts.not_before + min(LONGEST_BACKDATING, life - life / LAST_PART)
        return min(max(self.first_seen, facts.not_before), latest)

    @property
    def is_stale(self) -> bool:
        """Whether the window is older than the certificate, which itself was issued early because of such a one."""
        return bool(self.early_renewals) and self.start is not None and self.start <= self.first_seen

    def status(self) -> RenewalStatus:
        """Return what the status says of it."""
        return RenewalStatus(
            certificate=self.certificate,
            window_start=self.start,
            window_end=self.end,
            time=self.at,
            explanation_url=self.explanation_url,
            first_seen_time=self.first_seen,
            early_renewals=self.early_renewals,
        )


def suggestion_of(
    known: Suggestion | RenewalStatus | None,
    certificate: str,
    facts: CertificateFacts,
    *,
    life_before: tuple[dt.datetime, dt.datetime] | None,
    now: dt.datetime | None,
) -> Suggestion:
    """Return what is known of the certificate that is in the Secret now.

    Args:
        known: What was known before: to this process, else what the status says, which is a hint at most.
        certificate: The identifier of the certificate, or its fingerprint.
        facts: Of the certificate.
        life_before: When the certificate that `known` is about began and ends, if that is known.
        now: The present time, if it is known.
    """
    if isinstance(known, Suggestion) and known.certificate == certificate:
        return known
    first_seen = max(facts.not_before, min(now or facts.not_before, facts.not_after)).replace(microsecond=0)
    if isinstance(known, RenewalStatus) and known.certificate == certificate:
        return _believed(known, Suggestion(certificate, first_seen), facts)
    early = _early_renewals(known, facts, life_before)
    return Suggestion(certificate, first_seen, early_renewals=early)


def _believed(status: RenewalStatus, fresh: Suggestion, facts: CertificateFacts) -> Suggestion:
    """Return what an earlier process wrote, as far as it can have."""
    found = replace(fresh, early_renewals=status.early_renewals)
    if status.first_seen_time is not None and facts.not_before <= status.first_seen_time <= fresh.first_seen:
        found = replace(found, first_seen=status.first_seen_time)
    start, end, at = status.window_start, status.window_end, status.time
    if start is None or end is None or at is None or not start <= at <= end or start >= facts.not_after:
        return found
    return replace(found, start=start, end=end, at=at, explanation_url=_page(status.explanation_url))


def _early_renewals(
    known: Suggestion | RenewalStatus | None, facts: CertificateFacts, before: tuple[dt.datetime, dt.datetime] | None
) -> int:
    """Return how many certificates in a row were replaced early by a suggestion, now that there is another one."""
    if known is None or before is None:
        return 0
    begun, ends = before
    if facts.not_before >= begun + (ends - begun) / EARLY_PART:
        return 0
    at = known.at if isinstance(known, Suggestion) else known.time
    by_suggestion = at is not None and at <= facts.not_before + LONGEST_BACKDATING
    return min(known.early_renewals + by_suggestion, MAX_COUNT)


def _page(url: str | None) -> str | None:
    return None if url is None or len(url) > MAX_URL else page_url(url)
