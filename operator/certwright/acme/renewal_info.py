"""ACME Renewal Information: when the CA wants a certificate renewed (RFC 9773)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509

from certwright.acme import base64url
from certwright.acme.directory import offered
from certwright.acme.errors import InvalidCertificate
from certwright.acme.fields import Fields
from certwright.http.retry_after import retry_after_seconds
from certwright.issuing import UNREADABLE

if TYPE_CHECKING:
    from datetime import datetime

    from certwright.acme.server import AcmeServer
    from certwright.acme.transport import UrlPolicy
    from certwright.http.message import Response

SHORTEST_POLL: Final = 60.0
"""The shortest and longest Retry-After that is respected (section 4.3.2), in seconds."""
LONGEST_POLL: Final = 86_400.0

DEFAULT_POLL: Final = 6 * 3600.0
"""The interval if the server does not say, in seconds; public CAs say six hours."""

RETRY_AFTER_ERROR: Final = 6 * 3600.0
"""When to ask again after an error that is likely to pass (section 4.3.3), in seconds: the RFC's six hours."""

LAST_PART: Final = 10
"""In the last tenth of its lifetime a certificate is due, whatever the CA suggests."""

FIRST_PAUSE: Final = timedelta(hours=1)
"""So old a certificate has to be before a suggestion replaces it early, if it is the outcome of such a renewal itself.

Each further one in a row has to be six times as old.
"""
PAUSE_GROWTH: Final = 6

EARLY_PART: Final = 3
"""A renewal in the first third of the lifetime is early."""

SHORT_LIFE: Final = timedelta(days=10)
"""Certificates with a shorter lifetime are renewed at half of it, others when a third of it remains."""


@dataclass(frozen=True)
class RenewalInfo:
    """The window that the CA suggests for the renewal of one certificate.

    Attributes:
        start: Its start, aware UTC.
        end: Its end, aware UTC, after `start`.
        explanation_url: A page that explains the window, or None.
        retry_after: Seconds until the next request, between a minute and a day.
    """

    start: datetime
    end: datetime
    explanation_url: str | None = None
    retry_after: float = DEFAULT_POLL

    @classmethod
    def parse(cls, response: Response, urls: UrlPolicy, *, retry_after: float | None = None) -> RenewalInfo:
        """Parse renewal information (section 4.2).

        Raises:
            MalformedResponse: The body is not renewal information, or its window ends before it begins (section 4.2).
        """
        fields = Fields.of(response, "the renewal information", urls)
        window = fields.child("suggestedWindow")
        if window is None:
            return fields.fail("suggestedWindow", "missing")
        start, end = window.instant("start"), window.instant("end")
        if end <= start:
            return window.fail("end", "not after its start")
        return cls(start, end, fields.shown("explanationURL"), poll_interval(retry_after))

    def choose(self, *, rng: random.Random | None = None) -> datetime:
        """Choose a uniformly random time in the window (section 4.2). Choose once and store it."""
        return self.start + (self.end - self.start) * (rng or random.SystemRandom()).random()


@dataclass(frozen=True)
class RenewalPlan:
    """The chosen renewal time, to be stored with the certificate.

    Attributes:
        start: The start of the window it was chosen from.
        end: The end of that window.
        at: The chosen time, aware UTC; in the past means now.
    """

    start: datetime
    end: datetime
    at: datetime

    @classmethod
    def follow(
        cls, info: RenewalInfo, previous: RenewalPlan | None = None, *, rng: random.Random | None = None
    ) -> RenewalPlan:
        """Keep the chosen time as long as the window contains it; otherwise choose in the new window.

        Choosing again at every request would favour early times, and make all clients of a CA renew early.
        """
        if previous is not None and info.start <= previous.at <= info.end:
            is_same = (previous.start, previous.end) == (info.start, info.end)
            return previous if is_same else cls(info.start, info.end, previous.at)
        return cls(info.start, info.end, info.choose(rng=rng))

    def within(
        self,
        not_before: datetime,
        not_after: datetime,
        *,
        issued_at: datetime | None = None,
        early_renewals: int = 0,
    ) -> datetime | None:
        """Return when to renew a certificate by this plan; None if it says nothing about this certificate.

        A CA may be wrong, or slow to notice a renewal. No window counts that begins after the certificate ends, or that
        spans its whole lifetime. In the last tenth of its lifetime a certificate is due whatever the CA suggests,
        because a renewal may fail. A certificate that was itself issued early because of a suggestion is not replaced
        by a window from before it, and by a later one only once it is an hour old, the next one six hours, and so on.

        Args:
            not_before: When the certificate begins, aware.
            not_after: When it ends.
            issued_at: When it was issued, if that is known; CAs let certificates begin an hour or so before.
            early_renewals: How many certificates in a row were replaced in the first third of their lifetime because
                of a suggestion, this one being the last.
        """
        issued, life = not_before if issued_at is None else max(issued_at, not_before), not_after - not_before
        is_stale = early_renewals > 0 and self.start <= issued
        if is_stale or self.start >= not_after or (self.start <= not_before and self.end >= not_after):
            return None
        at = max(self.at, issued + pause_after_early_renewals(early_renewals, life))
        return min(at, not_after - life / LAST_PART)

    def is_due(self, now: datetime, *, next_look: float = 0.0) -> bool:
        """Return whether to renew now: the time is past, or would pass before the next check (section 4.2).

        Args:
            now: The current time, aware.
            next_look: Seconds until the next check.
        """
        return self.at <= now + timedelta(seconds=next_look)


