"""Challenges and what answers them (RFC 8555 sections 7.1.5, 7.5.1 and 8)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from certwright.acme import base64url
from certwright.text import printable

if TYPE_CHECKING:
    from datetime import datetime

    from certwright.acme.fields import Fields
    from certwright.acme.problem import Problem

_MAX_TOKEN: Final = 512

# Types whose proof is made of a token (sections 8.3, 8.4, RFC 8737, draft-ietf-acme-dns-account-label).
_WITH_TOKEN: Final = frozenset({"http-01", "dns-01", "tls-alpn-01", "dns-account-01"})


class ChallengeStatus(StrEnum):
    """States of a challenge (section 7.1.6)."""

    PENDING = "pending"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


@dataclass(frozen=True)
class Challenge:
    """One way to prove control of an identifier.

    Attributes:
        type: `dns-01`, `http-01`, `tls-alpn-01` or one this client does not know.
        url: Where to say that it is ready to be validated.
        status: Its state.
        token: The random part of the proof in base64url, or None for types that have none.
        issuer_domain_names: The names by which dns-persist-01 records mean this CA; empty for other types.
        validated: When it was validated, aware UTC, or None.
        error: Why the validation failed, or None.
        retry_after: Seconds that the server asks to wait before the next look, or None.
    """

    type: str
    url: str
    status: ChallengeStatus
    token: str | None = None
    issuer_domain_names: tuple[str, ...] = ()
    validated: datetime | None = None
    error: Problem | None = None
    retry_after: float | None = None

    @classmethod
    def parse(cls, fields: Fields, *, retry_after: float | None = None) -> Challenge:
        """Read a challenge object.

        Raises:
            MalformedResponse: It is none, it is pending and lacks the token that its type needs, or its token is not
                base64url: a token becomes part of a path and a record, so nothing else may be in it (section 8.1).
            UnsafeUrl: It names a URL that must not be asked.
        """
        token = fields.optional_text("token")
        if token is not None and not _is_token(token):
            fields.fail("token", "not base64url")
        kind, status = printable(fields.text("type"), 100), fields.status(ChallengeStatus)
        if token is None and status is ChallengeStatus.PENDING and kind in _WITH_TOKEN:
            fields.fail("token", "missing")
        return cls(
            type=kind,
            url=fields.url("url"),
            status=status,
            token=token,
            # Spelled with hyphens up to draft -01 (Pebble, Boulder), in camel case from -02 on.
            issuer_domain_names=tuple(
                printable(name, 255)
                for member in ("issuerDomainNames", "issuer-domain-names")
                for name in fields.texts(member)
            ),
            validated=fields.instant("validated"),
            error=fields.problem("error"),
            retry_after=retry_after,
        )


def key_authorization(token: str, thumbprint: str) -> str:
    """Return the proof of holding the account key that a challenge's token asks for (section 8.1).

    Raises:
        ValueError: The token is not base64url.
    """
    if not _is_token(token):
        raise ValueError("the token of a challenge must be base64url")
    return f"{token}.{thumbprint}"


def dns01_value(authorization: str) -> str:
    """Return the TXT value for a key authorization: its SHA-256 in base64url, 43 characters (section 8.4)."""
    return base64url.encode(hashlib.sha256(authorization.encode("ascii")).digest())


def _is_token(text: str) -> bool:
    return len(text) <= _MAX_TOKEN and base64url.is_base64url(text)
