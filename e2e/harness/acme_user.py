"""A user of the ACME library: one client object that obtains certificates repeatedly."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from certwright.acme import (
    AccountKey,
    AcmeServer,
    CertificateChainPem,
    Client,
    Clock,
    HttpxTransport,
    Identifier,
    Timeouts,
)
from certwright.client import NoSolver
from certwright.dns import TxtRecord
from certwright.pki import build_csr, check_before_write, generate_private_key, parse_chain
from harness.acme import provider_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.pki import CertificateChain
    from testbed.parts.bind import Bind

PATIENT: Final = Timeouts(connect=20.0, read=20.0, total=40.0)
HASTY: Final = Timeouts(connect=20.0, read=1.5, total=3.0)
"""For CAs that do not answer, so that the test is soon over; whoever waits for an answer has time."""
LONGEST_SLEEP: Final = 0.02
PATIENCE: Final = 3.0
"""Seconds for which what a CA refuses is repeated; with sleeps that short, often enough."""


class AcmeUser:
    """Runs whole issuances by dns-01 and passes the results through the gate.

    Args:
        client: Used for everything, whatever happened before.
        bind: Where the records are put.

    Attributes:
        poll_seconds: How long an order may take for each of its steps.
        seen: Tokens and key authorizations, which must be in no log and no error.
        issued: The last chain as it came.
    """

    def __init__(self, client: Client, bind: Bind) -> None:
        self.client = client
        self.poll_seconds = PATIENT.total
        self.seen: set[str] = set()
        self.issued = CertificateChainPem(b"", ())
        self._zone = bind.zones[0]
        self._dns = provider_of(bind)

    async def obtain(self) -> CertificateChain:
        """Register unless that is done, and obtain a certificate for two new domains.

        Raises:
            AcmeError: What the CA did wrong.
            PkiError: What is wrong with the chain.
        """
        client = self.client
        if client.account_url is None:
            await client.register(terms_of_service_agreed=True)
        first = f"{secrets.token_hex(6)}.{self._zone}"
        names = [first, f"*.{first}"]
        order = await client.new_order([Identifier.dns(name) for name in names], profile="default")
        records, challenges = [], []
        for authorization in await client.fetch_authorizations(order):
            challenge = authorization.challenge("dns-01")
            if challenge is None:
                raise NoSolver({authorization.name: [offer.type for offer in authorization.challenges]}, ["dns-01"])
            if challenge.token is not None and authorization.status == "pending":
                self.seen |= {challenge.token, client.key_authorization(challenge.token)}
                value = client.dns01_value(challenge.token)
                records.append(TxtRecord(f"_acme-challenge.{authorization.identifier.value}", value))
                challenges.append(challenge)
        if records:
            await self._dns.present(records)
        try:
            answered = [await client.answer_challenge(challenge) for challenge in challenges]
            order = await client.poll_order(order, until={"ready"}, timeout=self.poll_seconds, answered=answered)
        finally:
            if records:
                await self._dns.clean_up(records)
        key = generate_private_key()
        order = await client.finalize(order, build_csr(key, dns_names=names))
        order = await client.poll_order(order, timeout=self.poll_seconds)
        self.issued = await client.download_certificate(order)
        return check_before_write(parse_chain(self.issued.pem), key, dns_names=names, now=datetime.now(UTC))


@asynccontextmanager
async def acme_user(
    directory_url: str, ca_bundle: bytes, bind: Bind, *, timeouts: Timeouts = PATIENT
) -> AsyncIterator[AcmeUser]:
    """Provide a user with its own account key and a single connection.

    A connection that is not returned shows at once, as there is no other.
    """
    async with HttpxTransport(ca_bundle=ca_bundle.decode(), timeout=timeouts, max_connections=1) as transport:
        # Pauses between tries protect the CA; a test CA does not need them.
        clock = Clock(sleep=lambda seconds: asyncio.sleep(min(seconds, LONGEST_SLEEP)))
        server = AcmeServer(directory_url, transport, clock=clock, patience=PATIENCE)
        yield AcmeUser(Client(server, AccountKey.generate()), bind)
