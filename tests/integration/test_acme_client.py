"""The ACME client against Pebble at its strictest: 30 % of nonces refused, Retry-After in both forms."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from certwright.acme import (
    AccountDoesNotExist,
    AccountKey,
    AcmeServer,
    Client,
    ExternalAccountBinding,
    ExternalAccountRequired,
    HttpxTransport,
    Identifier,
    InvalidProfile,
    OrderFailed,
    RejectedIdentifier,
    RequestRecord,
    UntrustedServer,
    base64url,
)
from certwright.dns import TxtRecord
from certwright.pki import build_csr, check_before_write, generate_private_key, parse_chain
from harness.acme import provider_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from certwright.acme import AccountKeyAlgorithm, CertificateChainPem, Order
    from certwright.pki import PrivateKey
    from testbed.parts.bind import Bind
    from testbed.parts.pebble import Pebble


@asynccontextmanager
async def client_of(
    pebble: Pebble,
    key: AccountKey | None = None,
    *,
    account_url: str | None = None,
    records: list[RequestRecord] | None = None,
) -> AsyncIterator[Client]:
    async with HttpxTransport(ca_bundle=pebble.ca_bundle_pem.decode()) as transport:
        observe = None if records is None else records.append
        server = AcmeServer(pebble.directory_url, transport, on_request=observe)
        yield Client(server, key or AccountKey.generate(), account_url=account_url)


@asynccontextmanager
async def proven(client: Client, order: Order, bind: Bind) -> AsyncIterator[None]:
    """Keep the TXT records of all pending names in the zone, and have them validated."""
    provider = provider_of(bind)
    records, challenges = [], []
    for authorization in await client.fetch_authorizations(order):
        challenge = authorization.challenge("dns-01")
        assert challenge is not None
        if authorization.status == "pending":
            assert challenge.token is not None
            value = client.dns01_value(challenge.token)
            records.append(TxtRecord(f"_acme-challenge.{authorization.identifier.value}", value))
            challenges.append(challenge)
    await provider.present(records)
    try:
        for challenge in challenges:
            await client.answer_challenge(challenge)
        yield
    finally:
        await provider.clean_up(records)


async def issue(client: Client, names: Sequence[str], bind: Bind) -> tuple[CertificateChainPem, PrivateKey, Order]:
    order = await client.new_order([Identifier.dns(name) for name in names], profile="default")
    async with proven(client, order, bind):
        order = await client.poll_order(order, until={"ready"})
    key = generate_private_key()
    order = await client.finalize(order, build_csr(key, dns_names=names))
    order = await client.poll_order(order)
    return await client.download_certificate(order), key, order


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "RS256"])
async def test_a_certificate_is_issued_for_every_kind_of_account_key(
    pebble: Pebble, bind: Bind, name: str, algorithm: AccountKeyAlgorithm
) -> None:
    names = [name, f"*.{name}", f"www.{name}"]
    async with client_of(pebble, AccountKey.generate(algorithm)) as client:
        account = await client.register(contact=["mailto:ops@example.test"], terms_of_service_agreed=True)
        assert (account.created, account.status) == (True, "valid")
        chain, key, _ = await issue(client, names, bind)
    check_before_write(parse_chain(chain.pem), key, dns_names=names, now=datetime.now(UTC))
    assert not [record for record in bind.txt_records(bind.zones[0]) if record.endswith(name)]


async def test_an_account_is_found_again_by_its_key_and_used_by_its_url(pebble: Pebble) -> None:
    key = AccountKey.generate()
    async with client_of(pebble, key) as client:
        made = await client.register(terms_of_service_agreed=True)
    async with client_of(pebble, AccountKey.from_pem(key.to_pem())) as client:
        found = await client.find_account()
        again = await client.register(terms_of_service_agreed=True)
    assert made.url == found.url == again.url
    assert not again.created
    records: list[RequestRecord] = []
    async with client_of(pebble, key, account_url=made.url, records=records) as client:
        assert (await client.update_account(contact=["mailto:new@example.test"])).contact == (
            "mailto:new@example.test",
        )
        assert (await client.fetch_account()).url == made.url
        assert (await client.deactivate_account()).status == "deactivated"
    assert {record.action for record in records} <= {"directory", "newNonce", "account"}


async def test_accounts_the_server_does_not_know_are_told_apart(pebble: Pebble, name: str) -> None:
    unknown = pebble.directory_url.removesuffix("/dir") + "/my-account/ffffffffffffffff"
    async with client_of(pebble, account_url=unknown) as client:
        with pytest.raises(AccountDoesNotExist):
            await client.new_order([Identifier.dns(name)])
        with pytest.raises(AccountDoesNotExist):
            await client.find_account()


async def test_an_account_can_be_bound_to_a_customer(make_pebble: Callable[..., Pebble]) -> None:
    secret = base64url.encode(secrets.token_bytes(32))
    pebble = make_pebble(eab_required=True, eab_keys={"customer-1": secret})
    async with client_of(pebble) as client:
        assert (await client.server.directory()).meta.external_account_required
        with pytest.raises(ExternalAccountRequired, match="external account binding"):
            await client.register(terms_of_service_agreed=True)
        binding = ExternalAccountBinding.from_text("customer-1", secret)
        assert (await client.register(terms_of_service_agreed=True, external_account_binding=binding)).created


async def test_a_name_without_its_record_fails_the_order_by_name(pebble: Pebble, name: str) -> None:
    async with client_of(pebble) as client:
        await client.register(terms_of_service_agreed=True)
        order = await client.new_order([Identifier.dns(f"*.{name}")])
        (authorization,) = await client.fetch_authorizations(order)
        assert authorization.name == f"*.{name}"
        challenge = authorization.challenge("dns-01")
        assert challenge is not None
        await client.answer_challenge(challenge)
        with pytest.raises(OrderFailed) as caught:
            await client.poll_order(order)
    assert list(caught.value.by_identifier) == [f"*.{name}"]
    assert caught.value.by_identifier[f"*.{name}"].kind in {"unauthorized", "dns"}


async def test_a_blocked_name_and_an_unknown_profile_are_refused(pebble: Pebble, name: str) -> None:
    async with client_of(pebble) as client:
        await client.register(terms_of_service_agreed=True)
        with pytest.raises(RejectedIdentifier, match="blocked"):
            await client.new_order([Identifier.dns("x.blocked.example.test")])
        with pytest.raises(InvalidProfile):
            await client.new_order([Identifier.dns(name)], profile="no-such-profile")


async def test_an_order_is_finalized_once(pebble: Pebble, bind: Bind, name: str) -> None:
    async with client_of(pebble) as client:
        await client.register(terms_of_service_agreed=True)
        _, key, order = await issue(client, [name], bind)
        again = await client.finalize(order, build_csr(key, dns_names=[name]))
        assert (again.status, again.certificate_url) == ("valid", order.certificate_url)


async def test_alternate_chains_are_offered(make_pebble: Callable[..., Pebble], bind: Bind, name: str) -> None:
    pebble = make_pebble(alternate_roots=2, nonce_reject_percent=30)
    async with client_of(pebble) as client:
        await client.register(terms_of_service_agreed=True)
        chain, _, _ = await issue(client, [name], bind)
    assert len(chain.alternate_urls) == 2


async def test_a_ca_that_nobody_vouches_for_is_not_trusted(pebble: Pebble) -> None:
    async with HttpxTransport() as transport:
        with pytest.raises(UntrustedServer, match=r"not trusted: .*certificate"):
            await AcmeServer(pebble.directory_url, transport).directory()


async def test_fifty_names_are_ordered_and_looked_at_together(pebble: Pebble, name: str) -> None:
    names = [Identifier.dns(f"n{number}.{name}") for number in range(50)]
    async with client_of(pebble) as client:
        await client.register(terms_of_service_agreed=True)
        order = await client.new_order(names)
        authorizations = await client.fetch_authorizations(order)
    assert [authorization.url for authorization in authorizations] == list(order.authorization_urls)
    assert {authorization.identifier for authorization in authorizations} == set(names)
