"""What a Certificate's spec and its issuer add up to: the order to be made, the Secret to be found."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from certwright.resources import AcmeIssuerSpec, Certificate


@dataclass(frozen=True)
class Wanted:
    """The parts of an order that, when they change, make it another order.

    Attributes:
        names: Lower-case DNS names, sorted.
        server: Directory URL of the CA.
        account_url: The account that orders.
        profile: ACME profile, or None.
        duration_seconds: Life asked for, or None for the CA's own.
        key: Algorithm and size of the private key: a CA that refuses one may take another, so it need not wait.
        common_name: For the CSR, or None.
    """

    names: tuple[str, ...]
    server: str
    account_url: str
    profile: str | None = None
    duration_seconds: int | None = None
    key: tuple[str, int | None] = ("ECDSA", None)
    common_name: str | None = None

    @property
    def fingerprint(self) -> str:
        """A short digest that is equal for equal orders."""
        return digest(asdict(self))

    @classmethod
    def of(cls, certificate: Certificate, issuer: AcmeIssuerSpec, account_url: str) -> Wanted:
        """Combine a Certificate with its issuer."""
        spec = certificate.spec
        asks_duration = issuer.enable_duration_feature and spec.duration is not None
        return cls(
            names=wanted_names(certificate),
            server=issuer.server,
            account_url=account_url,
            profile=issuer.profile,
            duration_seconds=int(spec.duration.total_seconds()) if asks_duration and spec.duration else None,
            key=(spec.private_key.algorithm, spec.private_key.size),
            common_name=spec.common_name,
        )


def wanted_names(certificate: Certificate) -> tuple[str, ...]:
    """Return the Certificate's DNS names: lower-case, each once, sorted."""
    return tuple(sorted({name.lower() for name in certificate.spec.dns_names}))


def digest(value: Any) -> str:
    """Return 16 hex digits that are equal for equal JSON values."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
