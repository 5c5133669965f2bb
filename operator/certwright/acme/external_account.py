"""External account binding: an account bound to a customer of the CA (RFC 8555 section 7.3.4)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from certwright.acme import base64url
from certwright.acme.errors import InvalidExternalAccountKey
from certwright.acme.key import compact_json, flattened

if TYPE_CHECKING:
    from certwright.acme.key import AccountKey

MacAlgorithm: TypeAlias = Literal["HS256", "HS384", "HS512"]
"""MAC algorithms of a binding (RFC 7518 section 3.2)."""

# Both alphabets are in use, and no character means different things in them.
_TO_BASE64URL: Final = str.maketrans("+/", "-_")

# Byte order marks and the like, which come with what is copied from a page.
_INVISIBLE: Final = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060"))

_LEAST_RANDOM: Final = 16
"""Bytes: so many random ones are not all printable ASCII by chance (once in 10 million)."""

_DIGESTS: Final = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


@dataclass(frozen=True)
class ExternalAccountBinding:
    """The credentials that a CA gives to a customer.

    Attributes:
        key_id: The identifier of the MAC key.
        mac_key: The MAC key itself, decoded.
        algorithm: The MAC algorithm; nearly all CAs use HS256.
    """

    key_id: str
    mac_key: bytes = field(repr=False)
    algorithm: MacAlgorithm = "HS256"

    def __post_init__(self) -> None:
        if not self.mac_key:
            raise InvalidExternalAccountKey("The key of the external account binding is empty")

    @classmethod
    def from_text(cls, key_id: str, text: str, algorithm: MacAlgorithm = "HS256") -> ExternalAccountBinding:
        """Parse the MAC key as CAs show it: base64url or base64, with or without padding, perhaps in lines.

        White space around lines, quotes, and marks that no editor shows are left out.

        Raises:
            InvalidExternalAccountKey: It is neither. The message does not quote it.
        """
        shown = "".join(line.strip() for line in text.translate(_INVISIBLE).splitlines())
        compact = shown.strip("\"'").rstrip("=").translate(_TO_BASE64URL)
        try:
            return cls(key_id, base64url.decode(compact), algorithm)
        except ValueError:
            raise InvalidExternalAccountKey(
                f"The key of the external account binding {key_id!r} is neither base64url nor base64; copy it as the CA"
                " shows it"
            ) from None

    @property
    def is_text(self) -> bool:
        """Whether the decoded key is text, as if it had been encoded twice, or were no key at all."""
        return len(self.mac_key) >= _LEAST_RANDOM and self.mac_key.isascii() and self.mac_key.decode().isprintable()

    def bind(self, key: AccountKey, *, url: str) -> dict[str, str]:
        """Return the member `externalAccountBinding` of a newAccount request that goes to this URL."""
        return flattened(
            {"alg": self.algorithm, "kid": self.key_id, "url": url},
            compact_json(dict(key.jwk)),
            lambda data: hmac.new(self.mac_key, data, _DIGESTS[self.algorithm]).digest(),
        )
