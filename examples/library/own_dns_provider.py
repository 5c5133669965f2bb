"""Write your own DNS provider, for any service that can add and remove a TXT record."""

import asyncio
import os
from collections.abc import Sequence

import aiohttp

from certwright.client import Dns01, connect, issue
from certwright.dns import TxtRecord

CA = os.environ.get("CA", "letsencrypt-staging")
NAME = os.environ.get("NAME", "example.com")
DNS_API = os.environ.get("DNS_API", "https://dns.example.com/api")


class ApiProvider:
    """Implements the two methods of `certwright.dns.Provider`. Either may be called twice for the same record."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def present(self, records: Sequence[TxtRecord]) -> None:
        for record in records:
            await self._post("set-txt", {"host": f"{record.name}.", "value": record.value})

    async def clean_up(self, records: Sequence[TxtRecord]) -> None:
        # This service removes all values of a name at once; a better one would remove only ours.
        for name in {record.name for record in records}:
            await self._post("clear-txt", {"host": f"{name}."})

    async def _post(self, action: str, body: dict[str, str]) -> None:
        async with self.session.post(f"{DNS_API}/{action}", json=body) as answer:
            answer.raise_for_status()


async def main() -> None:
    async with aiohttp.ClientSession() as session, connect(CA) as client:
        await client.register(terms_of_service_agreed=True)
        # With a DnsView as its second argument, Dns01 would check all name servers before it asks the CA to validate.
        solver = Dns01(ApiProvider(session))
        certificate = await issue(client, [f"*.{NAME}"], solvers=[solver], on_event=print)
    print(f"*.{NAME} until {certificate.not_after:%Y-%m-%d}")


asyncio.run(main())
