"""Errors of this package. All are `AcmeError`s, so one `except` catches everything that can stop an issuance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.acme import AcmeError, NoSuchChain
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from certwright.client.certificate import IssuedCertificate


class NoSolver(AcmeError):
    """None of the given solvers supports a challenge that the CA offers for a name.

    Attributes:
        offered: The challenge types that the CA offers, by name as it appears in the order.
        available: The challenge types of the given solvers.
    """

    def __init__(self, offered: Mapping[str, Sequence[str]], available: Sequence[str]) -> None:
        shown = "; ".join(f"{name}: {', '.join(types) or 'none'}" for name, types in list(offered.items())[:5])
        super().__init__(
            f"No solver supports a challenge that the CA offers ({shown}). The given solvers support"
            f" {', '.join(sorted(set(available))) or 'none'}; a wildcard requires a DNS challenge, and an IP address"
            " requires http-01 or tls-alpn-01"
        )
        self.offered = {name: tuple(types) for name, types in offered.items()}
        self.available = tuple(available)


class SolverFailed(AcmeError):
    """A solver could not present its challenge responses, or they are not visible. The cause is in `__cause__`.

    Attributes:
        challenge_type: The solver's challenge type.
        names: The names that it should have validated, as they appear in the order.
    """

    def __init__(self, doing: str, *, challenge_type: str, names: Sequence[str], reason: str) -> None:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004 - shown
        super().__init__(f"The {challenge_type} solver could not {doing} for {shown}: {reason}")
        self.challenge_type = challenge_type
        self.names = tuple(names)


class UnusableCertificate(AcmeError):
    """The CA issued a different certificate than requested. The cause is in `__cause__`.

    Attributes:
        order_url: The URL of the order.
        certificate_url: The URL of the certificate.
    """

    def __init__(self, message: str, *, order_url: str, certificate_url: str) -> None:
        super().__init__(message)
        self.order_url = order_url
        self.certificate_url = certificate_url


class CertificateStartsLater(AcmeError):
    """The certificate was issued, but becomes valid only after the timeout, because the CA's clock is ahead.

    Resume the order with the same key at `usable_from`; this places no new order.

    Attributes:
        not_before: When it becomes valid, UTC.
        usable_from: When to resume: a little earlier than `not_before`, because clocks differ.
        order_url: The URL of the order, whose status is `valid`.
    """

    temporary = True

    def __init__(self, not_before: datetime, usable_from: datetime, *, order_url: str) -> None:
        super().__init__(
            f"The certificate is issued, but is valid only from {rfc3339(not_before)}: the CA's clock is ahead of this"
            " machine's"
        )
        self.not_before = not_before
        self.usable_from = usable_from
        self.order_url = order_url


class PreferredChainMissing(NoSuchChain):
    """The certificate was issued, but none of its chains leads to the preferred issuer.

    Attributes:
        certificate: The certificate with the CA's default chain, and its key.
    """

    def __init__(self, missing: NoSuchChain, certificate: IssuedCertificate) -> None:
        super().__init__(wanted=missing.wanted, offered=missing.offered)
        self.certificate = certificate


class KeyReused(AcmeError):
    """The certificate key is the account key (RFC 8555 section 11.1). Use a different key."""


class InvalidPrivateKey(AcmeError):
    """The private key of a certificate cannot be read or generated. The message does not quote it."""


class IssuanceTimedOut(AcmeError):
    """The certificate was not issued within the timeout. The challenge responses have been removed.

    Attributes:
        order_url: The order, which may still be completed, or None if no order was placed yet.
        reasons: The CA's last message for each domain, as far as it gave any.
    """

    temporary = True

    def __init__(
        self,
        message: str,
        *,
        order_url: str | None,
        retry_after: float | None = None,
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.order_url = order_url
        self.reasons = dict(reasons or {})
