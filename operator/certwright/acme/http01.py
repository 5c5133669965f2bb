"""http-01: a file at a well-known path on port 80 (RFC 8555 section 8.3, RFC 8738 section 5)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from certwright.acme.base64url import is_base64url

if TYPE_CHECKING:
    from certwright.acme.identifier import Identifier

#: Where the token stands below, on the host that is validated.
WELL_KNOWN_PATH: Final = "/.well-known/acme-challenge/"


def http01_path(token: str) -> str:
    """Return the path that the CA asks for; its answer is the key authorization.

    Raises:
        ValueError: The token is not base64url, so it has no place in a path.
    """
    if not is_base64url(token):
        raise ValueError("the token of a challenge must be base64url")
    return WELL_KNOWN_PATH + token


def http01_url(identifier: Identifier, token: str) -> str:
    """Return the URL that the CA asks for; it may follow redirects from there.

    Raises:
        ValueError: The token is not base64url, or the identifier is a wildcard, for which there is no http-01.
    """
    host = identifier.value
    if host.startswith("*."):
        raise ValueError("a wildcard cannot be validated by http-01")
    if identifier.type == "ip" and ipaddress.ip_address(host).version == 6:  # noqa: PLR2004 - IPv6
        host = f"[{host}]"
    return f"http://{host}{http01_path(token)}"
