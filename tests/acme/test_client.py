from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import (
    AccountDoesNotExist,
    AccountKey,
    AcmeServer,
    Client,
    ConnectionFailed,
    DeactivationUnconfirmed,
    ExternalAccountBinding,
    Headers,
    Identifier,
    InvalidProfile,
    MalformedResponse,
    NotRegistered,
    OrderFailed,
    PollTimedOut,
    RateLimited,
    Response,
    UnsafeUrl,
    UserActionRequired,
    base64url,
    dns01_name,
    dns01_value,
    replay_nonce,
    sign_request,
)
from certwright.acme.authorization import MAX_CONCURRENT_FETCHES
from certwright.acme.certificate import MAX_CHAIN_BYTES

if TYPE_CHECKING:
    from tests.fakes.acme import FakeCa
    from tests.fakes.time import FakeTime

NAMES = [Identifier.dns("a.example"), Identifier.dns("*.b.example")]
ORIGIN = "https://ca.test:14000"


@pytest.fixture
def newcomer(server: AcmeServer, key: AccountKey) -> Client:
    """A client without an account."""
    return Client(server, key)


class TestAccount:
    async def test_a_new_key_gets_an_account(self, newcomer: Client, ca: FakeCa) -> None:
        account = await newcomer.register(contact=["mailto:ops@example.com"], terms_of_service_agreed=True)
        assert account.created
        assert account.status == "valid"
        assert account.contact == ("mailto:ops@example.com",)
        assert account.url == newcomer.account_url == f"{ORIGIN}/account/1"
        assert ca.requests[-1].json == {"contact": ["mailto:ops@example.com"], "termsOfServiceAgreed": True}

    async def test_a_known_key_gets_its_account_back(self, newcomer: Client) -> None:
        first = await newcomer.register()
        second = await newcomer.register()
        assert (first.url, first.created, second.url, second.created) == (first.url, True, first.url, False)

    async def test_an_external_account_is_bound_for_this_url(self, newcomer: Client, ca: FakeCa) -> None:
        binding = ExternalAccountBinding("customer-1", b"k" * 32)
        await newcomer.register(external_account_binding=binding)
        bound = ca.requests[-1].json["externalAccountBinding"]
        assert bound == binding.bind(newcomer.key, url=f"{ORIGIN}/new-account")

    async def test_finding_makes_none(self, newcomer: Client, ca: FakeCa) -> None:
        with pytest.raises(AccountDoesNotExist):
            await newcomer.find_account()
        assert newcomer.account_url is None
        await newcomer.register()
        found = await newcomer.find_account()
        assert not found.created
        assert ca.requests[-1].json == {"onlyReturnExisting": True}

    async def test_changed_terms_stop_the_registration(self, newcomer: Client, ca: FakeCa) -> None:
        headers = {"Link": '<https://ca.test/terms/2>;rel="terms-of-service"'}
        ca.reply(
            "/new-account",
            lambda request: ca.problem("userActionRequired", "New terms", request, status=403, headers=headers),
        )
        with pytest.raises(UserActionRequired, match=r"https://ca\.test/terms/2"):
            await newcomer.register()

    async def test_contacts_are_replaced_and_accounts_closed(self, client: Client, ca: FakeCa) -> None:
        assert (await client.update_account(contact=["mailto:new@example.com"])).contact == ("mailto:new@example.com",)
        assert (await client.deactivate_account()).status == "deactivated"
        assert [request.json for request in ca.requests[-2:]] == [
            {"contact": ["mailto:new@example.com"]},
            {"status": "deactivated"},
        ]

    async def test_a_closed_account_is_shown_as_closed_whatever_the_answer_says(
        self, client: Client, ca: FakeCa
    ) -> None:
        shown = {"status": "valid"}
        ca.reply(
            "/account/1",
            lambda _: ca.json(shown),
            lambda request: ca.problem("unauthorized", "account is deactivated", request, status=401),
        )
        assert (await client.deactivate_account()).status == "deactivated"
        ca.reply("/account/1", lambda _: ca.json(shown), lambda _: ca.json({"status": "deactivated"}))
        assert (await client.deactivate_account()).status == "deactivated"
        ca.reply("/account/1", lambda _: ca.json(shown), lambda _: ca.json(shown))
        with pytest.raises(DeactivationUnconfirmed, match="still valid"):
            await client.deactivate_account()

    async def test_reading_is_post_as_get(self, client: Client, ca: FakeCa) -> None:
        await client.fetch_account()
        assert ca.requests[-1].payload == b""

    async def test_a_forgotten_account_is_told_apart(self, client: Client, ca: FakeCa) -> None:
        ca.reply("/new-order", lambda request: ca.problem("accountDoesNotExist", "unknown kid", request))
        with pytest.raises(AccountDoesNotExist, match="Register the account again"):
            await client.new_order(NAMES)

    async def test_an_account_that_is_not_known_is_looked_up_once(self, newcomer: Client, ca: FakeCa) -> None:
        await newcomer.register()
        ca.requests.clear()
        newcomer.account_url = None
        await asyncio.gather(*(newcomer.fetch_account() for _ in range(3)))
        asked = [one for one in ca.requests if one.path == "/new-account"]
        assert len(asked) == 1
        assert asked[0].json == {"onlyReturnExisting": True}
        assert newcomer.account_url is not None

    async def test_a_key_without_account_is_told_to_register(self, newcomer: Client, ca: FakeCa) -> None:
        ca.reply("/new-account", lambda request: ca.problem("accountDoesNotExist", "no account", request))
        with pytest.raises(NotRegistered, match="register"):
            await newcomer.fetch_account()

    @pytest.mark.parametrize(
        ("location", "error"),
        [
            (None, MalformedResponse),
            ("", MalformedResponse),
            ("http://ca.test/1", UnsafeUrl),
            ("//[", MalformedResponse),
        ],
    )
    async def test_the_location_has_to_be_there_and_safe(
        self, newcomer: Client, ca: FakeCa, location: str | None, error: type[Exception]
    ) -> None:
        headers = {} if location is None else {"Location": location}
        ca.reply("/new-account", lambda _: ca.json({"status": "valid"}, status=201, headers=headers))
        with pytest.raises(error):
            await newcomer.register()

    async def test_a_relative_location_is_completed(self, newcomer: Client, ca: FakeCa) -> None:
        ca.reply("/new-account", ca.json({"status": "valid"}, status=201, headers={"Location": "/account/7"}))
        assert (await newcomer.register()).url == f"{ORIGIN}/account/7"


