"""Issue by tls-alpn-01, where only port 443 is open: the program answers the CA in the TLS handshake."""

import asyncio
import os
from pathlib import Path

from certwright.client import TlsAlpn01Server, connect, issue

CA = os.environ.get("CA", "letsencrypt-staging")
NAME = os.environ.get("NAME", "www.example.com")
TLS_PORT = int(os.environ.get("TLS_PORT", "443"))


async def main() -> None:
    async with connect(CA) as client:
        await client.register(terms_of_service_agreed=True)
        certificate = await issue(client, [NAME], solvers=[TlsAlpn01Server(port=TLS_PORT)])
    Path("privkey.pem").touch(mode=0o600)
    Path("privkey.pem").write_bytes(certificate.private_key_pem)
    Path("fullchain.pem").write_bytes(certificate.chain_pem)
    print(f"{NAME} until {certificate.not_after:%Y-%m-%d}")


asyncio.run(main())
