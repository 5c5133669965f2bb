"""dns-persist-01: one TXT record that stays, for every issuance to come (draft-ietf-acme-dns-persist).

A server of draft -02 says in its directory what hashed account URIs begin with, and wants one in the record. One of
an earlier draft (Pebble, Boulder) wants the account URL itself. Nothing of either depends on a token, so the record
can be made before the first order.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from certwright.acme import base64url

if TYPE_CHECKING:
    from datetime import datetime

    from certwright.acme.directory import DirectoryMeta

#: What the record stands below.
VALIDATION_LABEL: Final = "_validation-persist"

_MAX_DOMAIN: Final = 255
# What a value of RFC 8659 section 4.2 may hold: visible ASCII without the semicolon.
_VALUE = re.compile(r"[!-:<-~]+")


def dns_persist01_name(name: str) -> str:
    """Return where the TXT record stands; a wildcard's stands at the name it is a wildcard of."""
    return f"{VALIDATION_LABEL}.{name.removeprefix('*.')}"


def hashed_account_uri(prefix: str, *, domain: str, thumbprint: str, account_url: str) -> str:
    """Return the URI that binds the account to a domain without showing its URL (draft -02 section 4.1).

    It depends on the account key: after a rollover the record has to be written anew before the server's
    `keyRotationPeriod` is over.

    Args:
        prefix: The directory's `meta.accountHashPrefix`.
        domain: The name that is validated, as A-labels, or `*` for a URI that any domain may carry.
        thumbprint: The thumbprint of the account key, 43 characters.
        account_url: The account.

    Raises:
        ValueError: The domain is empty or longer than 255 octets.
    """
    octets = domain.removeprefix("*.").removesuffix(".").lower().encode("ascii")
    if not 0 < len(octets) <= _MAX_DOMAIN:
        raise ValueError("the domain of a hashed account URI has 1 to 255 octets")
    hashed = bytes([len(octets)]) + octets + thumbprint.encode("ascii") + account_url.encode("ascii")
    return f"{prefix}sha-256/{base64url.encode(hashlib.sha256(hashed).digest())}"


def account_uri(meta: DirectoryMeta, *, domain: str, thumbprint: str, account_url: str) -> str:
    """Return what the record names the account by: hashed if the server has a prefix for that, else its URL."""
    if meta.account_hash_prefix is None:
        return account_url
    return hashed_account_uri(meta.account_hash_prefix, domain=domain, thumbprint=thumbprint, account_url=account_url)


def dns_persist01_value(
    issuer: str, account_uri: str, *, wildcard: bool = False, persist_until: datetime | None = None
) -> str:
    """Return the TXT value.

    Args:
        issuer: One of the challenge's issuer domain names.
        account_uri: The account URL, or the hashed URI where the server wants that.
        wildcard: Whether it also stands for wildcards of the name, and for names below it.
        persist_until: When it ends to count, aware; None for never.

    Raises:
        ValueError: A part would make the record malformed: white space, a semicolon, another alphabet.
    """
    for part in (issuer, account_uri):
        if not _VALUE.fullmatch(part):
            raise ValueError("the parts of a dns-persist-01 record are visible ASCII without semicolons")
    parts = [issuer.removesuffix(".").lower(), f"accounturi={account_uri}"]
    if wildcard:
        parts.append("policy=wildcard")
    if persist_until is not None:
        parts.append(f"persistUntil={int(persist_until.timestamp())}")
    return "; ".join(parts)
