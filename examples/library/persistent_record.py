"""Use dns-persist-01: you create one record once, and later issuances need no access to the DNS."""

import asyncio
import os
from pathlib import Path

from certwright.acme import AccountCredentials
from certwright.client import DnsPersist01, SolverFailed, connect, issue
from certwright.dns import DnsView

CA = os.environ.get("CA", "letsencrypt-staging")
NAME = os.environ.get("NAME", "example.com")
RESOLVERS = os.environ["RESOLVERS"].split(",") if "RESOLVERS" in os.environ else None
ACCOUNT = Path("account.json")


async def main() -> None:
    saved = AccountCredentials.from_json(ACCOUNT.read_text()) if ACCOUNT.exists() else None
    async with connect(CA, account=saved) as client:
        if saved is None:
            await client.register(terms_of_service_agreed=True)
            ACCOUNT.touch(mode=0o600)
            ACCOUNT.write_text(AccountCredentials.of(client).to_json())
        view = DnsView(resolvers=RESOLVERS, authoritative=RESOLVERS)
        solver = DnsPersist01(view=view, propagation_timeout=1)
        try:
            certificate = await issue(client, [NAME, f"*.{NAME}"], solvers=[solver])
        except SolverFailed as error:
            # The message says exactly which record to create.
            raise SystemExit(str(error)) from None
    print(f"{NAME} until {certificate.not_after:%Y-%m-%d}")


asyncio.run(main())
