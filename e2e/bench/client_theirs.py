"""The same as `client_ours` with PyPI's `acme`, certbot's library, in the way its own example does it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import josepy
from acme import challenges, client, crypto_util, messages
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from acme.messages import OrderResource


class CountingNetwork(client.ClientNetwork):
    """Counts its requests."""

    requests = 0

    def _send_request(self, *args: Any, **kwargs: Any) -> Any:
        self.requests += 1
        return super()._send_request(*args, **kwargs)


def issue(acme: client.ClientV2, name: str, webroot: Path) -> OrderResource:
    """Order, put the file in place, poll, finalize, download."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    order = acme.new_order(crypto_util.make_csr(pem, [name]))
    written = []
    for authorization in order.authorizations:
        for offered in authorization.body.challenges:
            if isinstance(offered.chall, challenges.HTTP01):
                response, validation = offered.response_and_validation(acme.net.key)
                path = webroot / offered.chall.path.removeprefix("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(validation)
                written.append(path)
                acme.answer_challenge(offered, response)
    try:
        return acme.poll_and_finalize(order)
    finally:
        for path in written:
            path.unlink()


def main(directory: str, webroot: str, domain: str, runs: int) -> None:
    """Issue once to warm up, then so many times."""
    account_key = josepy.JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
    net = CountingNetwork(account_key, alg=josepy.ES256, verify_ssl=os.environ["SSL_CERT_FILE"])  # type: ignore[arg-type]
    acme = client.ClientV2(client.ClientV2.get_directory(directory, net), net)
    acme.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
    issue(acme, f"warm.{domain}", Path(webroot))
    net.requests = 0
    cpu, began = time.process_time(), time.perf_counter()
    for number in range(runs):
        issue(acme, f"n{number}.{domain}", Path(webroot))
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    print(json.dumps({"cpu": cpu / runs, "requests": net.requests / runs, "seconds": seconds / runs}))


if __name__ == "__main__":
    directory, webroot, domain, runs = sys.argv[1:]
    main(directory, webroot, domain, int(runs))
