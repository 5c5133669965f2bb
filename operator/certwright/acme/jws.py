"""Signed requests: flattened JWS (RFC 8555 section 6.2, RFC 7515 section 7.2.2)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import base64url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.acme.key import AccountKey

#: The content type of every POST (section 6.2).
JOSE_JSON: Final = "application/jose+json"

# Made once: json.dumps would make one for each call.
_COMPACT: Final = json.JSONEncoder(separators=(",", ":"))


def sign_request(key: AccountKey, *, url: str, nonce: str, payload: Mapping[str, Any] | None, kid: str | None) -> bytes:
    """Return the body of a signed POST.

    Args:
        key: Signs.
        url: The URL of the request, byte for byte (section 6.4).
        nonce: A nonce not used before (section 6.5).
        payload: The JSON object to send, or None for POST-as-GET, whose payload is empty (section 6.3).
        kid: The account URL. None puts the public key itself into the header, as newAccount wants it.
    """
    identity: dict[str, Any] = {"jwk": dict(key.jwk)} if kid is None else {"kid": kid}
    protected = {"alg": key.algorithm, **identity, "nonce": nonce, "url": url}
    return compact_json(flattened(protected, b"" if payload is None else compact_json(payload), key.sign))


def flattened(protected: Mapping[str, Any], payload: bytes, sign: Callable[[bytes], bytes]) -> dict[str, str]:
    """Return a flattened JWS with a protected header only."""
    head, body = base64url.encode(compact_json(protected)), base64url.encode(payload)
    return {
        "protected": head,
        "payload": body,
        "signature": base64url.encode(sign(f"{head}.{body}".encode("ascii"))),
    }


def compact_json(document: Mapping[str, Any]) -> bytes:
    """Serialise without white space, in ASCII."""
    return _COMPACT.encode(document).encode("ascii")
