"""Issue by http-01, step by step: each request to the CA is one line of this program."""

import asyncio
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from certwright.acme import AccountKey, AcmeServer, Client, HttpxTransport, Identifier, directory_url, http01_path
from certwright.pki import build_csr, check_before_write, generate_private_key, parse_chain, private_key_to_pem

CA = directory_url(os.environ.get("CA", "letsencrypt-staging"))
NAME = os.environ.get("NAME", "www.example.com")
HTTP_PORT = int(os.environ.get("HTTP_PORT", "80"))

answers: dict[str, bytes] = {}


class Responder(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = answers.get(self.path)
        self.send_response(200 if content else 404)
        self.end_headers()
        self.wfile.write(content or b"")


async def main() -> None:
    async with HttpxTransport(trust_env=True) as transport:
        server = AcmeServer(CA, transport)
        print("Terms of service:", (await server.directory()).meta.terms_of_service)

        # 1. Register: the key is the account, so keep it.
        client = Client(server, AccountKey.generate())
        account = await client.register(terms_of_service_agreed=True)
        print("Account:", account.url)

        # 2. Order.
        order = await client.new_order([Identifier.dns(NAME)])
        print("Order:", order.url)

        # 3. Answer an http-01 challenge for every domain that is not validated yet.
        for authorization in await client.fetch_authorizations(order):
            if authorization.status == "valid":
                continue
            challenge = authorization.challenge("http-01")
            if challenge is None or challenge.token is None:
                raise SystemExit(f"The CA offers no http-01 for {authorization.name}")
            answers[http01_path(challenge.token)] = client.key_authorization(challenge.token).encode()
            await client.answer_challenge(challenge)

        # 4. Poll until the CA has validated the domains; Retry-After sets the interval.
        order = await client.poll_order(order, until={"ready"})

        # 5. Finalize with a CSR for exactly the domains of the order, with a key other than the account's.
        key = generate_private_key("ECDSA", 256)
        order = await client.finalize(order, build_csr(key, dns_names=[NAME]))
        order = await client.poll_order(order, until={"valid"})

        # 6. Download the certificate, and check that it is what we requested.
        chain = await client.download_certificate(order)
        check_before_write(parse_chain(chain.pem), key, dns_names=[NAME], now=server.clock.now())
        print("Certificate:", chain.url)

    Path("privkey.pem").touch(mode=0o600)
    Path("privkey.pem").write_bytes(private_key_to_pem(key))
    Path("fullchain.pem").write_bytes(chain.pem)


responder = ThreadingHTTPServer(("", HTTP_PORT), Responder)
threading.Thread(target=responder.serve_forever, daemon=True).start()
try:
    asyncio.run(main())
finally:
    responder.shutdown()
    responder.server_close()
