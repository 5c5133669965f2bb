"""TSIG keys (RFC 8945): shared secrets that sign messages to a server."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

import dns.exception
import dns.name
import dns.tsig

from certwright.dns.errors import InvalidTsigKey

DEFAULT_ALGORITHM = "HMACSHA256"

_ALGORITHMS = {
    "HMACMD5": dns.tsig.HMAC_MD5,
    "HMACSHA1": dns.tsig.HMAC_SHA1,
    "HMACSHA224": dns.tsig.HMAC_SHA224,
    "HMACSHA256": dns.tsig.HMAC_SHA256,
    "HMACSHA256-128": dns.tsig.HMAC_SHA256_128,
    "HMACSHA384": dns.tsig.HMAC_SHA384,
    "HMACSHA384-192": dns.tsig.HMAC_SHA384_192,
    "HMACSHA512": dns.tsig.HMAC_SHA512,
    "HMACSHA512-256": dns.tsig.HMAC_SHA512_256,
}
TSIG_ALGORITHMS = tuple(_ALGORITHMS)
"""The algorithms that `TsigKey` accepts (RFC 8945 section 6)."""


@dataclass(frozen=True)
class TsigKey:
    """A named key, as in the server's configuration.

    Attributes:
        name: The key's name, which is a domain name: `acme-key`.
        secret_base64: The secret as printed by key generators. White space is ignored.
        algorithm: One of `TSIG_ALGORITHMS`; `hmac-sha256` is read as `HMACSHA256`. Those with a truncated
            signature, such as `HMACSHA256-128`, require a server that supports these names; BIND does not.
        source: Where the secret was read, for messages: `the entry secret of Secret dns/tsig`.

    Raises:
        InvalidTsigKey: A part is invalid. The message says which key and which part, but never shows the secret.
    """

    name: str
    secret_base64: str = field(repr=False)
    algorithm: str = DEFAULT_ALGORITHM
    source: str = ""

    def __post_init__(self) -> None:
        """Check the parts as early as possible."""
        object.__setattr__(self, "algorithm", _canonical(self.name, self.algorithm))
        self.to_dnspython()

    def to_dnspython(self) -> dns.tsig.Key:
        """Return the key for dnspython. Never log it: dnspython shows the secret in its repr."""
        try:
            name = dns.name.from_text(self.name.encode("ascii").decode("ascii"))
        except (UnicodeError, dns.exception.DNSException):
            raise InvalidTsigKey(f"the TSIG key name {self.name[:300]!r} is not a domain name") from None
        if name == dns.name.root:
            raise InvalidTsigKey("the TSIG key has no name")
        return dns.tsig.Key(name, self._secret(), _ALGORITHMS[self.algorithm])

    @property
    def _label(self) -> str:
        return f"{self.name} ({self.source})" if self.source else self.name

    def _secret(self) -> bytes:
        try:
            secret = base64.b64decode("".join(self.secret_base64.split()), validate=True)
        except (ValueError, binascii.Error):
            raise InvalidTsigKey(f"the secret of the TSIG key {self._label} is not base64") from None
        if not secret:
            raise InvalidTsigKey(f"the secret of the TSIG key {self._label} is empty")
        return secret


def _canonical(name: str, algorithm: str) -> str:
    def squeeze(text: str) -> str:
        return text.upper().replace("-", "").replace("_", "")

    for known in TSIG_ALGORITHMS:
        if squeeze(known) == squeeze(algorithm):
            return known
    raise InvalidTsigKey(
        f"the TSIG key {name[:300]} has the unknown algorithm {algorithm[:100]!r}: "
        f"use one of {', '.join(TSIG_ALGORITHMS)}"
    )
