"""Issue for a domain and its wildcard by dns-01, step by step: which records, where, and when to ask the CA."""

import asyncio
import os
from pathlib import Path

from certwright.acme import AccountKey, AcmeServer, Client, HttpxTransport, Identifier, directory_url
from certwright.dns import DnsView, TsigKey, TxtRecord
from certwright.dns.providers.rfc2136 import Rfc2136Provider
from certwright.pki import build_csr, check_before_write, generate_private_key, parse_chain, private_key_to_pem

CA = directory_url(os.environ.get("CA", "letsencrypt-staging"))
NAME = os.environ.get("NAME", "example.com")
DNS_SERVER = os.environ.get("DNS_SERVER", "ns1.example.com")
TSIG_KEY = TsigKey(os.environ.get("TSIG_NAME", "acme-key"), os.environ["TSIG_SECRET"])
RESOLVERS = os.environ["RESOLVERS"].split(",") if "RESOLVERS" in os.environ else None


async def main() -> None:
    names = [NAME, f"*.{NAME}"]
    view = DnsView(resolvers=RESOLVERS, authoritative=RESOLVERS)
    provider = Rfc2136Provider(DNS_SERVER, tsig=TSIG_KEY)
    async with HttpxTransport(trust_env=True) as transport:
        server = AcmeServer(CA, transport)
        client = Client(server, AccountKey.generate())
        await client.register(terms_of_service_agreed=True)
        order = await client.new_order([Identifier.dns(name) for name in names])

        # A domain and its wildcard share one record name with two values: both must exist at the same time.
        challenges, records = [], []
        for authorization in await client.fetch_authorizations(order):
            challenge = authorization.challenge("dns-01")
            if authorization.status != "pending" or challenge is None or challenge.token is None:
                continue
            place = await view.follow_cname(f"_acme-challenge.{authorization.identifier.value}")
            records.append(TxtRecord(place, client.dns01_value(challenge.token)))
            challenges.append(challenge)
        try:
            await provider.present(records)
            # Wait until every name server of the zone returns them before asking the CA to validate.
            while not all(seen.complete for seen in await view.check(records)):
                await asyncio.sleep(1)
            for challenge in challenges:
                await client.answer_challenge(challenge)
            order = await client.poll_order(order, until={"ready"})
        finally:
            await provider.clean_up(records)

        key = generate_private_key("ECDSA", 256)
        order = await client.finalize(order, build_csr(key, dns_names=names))
        order = await client.poll_order(order, until={"valid"})
        chain = await client.download_certificate(order)
        check_before_write(parse_chain(chain.pem), key, dns_names=names, now=server.clock.now())

    Path("privkey.pem").touch(mode=0o600)
    Path("privkey.pem").write_bytes(private_key_to_pem(key))
    Path("fullchain.pem").write_bytes(chain.pem)
    print(f"{len(records)} records, {len(chain.certificates)} certificates in the chain")


asyncio.run(main())
