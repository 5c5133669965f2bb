"""What to request from the CA, derived from a Certificate's spec and its issuer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from certwright.acme import Identifier
from certwright.names import is_address
from certwright.pki import CertificateContents, Subject
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from certwright.pki import CertificateFacts
    from certwright.resources import AcmeIssuerSpec, Certificate

MAX_SHOWN_NAME: Final = 253


@dataclass(frozen=True)
class OrderRequest:
    """The parts of an order that, when they change, make it another order.

    Attributes:
        identifiers: What the certificate is for, see `requested_identifiers`.
        server: Directory URL of the CA.
        account_url: The account that orders.
        profile: ACME profile, or None.
        duration_seconds: Lifetime to ask for, or None for the CA's own.
        key: Algorithm and size of the private key: a CA that refuses one may take another, so it need not wait.
        common_name: For the CSR, or None.
        contents: What else is in the CSR, as JSON values.
    """

    identifiers: tuple[Identifier, ...]
    server: str
    account_url: str
    profile: str | None = None
    duration_seconds: int | None = None
    key: tuple[str, int | None] = ("ECDSA", None)
    common_name: str | None = None
    contents: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The identifiers as a status has them."""
        return names_of(self.identifiers)

    @cached_property
    def fingerprint(self) -> str:
        """A short digest that is equal for equal orders.

        It is kept in the status of an open order. A version that computes it differently gives up every order that is
        open when the operator is upgraded.
        """
        return digest(
            {
                "names": self.names,
                "server": self.server,
                "account_url": self.account_url,
                "profile": self.profile,
                "duration_seconds": self.duration_seconds,
                "key": self.key,
                "common_name": self.common_name,
                **({"contents": self.contents} if self.contents else {}),
            }
        )

    @property
    def unsupported(self) -> tuple[str, ...]:
        """The names of fields that ask for what ACME cannot validate, as users write them."""
        fields = {"uris": "uris", "email_addresses": "emailAddresses"}
        return tuple(shown for name, shown in fields.items() if self.contents.get(name))

    @classmethod
    def of(cls, certificate: Certificate, issuer: AcmeIssuerSpec, account_url: str) -> OrderRequest:
        """Combine a Certificate with its issuer."""
        spec = certificate.spec
        asks_duration = issuer.enable_duration_feature and spec.duration is not None
        return cls(
            identifiers=requested_identifiers(certificate),
            server=issuer.server,
            account_url=account_url,
            profile=issuer.profile,
            duration_seconds=int(spec.duration.total_seconds()) if asks_duration and spec.duration else None,
            key=(spec.private_key.effective_algorithm, spec.private_key.size),
            common_name=spec.effective_common_name,
            contents=_contents_json(contents_of(certificate)),
        )


def unsupported_message(request: OrderRequest) -> str:
    """Say what of a request no public CA grants."""
    return (
        f"The spec has {' and '.join(request.unsupported)}, which ACME cannot validate (it has no such identifiers), "
        f"and {request.server} refuses a CSR with them. Remove them, or use a private CA that allows them."
    )


class SubjectNames(NamedTuple):
    """Identifiers by type, as CSRs and checks of certificates take them."""

    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]


def requested_identifiers(certificate: Certificate) -> tuple[Identifier, ...]:
    """Return what a Certificate asks to be certified: in normal form, each once, sorted.

    A common name is one of the names of a certificate for every CA (RFC 8555 section 7.4).
    """
    spec = certificate.spec
    found = {Identifier.dns(name) for name in spec.dns_names} | {Identifier.ip(one) for one in spec.ip_addresses}
    common_name = spec.effective_common_name
    if common_name is not None:
        found.add(Identifier.ip(common_name) if is_address(common_name) else Identifier.dns(common_name))
    return tuple(sorted(found))


def contents_of(certificate: Certificate) -> CertificateContents:
    """Return what a Certificate asks for besides names and common name."""
    spec = certificate.spec
    fields = spec.subject.model_dump() if spec.subject is not None else {}
    return CertificateContents(
        subject=Subject(**fields),
        literal_subject=spec.literal_subject,
        usages=spec.usages,
        uris=spec.uris,
        email_addresses=spec.email_addresses,
    )


def contents_digest(certificate: Certificate) -> str:
    """Return a digest of what a Certificate asks for besides identifiers, the common name included."""
    return _contents_digest(certificate.spec.effective_common_name, contents_of(certificate))


@lru_cache(maxsize=1024)
def _contents_digest(common_name: str | None, contents: CertificateContents) -> str:
    # Compared at every look, and nearly all Certificates ask for nothing.
    return digest({"common_name": common_name, **_contents_json(contents)})


@lru_cache(maxsize=1024)
def _contents_json(contents: CertificateContents) -> Mapping[str, Any]:
    return contents.to_json()


def certified_identifiers(facts: CertificateFacts) -> tuple[Identifier, ...]:
    """Return what an issued certificate is for, in the form of `requested_identifiers`."""
    names = [Identifier("dns", name) for name in facts.dns_names]
    addresses = [Identifier.ip(address) for address in facts.ip_addresses]
    return tuple(sorted(names + addresses))


def subject_names(identifiers: Iterable[Identifier]) -> SubjectNames:
    """Sort identifiers by their type."""
    known = tuple(identifiers)
    return SubjectNames(
        dns_names=tuple(identifier.value for identifier in known if identifier.type == "dns"),
        ip_addresses=tuple(identifier.value for identifier in known if identifier.type == "ip"),
    )


def names_of(identifiers: Iterable[Identifier]) -> tuple[str, ...]:
    """Return identifiers as texts."""
    return tuple(identifier.value for identifier in identifiers)


def shown_names(identifiers: Iterable[Identifier]) -> tuple[str, ...]:
    """Return the identifiers of a certificate for a message: one that others wrote may have anything for a name."""
    return tuple(printable(identifier.value, MAX_SHOWN_NAME) for identifier in identifiers)


def digest(value: Any) -> str:
    """Return 16 hex digits that are equal for equal JSON values."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
