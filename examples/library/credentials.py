"""Create an account once, save it, and use it again; find it by its key alone."""

import asyncio
import os
from pathlib import Path

from certwright.acme import AccountCredentials, AccountDoesNotExist, AccountKey
from certwright.client import connect

CA = os.environ.get("CA", "letsencrypt-staging")
CONTACT = os.environ.get("CONTACT", "mailto:you@example.com")
ACCOUNT = Path("account.json")


async def main() -> None:
    if not ACCOUNT.exists():
        async with connect(CA) as client:
            # Save the key before registering, so that a crash in between cannot lose the account.
            ACCOUNT.touch(mode=0o600)
            ACCOUNT.write_text(AccountCredentials.of(client).to_json())
            await client.register(contact=[CONTACT], terms_of_service_agreed=True)
            ACCOUNT.write_text(AccountCredentials.of(client).to_json())

    saved = AccountCredentials.from_json(ACCOUNT.read_text())
    async with connect(account=saved) as client:
        account = await client.fetch_account()
        print(f"{account.url} is {account.status}, contacts {', '.join(account.contact) or 'none'}")

    # A key in PEM from another client: the key alone is enough.
    pem = saved.key.to_pem()
    async with connect(CA, account=AccountKey.from_pem(pem)) as client:
        print(f"Found again: {(await client.find_account()).url}")

    async with connect(CA) as client:
        try:
            await client.find_account()
        except AccountDoesNotExist as error:
            print(f"A new key: {error}")


asyncio.run(main())
