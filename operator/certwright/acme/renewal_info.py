"""When the CA wants a certificate renewed: ACME Renewal Information (RFC 9773)."""

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
from certwright.text import printable

if TYPE_CHECKING:
    from datetime import datetime

    from certwright.acme.server import AcmeServer
    from certwright.acme.transport import UrlPolicy
    from certwright.http.message import Response

SHORTEST_POLL: Final = 60.0
"""Between which bounds a server's Retry-After is believed (section 4.3.2), in seconds."""
LONGEST_POLL: Final = 86_400.0

DEFAULT_POLL: Final = 6 * 3600.0
"""When to ask again if the server does not say, in seconds; public CAs say six hours."""

RETRY_AFTER_ERROR: Final = 6 * 3600.0
"""When to ask again after an error that is likely to pass (section 4.3.3), in seconds: the RFC's six hours."""


@dataclass(frozen=True)
class RenewalInfo:
    """The window that the CA suggests for the renewal of one certificate.

    Attributes:
        start: Where it begins, aware UTC.
        end: Where it ends, aware UTC, after `start`.
        explanation_url: A page that says why the window is where it is, for people, or None.
        retry_after: Seconds until the next look, between a minute and a day.
    """

    start: datetime
    end: datetime
    explanation_url: str | None = None
    retry_after: float = DEFAULT_POLL

    @classmethod
    def parse(cls, response: Response, urls: UrlPolicy, *, retry_after: float | None = None) -> RenewalInfo:
        """Read renewal information (section 4.2).

        Raises:
            MalformedResponse: It is none, or its window ends before it begins: no answer (section 4.2).
        """
        fields = Fields.of(response, "the renewal information", urls)
        window = fields.child("suggestedWindow")
        if window is None:
            return fields.fail("suggestedWindow", "missing")
        start, end = window.instant("start"), window.instant("end")
        if start is None or end is None:
            return window.fail("start" if start is None else "end", "missing")
        if end <= start:
            return window.fail("end", "not after its start")
        page = fields.optional_text("explanationURL")
        return cls(start, end, printable(page or "") or None, poll_interval(retry_after))

    def choose(self, *, rng: random.Random | None = None) -> datetime:
        """Choose an instant in the window, each as likely as any other (section 4.2). Choose once and keep it."""
        return self.start + (self.end - self.start) * (rng or random.SystemRandom()).random()


@dataclass(frozen=True)
class RenewalPlan:
    """What was chosen, to be kept wherever the certificate is kept.

    Attributes:
        start: Where the window began when it was chosen.
        end: Where it ended.
        at: The chosen instant, aware UTC; in the past means now.
    """

    start: datetime
    end: datetime
    at: datetime

    @classmethod
    def follow(
        cls, info: RenewalInfo, previous: RenewalPlan | None = None, *, rng: random.Random | None = None
    ) -> RenewalPlan:
        """Keep the instant that was chosen as long as the window is the same; otherwise choose in the new one.

        Choosing again at every look would make early instants likelier, and all clients of a CA come early.
        """
        if previous is not None and (previous.start, previous.end) == (info.start, info.end):
            return previous
        return cls(info.start, info.end, info.choose(rng=rng))

    def is_due(self, now: datetime, *, next_look: float = 0.0) -> bool:
        """Whether to renew now: the instant is past, or would pass before the next look (section 4.2).

        Args:
            now: The time, aware.
            next_look: Seconds until this is asked again.
        """
        return self.at <= now + timedelta(seconds=next_look)


def poll_interval(retry_after: float | None) -> float:
    """Return the seconds until renewal information is asked for again: between a minute and a day."""
    return DEFAULT_POLL if retry_after is None else min(max(retry_after, SHORTEST_POLL), LONGEST_POLL)


def still_to_be_asked(*, not_after: datetime, replaced: bool, now: datetime) -> bool:
    """Whether a certificate's renewal information is still worth asking for.

    It is not once the certificate is expired or replaced (section 4.3.3).
    """
    return not replaced and now < not_after


def certificate_identifier(certificate_der: bytes) -> str:
    """Return how renewal information and `replaces` name a certificate (section 4.1).

    That is the key identifier of its authority key identifier, and its serial number as DER writes it, both base64url.

    Raises:
        InvalidCertificate: It is no certificate, or names no authority key identifier.
    """
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        extension = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        raise _no_key_identifier() from None
    except (ValueError, x509.InvalidVersion, x509.DuplicateExtension):
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
    """Ask when to renew a certificate (RFC 9773 section 4.1); no account is needed.

    After an error that is likely to pass, ask again after `RETRY_AFTER_ERROR`; until then the last answer holds.

    Args:
        server: The CA that issued it.
        certificate_der: The end-entity certificate.

    Raises:
        NotOffered: The server has no renewal information: renew by the certificate's lifetime.
        InvalidCertificate: The certificate has no authority key identifier.
        MalformedResponse: The answer is none, or its window ends before it begins.
        ProblemError: The server does not know the certificate.
    """
    directory = await server.directory()
    base = offered(directory.renewal_info, "renewalInfo", directory)
    response = await server.get("renewalInfo", f"{base.rstrip('/')}/{certificate_identifier(certificate_der)}")
    wait = retry_after_seconds(response.headers, now=server.clock.now())
    return RenewalInfo.parse(response, server.urls, retry_after=wait)


def _no_key_identifier() -> InvalidCertificate:
    return InvalidCertificate(
        "The certificate has no authority key identifier, so there is no renewal information for it"
    )
