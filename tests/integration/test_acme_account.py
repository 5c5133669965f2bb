"""Accounts at Pebble: bound, listed, rolled over, probed after a crash, closed."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from certwright.acme import (
    AccountCredentials,
    AccountDoesNotExist,
    AccountKey,
    AuthorizationStatus,
    BadNonce,
    ConnectionFailed,
    ExternalAccountBinding,
    HeldKey,
    HttpxTransport,
    Identifier,
    NotOffered,
    RolloverUnconfirmed,
    Unauthorized,
    base64url,
    probe_keys,
)
from certwright.client import Dns01, connect, issue
from harness.acme import connected, provider_of, registered, view_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.acme import AccountKeyAlgorithm, Client, MacAlgorithm, Response, Transport
    from testbed.parts.bind import Bind
    from testbed.parts.pebble import Pebble


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_an_account_is_bound_and_issues(
    make_pebble: Callable[..., Pebble], bind: Bind, name: str, algorithm: MacAlgorithm
) -> None:
    secret = base64url.encode(secrets.token_bytes(64))
    pebble = make_pebble(eab_required=True, eab_keys={"customer-1": secret})
    binding = ExternalAccountBinding.from_text("customer-1", secret, algorithm)
    async with registered(pebble, binding=binding) as client:
        certificate = await issue(client, [name], solvers=[Dns01(provider_of(bind), view_of(bind))], profile="default")
    assert certificate.identifiers == (Identifier.dns(name),)


@pytest.mark.parametrize(("old", "new"), [("ES256", "ES384"), ("RS256", "ES256"), ("ES256", "RS256")])
async def test_a_key_is_rolled_over(
    pebble: Pebble, name: str, old: AccountKeyAlgorithm, new: AccountKeyAlgorithm
) -> None:
    old_key, new_key = AccountKey.generate(old), AccountKey.generate(new)
    async with registered(pebble, old_key) as client:
        url = client.account_url
        assert await probe_keys(client, old=old_key, new=new_key) is HeldKey.OLD
        await client.change_key(new_key)
        assert client.key == new_key
        assert await probe_keys(client, old=old_key, new=new_key) is HeldKey.NEW
        assert await probe_keys(client, old=old_key, new=AccountKey.generate()) is HeldKey.NEITHER
        await client.new_order([Identifier.dns(name)], profile="default")
    async with connected(pebble, old_key) as stranger:
        with pytest.raises(AccountDoesNotExist):
            await stranger.find_account()
    async with connected(pebble, new_key) as again:
        assert (await again.find_account()).url == url


async def test_a_crash_in_the_middle_of_a_rollover_loses_nothing(pebble: Pebble) -> None:
    old_key, new_key = AccountKey.generate(), AccountKey.generate()
    async with registered(pebble, old_key) as client:
        # What a process keeps that dies between the request and the answer: both keys and the account URL.
        lossy = _lossy(client, "keyChange")
        with pytest.raises(ConnectionFailed):
            await lossy.change_key(new_key)
        assert lossy.key == old_key
        assert await probe_keys(lossy, old=old_key, new=new_key) is HeldKey.NEW
        saved = AccountCredentials(pebble.directory_url, client.account_url, new_key)
    async with connected(pebble, AccountCredentials.from_json(saved.to_json())) as restored:
        assert (await restored.fetch_account()).url == saved.account_url


async def test_a_rollover_that_the_server_only_claims_is_found_out(pebble: Pebble) -> None:
    # For a key that another account has Pebble 2.10.1 answers 200 and changes nothing.
    taken = AccountKey.generate()
    async with registered(pebble, taken), registered(pebble) as client:
        before = client.key
        with pytest.raises(RolloverUnconfirmed):
            await client.change_key(taken)
        assert client.key == before
        assert await probe_keys(client, old=before, new=taken) is HeldKey.OLD
        assert (await client.fetch_account()).status == "valid"


async def test_orders_are_listed_page_by_page(pebble: Pebble, name: str) -> None:
    async with registered(pebble) as client:
        # Pebble shows three a page.
        orders = [await client.new_order([Identifier.dns(f"n{number}.{name}")]) for number in range(8)]
        listed = await client.list_orders()
        assert set(listed) == {order.url for order in orders}
        assert len(await client.list_orders(limit=4)) == 4


async def test_a_valid_authorization_can_be_given_up_and_a_pending_one_is_left_alone(
    make_pebble: Callable[..., Pebble], bind: Bind, name: str
) -> None:
    async with registered(make_pebble(authz_reuse_percent=100)) as client:
        pending = await client.new_order([Identifier.dns(name)], profile="default")
        (authorization,) = await client.fetch_authorizations(pending)
        with pytest.raises(ValueError, match="pending"):
            await client.deactivate_authorization(authorization)
        await issue(client, [name], solvers=[Dns01(provider_of(bind), view_of(bind))], profile="default")
        reused = await client.new_order([Identifier.dns(name)], profile="default")
        (authorization,) = await client.fetch_authorizations(reused)
        assert authorization.status is AuthorizationStatus.VALID
        given_up = await client.deactivate_authorization(authorization)
        assert given_up.status is AuthorizationStatus.DEACTIVATED


async def test_pre_authorization_is_a_typed_refusal_where_it_is_not_offered(pebble: Pebble, name: str) -> None:
    async with registered(pebble) as client:
        with pytest.raises(NotOffered, match="newAuthz") as caught:
            await client.new_authorization(Identifier.dns(name))
    assert caught.value.resource == "newAuthz"


async def test_contacts_change_and_a_closed_account_stays_closed(pebble: Pebble, name: str) -> None:
    async with registered(pebble) as client:
        assert (await client.update_account(contact=["mailto:a@example.test"])).contact == ("mailto:a@example.test",)
        assert (await client.deactivate_account()).status == "deactivated"
        with pytest.raises(Unauthorized):
            await client.new_order([Identifier.dns(name)])


async def test_half_of_all_nonces_refused_is_an_ordinary_day(
    make_pebble: Callable[..., Pebble], bind: Bind, name: str
) -> None:
    async with registered(make_pebble(nonce_reject_percent=50)) as client:
        solver = Dns01(provider_of(bind), view_of(bind))
        certificate = await issue(client, [name, f"*.{name}"], solvers=[solver], profile="default")
    assert len(certificate.identifiers) == 2


async def test_all_nonces_refused_ends_in_a_typed_error(make_pebble: Callable[..., Pebble]) -> None:
    requests: list[str] = []
    async with connected(
        make_pebble(nonce_reject_percent=100), on_request=lambda record: requests.append(record.action)
    ) as client:
        with pytest.raises(BadNonce):
            await client.register(terms_of_service_agreed=True)
    assert requests.count("newAccount") == 16


async def test_http_2_is_spoken_where_it_is_wanted_and_offered(pebble: Pebble) -> None:
    spoken: dict[bool, str] = {}
    for http2 in (False, True):
        async with HttpxTransport(ca_bundle=pebble.ca_bundle_pem.decode(), http2=http2) as transport:
            async with connect(pebble.directory_url, transport=transport) as client:
                assert (await client.register(terms_of_service_agreed=True)).created
            pool = transport._transports[None]._pool  # nowhere else to be seen
            spoken[http2] = repr(pool.connections)
    assert "HTTP/2" in spoken[True]
    assert "HTTP/1.1" in spoken[False]


def _lossy(client: Client, action: str) -> Client:
    """The same client behind a connection that breaks after the server acted on one kind of request."""
    server = client.server
    inner: Transport = server._transport

    class Lossy:
        async def request(
            self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, max_bytes: int
        ) -> Response:
            response = await inner.request(method, url, headers=headers, content=content, max_bytes=max_bytes)
            directory = await server.directory()
            if url == directory.key_change and action == "keyChange" and response.status < 400:
                raise ConnectionFailed("the connection broke", host="test", request_sent=True)
            return response

        async def aclose(self) -> None:
            return

    server._transport = Lossy()
    return client
