"""Issue for a domain and its wildcard by dns-01, with dynamic updates (RFC 2136) to BIND, Knot or PowerDNS."""

import asyncio
import os
from pathlib import Path

from certwright.client import Dns01, connect, issue
from certwright.dns import DnsView
from certwright.dns.providers import open_provider

CA = os.environ.get("CA", "letsencrypt-staging")
NAME = os.environ.get("NAME", "example.com")
DNS_SERVER = os.environ.get("DNS_SERVER", "ns1.example.com")
KEY_NAME = os.environ.get("TSIG_NAME", "acme-key")
KEY_SECRET = os.environ["TSIG_SECRET"]
# None uses the system's resolvers, and then asks every name server of the zone.
RESOLVERS = os.environ["RESOLVERS"].split(",") if "RESOLVERS" in os.environ else None


async def main() -> None:
    view = DnsView(resolvers=RESOLVERS, authoritative=RESOLVERS)
    # For a DNS service: open_provider("cloudflare", api_token=...)
    server = open_provider("rfc2136", view=view, nameserver=DNS_SERVER, tsig_key_name=KEY_NAME, tsig_secret=KEY_SECRET)
    async with server as provider, connect(CA) as client:
        await client.register(terms_of_service_agreed=True)
        certificate = await issue(client, [NAME, f"*.{NAME}"], solvers=[Dns01(provider, view)], on_event=print)
    Path("privkey.pem").touch(mode=0o600)
    Path("privkey.pem").write_bytes(certificate.private_key_pem)
    Path("fullchain.pem").write_bytes(certificate.chain_pem)


asyncio.run(main())
