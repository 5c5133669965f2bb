"""dns-account-01: dns-01 at a name of the account's own (draft-ietf-acme-dns-account-label).

Several accounts can so prove the same domain, each through a CNAME of its own.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

_HASHED_OCTETS: Final = 10


def account_label(account_url: str) -> str:
    """Return the label of an account: `_` and 16 characters of base32 over the SHA-256 of its URL (section 3.1)."""
    digest = hashlib.sha256(account_url.encode("ascii")).digest()
    return "_" + base64.b32encode(digest[:_HASHED_OCTETS]).decode("ascii").lower()


def dns_account01_name(name: str, account_url: str) -> str:
    """Return where the TXT record stands; its value is that of dns-01. A wildcard's `*.` is left out."""
    return f"{account_label(account_url)}._acme-challenge.{name.removeprefix('*.')}"