class TestOrder:
    async def test_it_is_placed_with_the_names_as_given(self, client: Client, ca: FakeCa) -> None:
        order = await client.new_order(NAMES)
        assert order.url == f"{ORIGIN}/order/1"
        assert order.identifiers == tuple(NAMES)
        assert ca.requests[-1].json == {
            "identifiers": [{"type": "dns", "value": "a.example"}, {"type": "dns", "value": "*.b.example"}]
        }

    async def test_the_optional_members_are_sent_when_asked_for(self, client: Client, ca: FakeCa) -> None:
        ca.meta["profiles"] = {"shortlived": "six days"}
        await client.new_order(
            NAMES,
            profile="shortlived",
            not_before=datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
            not_after=datetime(2026, 2, 1, tzinfo=UTC),
            replaces="aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE",
        )
        sent = ca.requests[-1].json
        del sent["identifiers"]
        assert sent == {
            "profile": "shortlived",
            "notBefore": "2026-01-01T00:00:00Z",
            "notAfter": "2026-02-01T00:00:00Z",
            "replaces": "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE",
        }

    async def test_a_profile_that_the_ca_has_added_is_found(self, client: Client, ca: FakeCa) -> None:
        await client.server.directory()
        ca.meta["profiles"] = {"shortlived": "six days"}
        await client.new_order(NAMES, profile="shortlived")
        await client.new_order(NAMES, profile="shortlived")
        assert (ca.paths().count("/dir"), ca.paths().count("/new-order")) == (2, 2)

    @pytest.mark.parametrize(
        ("profiles", "words"), [({}, "none at all"), ({"tlsserver": "", "classic": ""}, "classic, tlsserver")]
    )
    async def test_a_profile_that_is_not_listed_costs_no_order(
        self, client: Client, ca: FakeCa, profiles: dict[str, str], words: str
    ) -> None:
        ca.meta["profiles"] = profiles
        with pytest.raises(InvalidProfile, match=f"ca.test:14000 has no profile 'gold'; it offers {words}") as caught:
            await client.new_order(NAMES, profile="gold")
        assert "refused" not in str(caught.value)
        assert caught.value.offered == tuple(sorted(profiles))
        assert caught.value.problem.kind == "invalidProfile"
        assert not caught.value.temporary
        assert ca.paths() == ["/dir", "/dir"], "looked for once more, and no order was placed"

    async def test_a_profile_that_the_ca_refuses_all_the_same_is_told(self, client: Client, ca: FakeCa) -> None:
        ca.meta["profiles"] = {"gold": ""}
        ca.reply("/new-order", lambda request: ca.problem("invalidProfile", "not for you", request))
        with pytest.raises(InvalidProfile, match=r"refused newOrder .* not for you") as caught:
            await client.new_order(NAMES, profile="gold")
        assert caught.value.offered is None

    async def test_it_is_not_placed_twice_when_the_connection_breaks(self, client: Client, ca: FakeCa) -> None:
        ca.reply("/new-order", ConnectionFailed("broken", host="ca.test", request_sent=True))
        with pytest.raises(ConnectionFailed):
            await client.new_order(NAMES)
        assert ca.paths().count("/new-order") == 1

    async def test_a_limit_says_when_to_come_back(self, client: Client, ca: FakeCa, time: FakeTime) -> None:
        ca.reply(
            "/new-order",
            lambda request: ca.problem("rateLimited", "too many", request, status=429, headers={"Retry-After": "60"}),
        )
        with pytest.raises(RateLimited) as caught:
            await client.new_order(NAMES)
        assert caught.value.retry_at == time.now + timedelta(seconds=60)

    async def test_the_whole_way_to_the_certificate(self, client: Client, ca: FakeCa, time: FakeTime) -> None:
        order = await client.new_order(NAMES)
        authorizations = await client.fetch_authorizations(order)
        assert [authorization.name for authorization in authorizations] == ["a.example", "*.b.example"]
        for authorization in authorizations:
            challenge = authorization.challenge("dns-01")
            assert challenge is not None
            await client.answer_challenge(challenge)
        ca.order_states.extend(["pending", "ready", "processing", "valid"])
        order = await client.poll_order(order, until={"ready"})
        order = await client.finalize(order, b"\x30\x00")
        assert (order.status, order.url, order.retry_after) == ("processing", f"{ORIGIN}/order/1", 2)
        order = await client.poll_order(order)
        chain = await client.download_certificate(order)
        assert len(chain.certificates) == 2
        assert ca.requests[-1].max_bytes == MAX_CHAIN_BYTES
        assert time.slept == [0.5, 1, 2, 1]
        finalized = next(request for request in ca.requests if request.path == "/finalize")
        assert base64url.decode(finalized.json["csr"]) == b"\x30\x00"

    async def test_a_failed_order_names_the_names(self, client: Client, ca: FakeCa) -> None:
        order = await client.new_order(NAMES)
        ca.order_states.append("invalid")
        problem = {"type": "urn:ietf:params:acme:error:dns", "detail": "no TXT record"}
        ca.reply("/authz/0", lambda _: ca.json(ca.authorization(0, status="valid")))
        ca.reply("/authz/1", lambda _: ca.json(ca.authorization(1, status="invalid", error=problem)))
        with pytest.raises(OrderFailed, match=r"\*\.b\.example: dns: no TXT record") as caught:
            await client.poll_order(order)
        assert list(caught.value.by_identifier) == ["*.b.example"]
        assert not caught.value.temporary

    async def test_invalid_may_be_what_was_waited_for(self, client: Client, ca: FakeCa) -> None:
        order = await client.new_order(NAMES)
        ca.order_states.append("invalid")
        assert (await client.poll_order(order, until={"ready", "invalid"})).status == "invalid"

    async def test_waiting_ends(self, client: Client, time: FakeTime) -> None:
        order = await client.new_order(NAMES)
        with pytest.raises(PollTimedOut):
            await client.poll_order(order, timeout=10)
        assert time.elapsed <= 10

    async def test_an_order_without_certificate_has_none_to_download(self, client: Client) -> None:
        with pytest.raises(ValueError, match="pending"):
            await client.download_certificate(await client.new_order(NAMES))

    async def test_alternate_chains_are_recorded_and_unsafe_ones_left_out(self, client: Client, ca: FakeCa) -> None:
        await client.new_order(NAMES)
        ca.order_states.append("valid")
        order = await client.fetch_order(f"{ORIGIN}/order/1")

        def reply(request: Any) -> Response:
            links = [f"<{ORIGIN}/cert/1>;rel=alternate", "<http://x/2>;rel=alternate", f"<{ORIGIN}/dir>;rel=index"]
            fields = [("Content-Type", "application/pem-certificate-chain"), *(("Link", link) for link in links)]
            body = b"-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"
            return Response(200, Headers(fields), body, request.url)

        ca.reply("/cert", reply)
        assert (await client.download_certificate(order)).alternate_urls == (f"{ORIGIN}/cert/1",)


