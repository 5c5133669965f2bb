"""Which of ACME's resources a request is for, by Pebble's paths."""

from __future__ import annotations

from typing import Final

PATHS: Final = {
    "/dir": "directory",
    "/nonce-plz": "newNonce",
    "/sign-me-up": "newAccount",
    "/my-account/": "account",
    "/rollover-account-key": "keyChange",
    "/list-orderz/": "orders",
    "/order-plz": "newOrder",
    "/my-order/": "order",
    "/finalize-order/": "finalize",
    "/authZ/": "authorization",
    "/chalZ/": "challenge",
    "/certZ/": "certificate",
    "/revoke-cert": "revokeCert",
    "/draft-ietf-acme-ari-03/renewalInfo/": "renewalInfo",
}
"""Names are those of RFC 8555 section 7.1 as the client's metrics have them; the longest path that fits counts."""
RESOURCES: Final = frozenset(PATHS.values()) | {"alternate"}


def resource_of(path: str) -> str:
    """Return the resource behind a path; empty for what is none of ACME's.

    A certificate's further chains are a resource of their own, `alternate`.
    """
    found = next((name for start, name in PATHS.items() if path.startswith(start)), "")
    return "alternate" if found == "certificate" and "/alternate/" in path else found
