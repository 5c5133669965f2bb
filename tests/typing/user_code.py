"""What programs write that use the library. Type-checked as their authors would, and never run."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, assert_type

from certwright.acme import (
    Account,
    AccountCredentials,
    AccountKey,
    AcmeError,
    Authorization,
    Budget,
    CertificateChainPem,
    Challenge,
    Client,
    HeldKey,
    NoSuchChain,
    Order,
    OrderFailed,
    Problem,
    RateLimited,
    RenewalInfo,
    RenewalPlan,
    Reservation,
    UserActionRequired,
    limits_of,
    probe_keys,
)
from certwright.client import (
    Dns01,
    Event,
    Http01Server,
    IssuedCertificate,
    KeySpec,
    Offer,
    OrderPlaced,
    Proof,
    Solver,
    TlsAlpn01Server,
    Webroot,
    connect,
    discover,
    issue,
    leaf_der,
    renew,
    revoke,
    sync,
)
from certwright.dns import DnsView, Provider

if TYPE_CHECKING:
    from collections.abc import Sequence


class MySolver:
    """A solver of one's own inherits nothing."""

    challenge_type = "http-01"

    async def present(self, proofs: Sequence[Proof]) -> None:
        for proof in proofs:
            assert_type(proof.http01_path, str)
            assert_type(proof.key_authorization, str)

    async def wait(self, proofs: Sequence[Proof]) -> None: ...

    async def clean_up(self, proofs: Sequence[Proof]) -> None: ...


def progress(event: Event) -> None:
    if isinstance(event, OrderPlaced):
        assert_type(event.order, Order)


async def porcelain(provider: Provider, saved: str) -> None:
    solvers: list[Solver] = [MySolver(), Dns01(provider, DnsView()), Http01Server(), TlsAlpn01Server(), Webroot("/srv")]
    async with connect("letsencrypt-staging", account=AccountCredentials.from_json(saved)) as client:
        assert_type(client, Client)
        budget = Budget(limits_of(client.server.directory_url))
        certificate = await issue(
            client,
            ["example.com", "*.example.com", "192.0.2.1"],
            solvers=lambda identifier: solvers if identifier.type == "dns" else solvers[:1],
            key=KeySpec("RSA", 4096),
            preferred_chain="ISRG Root X1",
            budget=budget,
            on_event=progress,
        )
        assert_type(certificate, IssuedCertificate)
        assert_type(certificate.renewal_info, RenewalInfo | None)
        if certificate.renewal_info is not None:
            assert_type(RenewalPlan.follow(certificate.renewal_info).at, datetime)
        again = await renew(client, certificate.chain_pem, solvers=solvers, key=certificate.private_key_pem)
        assert_type(await revoke(client, again.chain_pem), bool)
        assert_type(await discover(client, ["example.com"]), tuple[Offer, ...])
        reservation = budget.reserve(account=client.account_url or "", identifiers=certificate.identifiers)
        assert_type(reservation, Reservation)


async def plumbing(client: Client, new_key: AccountKey) -> None:
    assert_type(await client.register(terms_of_service_agreed=True), Account)
    order = await client.fetch_order((await client.list_orders())[0])
    for authorization in await client.fetch_authorizations(order):
        assert_type(authorization, Authorization)
        assert_type(authorization.challenge("dns-01"), Challenge | None)
    chain = await client.download_certificate(order)
    assert_type(await client.choose_chain(chain, "ISRG Root X1"), CertificateChainPem)
    assert_type(await client.fetch_renewal_info(leaf_der(chain.pem)), RenewalInfo)
    assert_type(await probe_keys(client, old=client.key, new=new_key), HeldKey)


def errors(error: AcmeError) -> None:
    match error:
        case RateLimited():
            assert_type(error.retry_at, datetime | None)
        case UserActionRequired():
            assert_type(error.url, str | None)
        case OrderFailed():
            assert_type(error.by_identifier, dict[str, Problem])
        case NoSuchChain():
            assert_type(error.offered, tuple[str, ...])
        case _:
            assert_type(error.retry_after, float | None)


def script() -> None:
    with sync.connect("letsencrypt-staging", account=AccountKey.generate()) as client:
        assert_type(client.register(contact=["mailto:a@example.com"]), Account)
        assert_type(client.issue(["example.com"], solvers=[Webroot("/srv")]), IssuedCertificate)
        assert_type(client.credentials.to_json(), str)
