"""Directories of well-known CAs by name. Any other CA is used by its URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from certwright.acme.errors import UnsafeUrl

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class KnownAuthority:
    """A public CA, or a common test CA.

    Attributes:
        name: Its name here.
        title: Its own name.
        directory_url: The URL of its directory.
        trusted: Whether browsers trust its certificates; those of a staging CA are for tests.
        external_account_required: Whether a new account needs an external account binding (RFC 8555 section 7.3.4). The
            directory says so too, and is right if they differ.
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
"""By name. Buypass Go SSL is not among them: it ended in 2025."""


_PUBLIC_HOSTS: Final = frozenset(
    urlsplit(authority.directory_url).hostname for authority in KNOWN_AUTHORITIES.values() if authority.name != "pebble"
)


def is_public_authority(directory_url: str) -> bool:
    """Whether a directory is at a host of a well-known public CA, or of its staging environment."""
    try:
        return urlsplit(directory_url).hostname in _PUBLIC_HOSTS
    except ValueError:
        return False


def directory_url(name_or_url: str) -> str:
    """Return the directory URL of a CA by its name here, or the URL itself.

    Raises:
        UnsafeUrl: The text is neither; the message lists the names.
    """
    if "://" in name_or_url:
        return name_or_url
    known = KNOWN_AUTHORITIES.get(name_or_url.strip().lower())
    if known is None:
        raise UnsafeUrl(f"{name_or_url[:100]!r} is neither a directory URL nor one of {', '.join(KNOWN_AUTHORITIES)}")
    return known.directory_url
