"""Dynamic updates."""

from typing import Literal, Self

from pydantic import ConfigDict, model_validator

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.names import Endpoint, TsigKeyName
from certwright.resources.references import SecretKeyRef
from certwright.resources.rules import rule, validations

TsigAlgorithm = Literal[
    "HMACMD5",
    "HMACSHA1",
    "HMACSHA224",
    "HMACSHA256",
    "HMACSHA256-128",
    "HMACSHA384",
    "HMACSHA384-192",
    "HMACSHA512",
    "HMACSHA512-256",
]
UpdateProtocol = Literal["TCP", "UDP"]

_TSIG_PAIR = "tsigKeyName and tsigSecretSecretRef must be set together; leave both unset for unsigned updates"


class Rfc2136(DnsProvider):
    """Dynamic updates (RFC 2136), as supported by BIND, Knot, PowerDNS and Microsoft DNS."""

    model_config = ConfigDict(
        json_schema_extra=validations(rule("has(self.tsigKeyName) == has(self.tsigSecretSecretRef)", _TSIG_PAIR))
    )

    nameserver: Endpoint
    """
    The server to send updates to, as host, host:port or [IPv6 address]:port. The default port is 53.
    """
    tsig_key_name: TsigKeyName | None = None
    """The name of the TSIG key, as in the server's configuration."""
    tsig_algorithm: TsigAlgorithm = "HMACSHA256"
    """The algorithm of the TSIG key."""
    tsig_secret_secret_ref: SecretKeyRef | None = None
    """
    The Secret entry that holds the TSIG key in base64, as printed by tsig-keygen. Paste it into the Secret's
    `stringData` unchanged.
    """
    protocol: UpdateProtocol = "TCP"
    """The transport protocol for updates."""

    @model_validator(mode="after")
    def _tsig_is_whole(self) -> Self:
        if (self.tsig_key_name is None) != (self.tsig_secret_secret_ref is None):
            raise ValueError(_TSIG_PAIR)
        return self
