"""Issue many certificates from one process: one account, one connection pool, one budget for the CA's rate limits."""

import asyncio
import os
import time

from certwright.acme import AcmeError, Budget, BudgetExhausted, Client, limits_of
from certwright.client import Http01Server, connect, issue

CA = os.environ.get("CA", "letsencrypt-staging")
DOMAIN = os.environ.get("DOMAIN", "example.com")
COUNT = int(os.environ.get("COUNT", "20"))
HTTP_PORT = int(os.environ.get("HTTP_PORT", "80"))


async def main() -> None:
    solver = Http01Server(port=HTTP_PORT)  # answers for all of them
    slots = asyncio.Semaphore(16)
    began = time.monotonic()
    async with connect(CA) as client:
        await client.register(terms_of_service_agreed=True)
        budget = Budget(limits_of(client.server.directory_url))

        async def one(client: Client, name: str) -> bool:
            async with slots:
                try:
                    await issue(client, [name], solvers=[solver], budget=budget)
                except BudgetExhausted as error:
                    print(f"{name}: {error}")  # no request was sent to the CA
                except AcmeError as error:
                    print(f"{name}: {type(error).__name__}: {error}")
                else:
                    return True
            return False

        done = await asyncio.gather(*(one(client, f"host-{number}.{DOMAIN}") for number in range(COUNT)))
    print(f"{sum(done)} of {COUNT} certificates in {time.monotonic() - began:.1f} s")


asyncio.run(main())
