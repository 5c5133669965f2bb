"""Revoke a certificate with the account that issued it, or, with `--by-its-key`, with its own key and no account."""

import asyncio
import os
import sys
from pathlib import Path

from certwright.acme import AccountCredentials, RevocationReason
from certwright.client import connect, revoke

CA = os.environ.get("CA", "letsencrypt-staging")


async def main() -> None:
    certificate = Path("fullchain.pem").read_bytes()
    if "--by-its-key" in sys.argv:
        async with connect(CA) as client:
            key = Path("privkey.pem").read_bytes()
            revoked = await revoke(client, certificate, key=key, reason=RevocationReason.KEY_COMPROMISE)
    else:
        account = AccountCredentials.from_json(Path("account.json").read_text())
        async with connect(account=account) as client:
            revoked = await revoke(client, certificate, reason=RevocationReason.SUPERSEDED)
    print("Revoked" if revoked else "It was already revoked")


asyncio.run(main())
