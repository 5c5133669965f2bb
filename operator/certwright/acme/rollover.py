"""Replacing the key of an account (RFC 8555 section 7.3.5), so that a crash at any instant loses nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from certwright.acme.jws import compact_json, flattened
from certwright.acme.problem_error import AccountDoesNotExist, Unauthorized

if TYPE_CHECKING:
    from certwright.acme.account_client import AccountClient
    from certwright.acme.key import AccountKey


class HeldKey(StrEnum):
    """Which of two keys an account has."""

    OLD = "old"
    NEW = "new"
    NEITHER = "neither"


def key_change_payload(old: AccountKey, new: AccountKey, *, account_url: str, url: str) -> dict[str, str]:
    """Return the payload of a keyChange request: a JWS by the new key over the account and the old key.

    Args:
        old: The key that the account has; it signs the request around the payload.
        new: The key that it shall have.
        account_url: The account.
        url: Where the request goes.
    """
    inner = {"account": account_url, "oldKey": dict(old.jwk)}
    return flattened({"alg": new.algorithm, "jwk": dict(new.jwk), "url": url}, compact_json(inner), new.sign)


async def probe_keys(client: AccountClient, *, old: AccountKey, new: AccountKey) -> HeldKey:
    """Find out which key an account has after a rollover whose end nobody saw.

    Asks for the account of the new key, then of the old one, without making any. If the client knows an account URL,
    only that account counts. Nothing about the client changes.

    Args:
        client: Any client at the server of the account.
        old: The key that the account had.
        new: The key that it was to get.
    """
    for key, held in ((new, HeldKey.NEW), (old, HeldKey.OLD)):
        probe = type(client)(client.server, key)
        try:
            account = await probe.find_account()
        except (AccountDoesNotExist, Unauthorized):
            # Unauthorized: the account of this key was deactivated (section 7.3.6).
            continue
        if client.account_url in (None, account.url):
            return held
    return HeldKey.NEITHER
