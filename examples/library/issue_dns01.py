"""Issue for a domain and its wildcard by dns-01, with dynamic updates (RFC 2136) to BIND, Knot or PowerDNS."""

import asyncio
import os
from pathlib import Path

from certwright.client import Dns01, connect, issue
from certwright.dns import DnsView, TsigKey
from certwright.dns.providers.rfc2136 import Rfc2136Provider

CA = os.environ.get("CA", "letsencrypt-staging")
NAME = os.environ.get("NAME", "example.com")
DNS_SERVER = os.environ.get("DNS_SERVER", "ns1.example.com")
TSIG_KEY = TsigKey(os.environ.get("TSIG_NAME", "acme-key"), os.environ["TSIG_SECRET"])
# None uses the system's resolvers, and then asks every name server of the zone.
RESOLVERS = os.environ["RESOLVERS"].split(",") if "RESOLVERS" in os.environ else None


async def main() -> None:
    view = DnsView(resolvers=RESOLVERS, authoritative=RESOLVERS)
    solver = Dns01(Rfc2136Provider(DNS_SERVER, tsig=TSIG_KEY), view)
    async with connect(CA) as client:
        await client.register(terms_of_service_agreed=True)
        certificate = await issue(client, [NAME, f"*.{NAME}"], solvers=[solver], on_event=print)
    Path("privkey.pem").touch(mode=0o600)
    Path("privkey.pem").write_bytes(certificate.private_key_pem)
    Path("fullchain.pem").write_bytes(certificate.chain_pem)


asyncio.run(main())
