"""What can go wrong around the protocol. All of it is an `AcmeError`: one `except` catches what stops an issuance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.acme import AcmeError, NoSuchChain
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from certwright.client.certificate import IssuedCertificate


class NoSolver(AcmeError):
    """No solver was given for any challenge that the CA offers for a name.

    Attributes:
        offered: The challenge types that the CA offers, by name as the order wrote it.
        available: The challenge types of the solvers that were given.
    """

    def __init__(self, offered: Mapping[str, Sequence[str]], available: Sequence[str]) -> None:
        shown = "; ".join(f"{name}: {', '.join(types) or 'none'}" for name, types in list(offered.items())[:5])
        super().__init__(
            f"No solver supports what the CA offers ({shown}). There are solvers for"
            f" {', '.join(sorted(set(available))) or 'nothing'}; a wildcard requires a DNS challenge, an IP address"
            " another one"
        )
        self.offered = {name: tuple(types) for name, types in offered.items()}
        self.available = tuple(available)


class SolverFailed(AcmeError):
    """A solver could not put its challenge responses in place, or they cannot be seen. The cause is in `__cause__`.

    Attributes:
        challenge_type: Of the solver.
        names: The names that it was to validate, as the order wrote them.
    """

    def __init__(self, doing: str, *, challenge_type: str, names: Sequence[str], reason: str) -> None:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004 - shown
        super().__init__(f"The {challenge_type} solver could not {doing} for {shown}: {reason}")
        self.challenge_type = challenge_type
        self.names = tuple(names)


class UnusableCertificate(AcmeError):
    """The CA issued a certificate that is not the one that was asked for. The cause is in `__cause__`.

    Attributes:
        order_url: The order.
        certificate_url: Where it is.
    """

    def __init__(self, message: str, *, order_url: str, certificate_url: str) -> None:
        super().__init__(message)
        self.order_url = order_url
        self.certificate_url = certificate_url


class CertificateStartsLater(AcmeError):
    """The certificate is issued, but the CA's clock is ahead of this machine's: it cannot be used in the time given.

    Resume the order with the same key from `usable_from` on: no new one is placed.

    Attributes:
        not_before: When it becomes valid, UTC.
        usable_from: When it is taken: a little earlier, as clocks differ.
        order_url: The order, which is valid.
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
    """The certificate is issued, and none of its chains leads to the preferred issuer.

    Attributes:
        certificate: The certificate with the CA's default chain, and its key.
    """

    def __init__(self, missing: NoSuchChain, certificate: IssuedCertificate) -> None:
        super().__init__(wanted=missing.wanted, offered=missing.offered)
        self.certificate = certificate


class KeyReused(AcmeError):
    """The certificate was to be for the account key (RFC 8555 section 11.1): use another key."""


class InvalidPrivateKey(AcmeError):
    """A private key of a certificate cannot be read or made. The message quotes nothing of it."""


class IssuanceTimedOut(AcmeError):
    """The certificate was not there in the time given. What was presented is cleaned up.

    Attributes:
        order_url: The order, which may still be completed, or None if there was none yet.
        reasons: Why the CA is not done, in its own words as far as it said any, by domain.
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
