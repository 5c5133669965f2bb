"""Require a chain to a specific root, or get an error that lists the available roots."""

import asyncio
import os
from pathlib import Path

from certwright.acme import NoSuchChain, issuer_names
from certwright.client import Event, Http01Server, OrderPlaced, connect, issue

CA = os.environ.get("CA", "letsencrypt-staging")
NAME = os.environ.get("NAME", "www.example.com")
ROOT = os.environ.get("ROOT", "ISRG Root X1")
HTTP_PORT = int(os.environ.get("HTTP_PORT", "80"))


async def main() -> None:
    orders: list[str] = []

    def remember(event: Event) -> None:
        if isinstance(event, OrderPlaced):
            orders.append(event.order.url)

    async with connect(CA) as client:
        await client.register(terms_of_service_agreed=True)
        solver = Http01Server(port=HTTP_PORT)
        try:
            certificate = await issue(client, [NAME], solvers=[solver], preferred_chain=ROOT, on_event=remember)
        except NoSuchChain as error:
            # The CA has issued the certificate anyway, and we know its order, so we can download it without a new one.
            print(f"There is no chain to {error.wanted!r}; available: {', '.join(error.offered)}")
            chain = await client.download_certificate(await client.fetch_order(orders[0]))
            for each in (chain, *await client.download_alternates(chain)):
                print(f"{each.url}: {' <- '.join(issuer_names(each))}")
            raise SystemExit(1) from None
    Path("privkey.pem").touch(mode=0o600)
    Path("privkey.pem").write_bytes(certificate.private_key_pem)
    Path("fullchain.pem").write_bytes(certificate.chain_pem)
    print(f"Saved the chain to {ROOT}; the CA offers {len(certificate.alternate_urls)} others")


asyncio.run(main())
