"""Issue with http-01 in one call: the program itself answers the CA on port 80."""

import asyncio
import os
from pathlib import Path

from certwright.acme import AccountCredentials
from certwright.client import Http01Server, connect, issue

CA = os.environ.get("CA", "letsencrypt-staging")
NAME = os.environ.get("NAME", "www.example.com")
HTTP_PORT = int(os.environ.get("HTTP_PORT", "80"))


async def main() -> None:
    async with connect(CA) as client:
        await client.register(terms_of_service_agreed=True)
        save("account.json", AccountCredentials.of(client).to_json().encode())
        certificate = await issue(client, [NAME], solvers=[Http01Server(port=HTTP_PORT)], on_event=print)
    save("privkey.pem", certificate.private_key_pem)
    save("fullchain.pem", certificate.chain_pem)


def save(name: str, content: bytes) -> None:
    """Write a file that only its owner can read."""
    path = Path(name)
    path.touch(mode=0o600)
    path.write_bytes(content)


asyncio.run(main())
