"""Solvers: how an Issuer validates domains."""

from typing import Final, Literal, Self

from pydantic import ConfigDict, model_validator

from certwright.resources.base import Model
from certwright.resources.dns01 import Dns01
from certwright.resources.http01 import Http01
from certwright.resources.rules import rule, validations
from certwright.resources.selector import Selector
from certwright.resources.tls_alpn01 import TlsAlpn01

ChallengeType = Literal["dns-01", "dns-account-01", "dns-persist-01", "http-01", "tls-alpn-01"]

DNS_TYPES: Final[frozenset[ChallengeType]] = frozenset({"dns-01", "dns-account-01", "dns-persist-01"})
"""By DNS: these alone validate wildcards (RFC 8555 section 7.1.3), and none validates an IP address (RFC 8738)."""

_ONE_CHALLENGE: Final = "must have exactly one of dns01, http01 and tlsAlpn01"


class IssuerSolver(Model):
    """A way to validate domains, and the domains to use it for."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule("[has(self.dns01), has(self.http01), has(self.tlsAlpn01)].exists_one(given, given)", _ONE_CHALLENGE)
        )
    )

    selector: Selector | None = None
    """The domains to use this solver for. If unset, all domains that no other solver matches better."""
    dns01: Dns01 | None = None
    """Validation by a TXT record: dns-01, dns-account-01 or dns-persist-01."""
    http01: Http01 | None = None
    """Validation by a file served over HTTP on port 80. Wildcards require dns01."""
    tls_alpn01: TlsAlpn01 | None = None
    """Validation by a TLS handshake on port 443. Wildcards require dns01."""

    @model_validator(mode="after")
    def _one_challenge(self) -> Self:
        if sum(given is not None for given in (self.dns01, self.http01, self.tls_alpn01)) != 1:
            raise ValueError(_ONE_CHALLENGE)
        return self

    @property
    def challenge_type(self) -> ChallengeType:
        """The type of the challenges that it answers (RFC 8555 section 8)."""
        if self.dns01 is not None:
            return self.dns01.challenge_type
        return "http-01" if self.http01 is not None else "tls-alpn-01"

    @property
    def persistent(self) -> Dns01 | None:
        """Its settings if it answers dns-persist-01, by records that outlive orders."""
        return self.dns01 if self.challenge_type == "dns-persist-01" else None

    @property
    def field(self) -> str:
        """The field that is given, as users write it."""
        if self.dns01 is not None:
            return "dns01"
        return "http01" if self.http01 is not None else "tlsAlpn01"