class TestAuthorizations:
    async def test_they_come_in_the_orders_order_and_not_all_at_once(
        self, client: Client, ca: FakeCa, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [Identifier.dns(f"n{number}.example") for number in range(40)]
        order = await client.new_order(names)
        running = most = 0
        original = ca.request

        async def slow(*args: Any, **kwargs: Any) -> Response:
            nonlocal running, most
            running += 1
            most = max(most, running)
            # On the way for a while, as requests are.
            for _ in range(10):
                await asyncio.sleep(0)
            try:
                return await original(*args, **kwargs)
            finally:
                running -= 1

        monkeypatch.setattr(ca, "request", slow)
        found = await client.fetch_authorizations(order)
        assert [authorization.identifier for authorization in found] == names
        assert 1 < most <= MAX_CONCURRENT_FETCHES

    async def test_one_failure_is_raised_as_it_is(self, client: Client, ca: FakeCa) -> None:
        order = await client.new_order(NAMES)
        ca.reply("/authz/1", lambda request: ca.problem("accountDoesNotExist", "gone", request))
        with pytest.raises(AccountDoesNotExist):
            await client.fetch_authorizations(order)

    async def test_one_can_be_waited_for(self, client: Client, ca: FakeCa, time: FakeTime) -> None:
        order = await client.new_order(NAMES)
        ca.reply(
            "/authz/0", lambda _: ca.json(ca.authorization(0), headers={"Retry-After": "Sun, 01 Mar 2026 12:00:05 GMT"})
        )
        ca.reply("/authz/0", lambda _: ca.json(ca.authorization(0, status="valid")))
        first = await client.fetch_authorization(order.authorization_urls[0])
        assert first.retry_after == 5
        assert (await client.poll_authorization(first)).status == "valid"
        assert time.slept == [5]

    async def test_an_answer_is_not_given_twice_when_the_connection_breaks(self, client: Client, ca: FakeCa) -> None:
        authorization = (await client.fetch_authorizations(await client.new_order(NAMES)))[0]
        challenge = authorization.challenge("dns-01")
        assert challenge is not None
        seen = {**ca.authorization(0)["challenges"][1], "status": "processing"}
        ca.reply("/chall/0", ConnectionFailed("broken", host="ca.test", request_sent=True), ca.json(seen))
        assert (await client.answer_challenge(challenge)).status == "processing"
        assert [request.payload for request in ca.requests if request.path == "/chall/0"] == [b"{}", b""]

    def test_the_proofs_belong_to_the_key(self, client: Client) -> None:
        assert client.key_authorization("abc") == f"abc.{client.key.thumbprint}"
        assert len(client.dns01_value("abc")) == 43


class TestPlumbing:
    async def test_a_request_signed_and_sent_by_hand_uses_the_nonces_of_the_client(
        self, client: Client, server: AcmeServer, ca: FakeCa
    ) -> None:
        url = f"{ORIGIN}/account/1"
        nonce = await server.take_nonce()
        body = sign_request(client.key, url=url, nonce=nonce, payload=None, kid=client.account_url)
        headers = {"Content-Type": "application/jose+json", "Accept": "application/json"}
        response = await ca.request("POST", url, headers=headers, content=body, max_bytes=10_000)
        fresh = replay_nonce(response.headers)
        assert fresh is not None
        server.nonces.put(fresh)
        assert await server.take_nonce() == fresh


def test_the_place_and_the_value_of_a_record_go_together() -> None:
    assert dns01_name("*.a.example") == dns01_name("a.example") == "_acme-challenge.a.example"
    assert len(dns01_value("token.thumbprint")) == 43
