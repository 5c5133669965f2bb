"""Directories of well-known CAs by name. Any other CA is used by its URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class KnownAuthority:
    """A public CA, or a common test CA.

    Attributes:
        name: Its name in Certwright.
        title: Its official name.
        directory_url: The URL of its directory.
        trusted: Whether browsers trust its certificates; those of a staging CA are for tests.
        external_account_required: Whether a new account needs an external account binding (RFC 8555 section 7.3.4). The
            directory also says so, and takes precedence if they differ.
    """

    name: str
    title: str
    directory_url: str
    trusted: bool = True
    external_account_required: bool = False


KNOWN_AUTHORITIES: Final[Mapping[str, KnownAuthority]] = {
    authority.name: authority
    for authority in (
        KnownAuthority("letsencrypt", "Let's Encrypt", "https://acme-v02.api.letsencrypt.org/directory"),
        KnownAuthority(
            "letsencrypt-staging",
            "Let's Encrypt (staging)",
            "https://acme-staging-v02.api.letsencrypt.org/directory",
            trusted=False,
        ),
        KnownAuthority("zerossl", "ZeroSSL", "https://acme.zerossl.com/v2/DV90", external_account_required=True),
        KnownAuthority(
            "google",
            "Google Trust Services",
            "https://dv.acme-v02.api.pki.goog/directory",
            external_account_required=True,
        ),
        KnownAuthority(
            "google-staging",
            "Google Trust Services (staging)",
            "https://dv.acme-v02.test-api.pki.goog/directory",
            trusted=False,
            external_account_required=True,
        ),
        KnownAuthority(
            "sslcom-ecc", "SSL.com (ECDSA)", "https://acme.ssl.com/sslcom-dv-ecc", external_account_required=True
        ),
        KnownAuthority(
            "sslcom-rsa", "SSL.com (RSA)", "https://acme.ssl.com/sslcom-dv-rsa", external_account_required=True
        ),
        KnownAuthority(
            "actalis", "Actalis", "https://acme-api.actalis.com/acme/directory", external_account_required=True
        ),
        KnownAuthority("pebble", "Pebble on this machine", "https://localhost:14000/dir", trusted=False),
    )
}
"""The known CAs by name. Buypass Go SSL is not included, because it ended in 2025."""
