"""dns-persist-01: one permanent TXT record for all future issuances (draft-ietf-acme-dns-persist).

A server of draft -02 publishes the prefix of hashed account URIs in its directory and expects one in the record. A
server of an earlier draft (Pebble, Boulder) expects the account URL itself. Neither depends on a token, so the record
can be created before the first order.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from certwright.acme import base64url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.acme.directory import DirectoryMeta

VALIDATION_LABEL: Final = "_validation-persist"
"""The label of the record, in front of the domain."""

_MAX_DOMAIN: Final = 255
# What a value of RFC 8659 section 4.2 may hold: visible ASCII without the semicolon.
_VALUE = re.compile(r"[!-:<-~]+")
_NUMBER = re.compile(r"[0-9]{1,18}")


def dns_persist01_name(name: str) -> str:
    """Return the name of the TXT record; a leading `*.` is dropped."""
    return f"{VALIDATION_LABEL}.{name.removeprefix('*.')}"


def hashed_account_uri(prefix: str, *, domain: str, thumbprint: str, account_url: str) -> str:
    """Return the URI that binds the account to a domain without revealing its URL (draft -02 section 4.1).

    It depends on the account key: after a rollover the record must be replaced before the server's `keyRotationPeriod`
    ends.

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
    """Return the account URI in the record: the hashed one if the server has a prefix for it, else the URL."""
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
        wildcard: Whether it also covers wildcards and subdomains.
        persist_until: When it expires, aware; None for never.

    Raises:
        ValueError: A part would make the record malformed: white space, a semicolon or a non-ASCII character; or
            `persist_until` has no time zone.
    """
    for part in (issuer, account_uri):
        if not _VALUE.fullmatch(part):
            raise ValueError("the parts of a dns-persist-01 record are visible ASCII without semicolons")
    parts = [issuer.removesuffix(".").lower(), f"accounturi={account_uri}"]
    if wildcard:
        parts.append("policy=wildcard")
    if persist_until is not None:
        if persist_until.tzinfo is None:
            raise ValueError("the time until which a dns-persist-01 record holds has no time zone")
        parts.append(f"persistUntil={int(persist_until.timestamp())}")
    return "; ".join(parts)


def persistent_record_allows(
    text: str, *, issuers: Sequence[str], account_uri: str, wildcard: bool, now: datetime | None = None
) -> bool:
    """Return whether a TXT value in the DNS authorizes the account, as strictly as CAs read it.

    Args:
        text: The value.
        issuers: The challenge's issuer domain names.
        account_uri: See `account_uri`; compared letter by letter.
        wildcard: Whether a wildcard is validated.
        now: The current time, aware; None for the system's.
    """
    issuer, *parameters = (part.strip(" \t") for part in text.split(";"))
    if issuer.lower() not in {name.lower() for name in issuers}:
        return False
    values: dict[str, str] = {}
    for parameter in parameters:
        tag, equals, value = (part.strip(" \t") for part in parameter.partition("="))
        # A trailing semicolon, a tag twice or white space within a value make the whole record malformed.
        if not equals or not tag or tag.lower() in values or (value and not _VALUE.fullmatch(value)):
            return False
        values[tag.lower()] = value
    if values.get("accounturi") != account_uri:
        return False
    if wildcard and values.get("policy", "").lower() != "wildcard":
        return False
    until = values.get("persistuntil")
    if until is None:
        return True
    return _NUMBER.fullmatch(until) is not None and int(until) >= (now or datetime.now(UTC)).timestamp()
