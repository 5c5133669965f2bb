"""Solvers: how an Issuer validates domains."""

from typing import Any, Final, Literal, Self

from pydantic import ConfigDict, JsonValue, model_validator

from certwright.resources.base import Model
from certwright.resources.dns_solvers import DnsAccount01, DnsPersist01
from certwright.resources.duration import DURATION
from certwright.resources.http01 import Http01
from certwright.resources.rules import rule, validations
from certwright.resources.solver import TARGETS_FOLLOW, WAIT_LONG, Dns01, Selector
from certwright.resources.tls_alpn01 import TlsAlpn01

ChallengeType = Literal["dns-01", "dns-account-01", "dns-persist-01", "http-01", "tls-alpn-01"]

CHALLENGE_TYPES: Final[dict[str, ChallengeType]] = {
    "dns01": "dns-01",
    "dns_account01": "dns-account-01",
    "dns_persist01": "dns-persist-01",
    "http01": "http-01",
    "tls_alpn01": "tls-alpn-01",
}
"""The type of challenge (RFC 8555 section 8) of each field of a solver."""
DNS_TYPES: Final[frozenset[ChallengeType]] = frozenset({"dns-01", "dns-account-01", "dns-persist-01"})
"""By DNS: these alone validate wildcards (RFC 8555 section 7.1.3), and none validates an IP address (RFC 8738)."""

_FIELDS: Final = ("dns01", "dnsAccount01", "dnsPersist01", "http01", "tlsAlpn01")
_FOLLOWING: Final = ("dns01", "dnsAccount01", "dnsPersist01")
_WAITING: Final = ("dns01", "dnsAccount01")
_ONE_CHALLENGE: Final = f"must have exactly one of {', '.join(_FIELDS[:-1])} and {_FIELDS[-1]}"


def _targets_rule(field: str) -> JsonValue:
    return rule(
        f"!has(self.{field}) || !has(self.{field}.allowedTargets) || self.{field}.cnameStrategy == 'Follow'",
        TARGETS_FOLLOW,
        field_path=f".{field}.allowedTargets",
        reason="FieldValueForbidden",
    )


def _wait_rule(field: str) -> JsonValue:
    wait, timeout = f"self.{field}.propagationWait", f"self.{field}.propagationTimeout"
    return rule(
        f"!has(self.{field}) || !{DURATION.cel_for(wait)} || !{DURATION.cel_for(timeout)}"
        f" || duration({wait}) <= duration({timeout})",
        WAIT_LONG,
        field_path=f".{field}.propagationWait",
    )


def _rules() -> dict[str, Any]:
    given = ", ".join(f"has(self.{field})" for field in _FIELDS)
    return validations(
        rule(f"[{given}].exists_one(given, given)", _ONE_CHALLENGE),
        *(_targets_rule(field) for field in _FOLLOWING),
        *(_wait_rule(field) for field in _WAITING),
    )


class IssuerSolver(Model):
    """A way to validate domains, and the domains to use it for."""

    model_config = ConfigDict(json_schema_extra=_rules())

    selector: Selector | None = None
    """The domains to use this solver for. If unset, all domains that no other solver matches better."""
    dns01: Dns01 | None = None
    """Validation by a TXT record."""
    dns_account01: DnsAccount01 | None = None
    """Validation by a TXT record at a name of the account's own, for CAs that offer dns-account-01."""
    dns_persist01: DnsPersist01 | None = None
    """Validation by a permanent TXT record, for CAs that offer dns-persist-01."""
    http01: Http01 | None = None
    """Validation by a file served over HTTP on port 80. Wildcards require one of the dns solvers."""
    tls_alpn01: TlsAlpn01 | None = None
    """Validation by a TLS handshake on port 443. Wildcards require one of the dns solvers."""

    @model_validator(mode="after")
    def _one_challenge(self) -> Self:
        if len(self._given()) != 1:
            raise ValueError(_ONE_CHALLENGE)
        return self

    @property
    def challenge_type(self) -> ChallengeType:
        """The type of the challenges that it answers."""
        return CHALLENGE_TYPES[self._given()[0]]

    @property
    def field(self) -> str:
        """The field that is given, as users write it."""
        name = self._given()[0]
        return type(self).model_fields[name].alias or name

    def _given(self) -> list[str]:
        return [field for field in CHALLENGE_TYPES if getattr(self, field) is not None]
