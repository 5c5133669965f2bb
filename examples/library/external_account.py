"""Register at a CA that requires external account binding, such as ZeroSSL, Google Trust Services or SSL.com."""

import asyncio
import os
from pathlib import Path

from certwright.acme import AccountCredentials, ExternalAccountBinding, ExternalAccountRequired
from certwright.client import connect

CA = os.environ.get("CA", "zerossl")
# The CA's web site shows both.
KEY_ID = os.environ["EAB_KEY_ID"]
MAC_KEY = os.environ["EAB_MAC_KEY"]


async def main() -> None:
    async with connect(CA) as client:
        print("A binding is required:", (await client.server.directory()).meta.external_account_required)
        try:
            await client.register(terms_of_service_agreed=True)
        except ExternalAccountRequired as error:
            print(f"Without: {error}")
        binding = ExternalAccountBinding.from_text(KEY_ID, MAC_KEY)
        account = await client.register(terms_of_service_agreed=True, external_account_binding=binding)
        # The binding is needed only once; from now on the account key is enough.
        Path("account.json").touch(mode=0o600)
        Path("account.json").write_text(AccountCredentials.of(client).to_json())
    print(f"Registered: {account.url}")


asyncio.run(main())
