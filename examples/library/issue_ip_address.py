"""Issue for an IP address (RFC 8738), with the CA's profile for this purpose."""

import asyncio
import os
from pathlib import Path

from certwright.client import Http01Server, connect, issue

CA = os.environ.get("CA", "letsencrypt-staging")
ADDRESS = os.environ.get("ADDRESS", "192.0.2.1")
PROFILE = os.environ.get("PROFILE", "shortlived")
HTTP_PORT = int(os.environ.get("HTTP_PORT", "80"))


async def main() -> None:
    async with connect(CA) as client:
        for name, description in (await client.server.directory()).meta.profiles.items():
            print(f"profile {name}: {description}")
        await client.register(terms_of_service_agreed=True)
        # Addresses require http-01 or tls-alpn-01: there is no zone for a DNS record.
        certificate = await issue(client, [ADDRESS], solvers=[Http01Server(port=HTTP_PORT)], profile=PROFILE)
    Path("privkey.pem").touch(mode=0o600)
    Path("privkey.pem").write_bytes(certificate.private_key_pem)
    Path("fullchain.pem").write_bytes(certificate.chain_pem)
    print(f"{', '.join(map(str, certificate.identifiers))} until {certificate.not_after:%Y-%m-%d %H:%M}")


asyncio.run(main())
