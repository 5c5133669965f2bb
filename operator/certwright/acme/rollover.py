"""Replacing the key of an account (RFC 8555 section 7.3.5), so that a crash at any instant loses nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from certwright.acme.jws import compact_json, flattened
from certwright.acme.problem_error import ProblemError

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

    Reads the account with the new key, then with the old one; if the client knows no account URL, it looks for an
    account of each, without making any. Nothing about the client changes.

    Args:
        client: Any client at the server, with the account URL if that is known.
        old: The key that the account had.
        new: The key that it was to get.

    Raises:
        AcmeError: The server cannot be asked now, so nothing is known.
    """
    for key, held in ((new, HeldKey.NEW), (old, HeldKey.OLD)):
        probe = type(client)(client.server, key, account_url=client.account_url)
        try:
            await (probe.find_account() if client.account_url is None else probe.fetch_account())
        except ProblemError as error:
            # Which type a server gives to a signature by another key is its own choice: unauthorized, malformed ...
            if error.temporary:
                raise
            continue
        return held
    return HeldKey.NEITHER