def poll_interval(retry_after: float | None) -> float:
    """Return the seconds until the next request for renewal information, between a minute and a day."""
    return DEFAULT_POLL if retry_after is None else min(max(retry_after, SHORTEST_POLL), LONGEST_POLL)


def pause_after_early_renewals(number: int, life: timedelta) -> timedelta:
    """Return how old a certificate has to be before the CA's suggestion replaces it.

    A CA that suggests to renew each certificate as soon as it is issued, because of a stale cache or a wrong clock,
    would otherwise be asked for one after another.

    Args:
        number: How many certificates in a row were replaced early because of a suggestion, this one being the last.
        life: Its lifetime.
    """
    if number < 1:
        return timedelta()
    return min(FIRST_PAUSE * float(PAUSE_GROWTH ** min(number - 1, 8)), life / EARLY_PART)


def renewal_by_lifetime(not_before: datetime, not_after: datetime) -> datetime:
    """Return when to renew a certificate if the CA suggests nothing.

    When a third of its real lifetime remains, or half of one of less than ten days: what Let's Encrypt advises.
    """
    life = not_after - not_before
    return not_after - (life / 2 if life < SHORT_LIFE else life / 3)


def still_to_be_asked(*, not_after: datetime, replaced: bool, now: datetime) -> bool:
    """Return whether to keep requesting renewal information for a certificate.

    That ends when the certificate is expired or replaced (section 4.3.3).
    """
    return not replaced and now < not_after


def certificate_identifier(certificate_der: bytes) -> str:
    """Return the identifier of a certificate in renewal information and `replaces` (section 4.1).

    That is the key identifier of its authority key identifier, and its serial number as DER writes it, both base64url.

    Raises:
        InvalidCertificate: It is no certificate, or names no authority key identifier.
    """
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        extension = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        raise _no_key_identifier() from None
    except (*UNREADABLE, x509.InvalidVersion):
        raise InvalidCertificate("Not a certificate in DER, or one whose extensions cannot be read") from None
    if extension.value.key_identifier is None:
        raise _no_key_identifier()
    serial = certificate.serial_number
    if serial < 0:
        raise InvalidCertificate("The certificate has a negative serial number, which no CA may issue (RFC 5280)")
    # DER puts a zero octet before a first bit that is set, and it counts.
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return f"{base64url.encode(extension.value.key_identifier)}.{base64url.encode(octets)}"


async def fetch_renewal_info(server: AcmeServer, certificate_der: bytes) -> RenewalInfo:
    """Fetch the renewal information of a certificate (RFC 9773 section 4.1); no account is needed.

    After a temporary error, retry after `RETRY_AFTER_ERROR`; until then the last answer holds.

    Args:
        server: The CA that issued it.
        certificate_der: The end-entity certificate.

    Raises:
        NotOffered: The server has no renewal information: renew by the certificate's lifetime.
        InvalidCertificate: The certificate has no authority key identifier.
        MalformedResponse: The body is not renewal information, or its window ends before it begins.
        ProblemError: The server does not know the certificate.
    """
    directory = await server.directory()
    base = offered(directory.renewal_info, "renewalInfo", directory)
    # Not patient: nothing waits for it, and the next time to ask comes anyway.
    url = f"{base.rstrip('/')}/{certificate_identifier(certificate_der)}"
    response = await server.get("renewalInfo", url, patient=False)
    wait = retry_after_seconds(response.headers, now=server.clock.now())
    return RenewalInfo.parse(response, server.urls, retry_after=wait)


def _no_key_identifier() -> InvalidCertificate:
    return InvalidCertificate(
        "The certificate has no authority key identifier, so there is no renewal information for it"
    )
