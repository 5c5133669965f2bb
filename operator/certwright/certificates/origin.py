"""Where a certificate is from that Certwright did not issue: one that no CA vouches for is no reason not to order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cryptography.x509.oid import NameOID

from certwright.text import printable

if TYPE_CHECKING:
    from cryptography import x509

MAX_SHOWN: Final = 100
TEMPORARY_ISSUERS: Final = frozenset({"cert-manager.local"})
"""The throw-away CA of cert-manager's temporary certificates, by its common name."""
STAGING: Final = ("(STAGING)", "Fake LE")
"""What the names of the staging CAs of Let's Encrypt begin with, as those of Boulder did earlier."""
STAGING_HOST: Final = "staging"


def placeholder(leaf: x509.Certificate) -> str | None:
    """Tell why a certificate is from no CA at all, to follow "the certificate ... "; None if it may be from one."""
    try:
        issuer, subject = leaf.issuer, leaf.subject
    except ValueError:
        return None
    if issuer == subject:
        return "is self-signed"
    if TEMPORARY_ISSUERS & _texts(issuer):
        return "is temporary, made by cert-manager until the right one is there"
    return None


def is_from_elsewhere(issuer_name: str, server: str) -> bool:
    """Whether a certificate is from the staging environment of a CA and the issuer is not, by their names.

    Args:
        issuer_name: The name of the certificate's issuer (RFC 4514).
        server: Directory URL of the issuer's CA.
    """
    host = urlsplit(server).hostname or ""
    return STAGING_HOST not in host and any(f"={name}" in issuer_name for name in STAGING)


def shown(issuer_name: str) -> str:
    """Return the name of a certificate's issuer for a message."""
    return printable(issuer_name, MAX_SHOWN)


def _texts(name: x509.Name) -> set[str]:
    return {str(one.value) for one in name.get_attributes_for_oid(NameOID.COMMON_NAME)}
