"""Rollover (RFC 8555 section 7.3.5), the list of orders (7.1.2.1), terms (7.3.3), pre-authorization (7.4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from certwright.acme import (
    AccountKey,
    AccountKeyInUse,
    BadSignatureAlgorithm,
    Client,
    ConnectionFailed,
    Headers,
    HeldKey,
    Identifier,
    MalformedResponse,
    NotOffered,
    ProblemError,
    Response,
    RolloverUnconfirmed,
    UnsafeUrl,
    UserActionRequired,
    probe_keys,
)

if TYPE_CHECKING:
    from tests.fakes.acme import FakeCa, Request

ORIGIN = "https://ca.test:14000"


class TestRollover:
    async def test_the_new_key_is_used_once_it_is_confirmed(self, client: Client, ca: FakeCa) -> None:
        new = AccountKey.generate("ES384")
        await client.change_key(new)
        assert client.key == new
        assert ca.paths()[-2:] == ["/key-change", "/account/1"]
        await client.fetch_account()

    async def test_a_key_in_use_is_told_by_status_and_location(self, client: Client, ca: FakeCa) -> None:
        old = client.key
        ca.reply("/key-change", Response(409, Headers({"Location": f"{ORIGIN}/account/7", **ca.nonce()})))
        with pytest.raises(AccountKeyInUse, match="account/7") as caught:
            await client.change_key(AccountKey.generate())
        assert caught.value.account_url == f"{ORIGIN}/account/7"
        assert client.key == old

    async def test_a_lost_answer_changes_nothing_here_and_is_not_repeated(self, client: Client, ca: FakeCa) -> None:
        old = client.key
        ca.reply("/key-change", ConnectionFailed("broke", host="ca.test", request_sent=True))
        with pytest.raises(ConnectionFailed):
            await client.change_key(AccountKey.generate())
        assert client.key == old
        assert ca.paths().count("/key-change") == 1

    async def test_what_is_not_confirmed_is_not_believed(self, client: Client, ca: FakeCa) -> None:
        old = client.key
        ca.reply("/account/1", lambda request: ca.problem("unauthorized", "wrong key", request, status=403))
        with pytest.raises(RolloverUnconfirmed, match="Keep both keys"):
            await client.change_key(AccountKey.generate())
        assert client.key == old

    async def test_a_server_without_it_is_told_apart(self, client: Client, ca: FakeCa) -> None:
        ca.extra["keyChange"] = None  # type: ignore[assignment]  # as absent
        with pytest.raises(NotOffered) as caught:
            await client.change_key(AccountKey.generate())
        assert caught.value.resource == "keyChange"

    async def test_after_a_crash_the_keys_are_probed(self, client: Client, ca: FakeCa) -> None:
        old, new = client.key, AccountKey.generate()
        assert await probe_keys(client, old=old, new=new) is HeldKey.OLD
        ca.keys[f"{ORIGIN}/account/1"] = dict(new.jwk)
        assert await probe_keys(client, old=old, new=new) is HeldKey.NEW
        assert await probe_keys(client, old=old, new=AccountKey.generate()) is HeldKey.NEITHER
        assert client.key == old

    @pytest.mark.parametrize("kind", ["rateLimited", "serverInternal"])
    async def test_a_server_that_cannot_say_now_says_nothing_about_the_keys(
        self, client: Client, ca: FakeCa, kind: str
    ) -> None:
        ca.reply("/account/1", *[lambda request: ca.problem(kind, "later", request, status=503)] * 20)
        with pytest.raises(ProblemError, match="later"):
            await probe_keys(client, old=client.key, new=AccountKey.generate())

    async def test_the_account_of_another_url_does_not_count(self, client: Client) -> None:
        client.account_url = f"{ORIGIN}/account/2"
        assert await probe_keys(client, old=client.key, new=AccountKey.generate()) is HeldKey.NEITHER


class TestOrderList:
    @staticmethod
    def page(ca: FakeCa, orders: list[str], following: str | None = None) -> Response:
        headers = {} if following is None else {"Link": f'<{following}>;rel="next"'}
        return ca.json({"orders": orders}, headers=headers)

    async def test_pages_are_followed_and_each_order_listed_once(self, client: Client, ca: FakeCa) -> None:
        ca.reply("/orders/1", self.page(ca, [f"{ORIGIN}/o/1", f"{ORIGIN}/o/2"], "/orders/1/2"))
        ca.reply("/orders/1/2", self.page(ca, [f"{ORIGIN}/o/2", f"{ORIGIN}/o/3"]))
        assert await client.list_orders() == tuple(f"{ORIGIN}/o/{number}" for number in (1, 2, 3))

    async def test_the_limit_ends_it(self, client: Client, ca: FakeCa) -> None:
        ca.reply("/orders/1", self.page(ca, [f"{ORIGIN}/o/{number}" for number in range(9)], "/orders/1/2"))
        assert len(await client.list_orders(limit=5)) == 5
        assert "/orders/1/2" not in ca.paths()

    @pytest.mark.parametrize("following", ["/orders/1", "/orders/2"])
    async def test_a_circle_of_pages_is_found(self, client: Client, ca: FakeCa, following: str) -> None:
        ca.reply("/orders/1", *[self.page(ca, [f"{ORIGIN}/o/1"], following) for _ in range(3)])
        ca.reply("/orders/2", self.page(ca, [f"{ORIGIN}/o/1"], "/orders/1"))
        with pytest.raises(MalformedResponse, match="nothing new"):
            await client.list_orders()
        assert len(ca.requests) < 10

    async def test_pages_that_bring_nothing_new_come_to_an_end(self, client: Client, ca: FakeCa) -> None:
        for number in range(1, 50):
            ca.reply(f"/orders/{number}", self.page(ca, [f"{ORIGIN}/o/1"], f"/orders/{number + 1}"))
        with pytest.raises(MalformedResponse, match="nothing new"):
            await client.list_orders()
        assert [path for path in ca.paths() if path.startswith("/orders")] == ["/orders/1", "/orders/2"]

    async def test_a_next_page_elsewhere_must_be_a_url_that_may_be_asked(self, client: Client, ca: FakeCa) -> None:
        ca.reply("/orders/1", self.page(ca, [f"{ORIGIN}/o/1"], "http://ca.test/2"))
        with pytest.raises(UnsafeUrl):
            await client.list_orders()

    async def test_an_account_without_a_list_is_told_apart(self, client: Client, ca: FakeCa) -> None:
        ca.reply("/account/1", ca.json({"status": "valid"}))
        with pytest.raises(NotOffered):
            await client.list_orders()


class TestTerms:
    async def test_changed_terms_come_with_their_link_and_no_loop(self, client: Client, ca: FakeCa) -> None:
        headers = {"Link": '<https://ca.test/terms/3>;rel="terms-of-service"'}

        def refuse(request: Request) -> Response:
            return ca.problem(
                "userActionRequired",
                "The terms changed",
                request,
                status=403,
                headers=headers,
                instance="https://ca.test/agree?account=1",
            )

        ca.reply("/new-order", refuse, refuse)
        with pytest.raises(UserActionRequired) as caught:
            await client.new_order([Identifier.dns("a.example")])
        assert caught.value.url == "https://ca.test/agree?account=1"
        assert caught.value.terms_of_service == "https://ca.test/terms/3"
        assert not caught.value.temporary
        assert ca.paths().count("/new-order") == 1

    async def test_they_are_agreed_to_again(self, client: Client, ca: FakeCa) -> None:
        await client.agree_to_terms()
        assert ca.requests[-1].json == {"termsOfServiceAgreed": True}


class TestPreAuthorization:
    async def test_it_is_asked_for_where_it_is_offered(self, client: Client, ca: FakeCa) -> None:
        ca.extra["newAuthz"] = f"{ORIGIN}/new-authz"
        ca.identifiers = [{"type": "dns", "value": "a.example"}]
        ca.reply("/new-authz", ca.json(ca.authorization(0), status=201, headers={"Location": f"{ORIGIN}/authz/0"}))
        authorization = await client.new_authorization(Identifier.dns("a.example"))
        assert (authorization.url, authorization.status) == (f"{ORIGIN}/authz/0", "pending")
        assert ca.requests[-1].json == {"identifier": {"type": "dns", "value": "a.example"}}

    async def test_it_is_not_asked_for_elsewhere(self, client: Client, ca: FakeCa) -> None:
        with pytest.raises(NotOffered, match="newAuthz"):
            await client.new_authorization(Identifier.dns("a.example"))
        assert ca.paths() == ["/dir"]


async def test_only_valid_authorizations_are_given_up(client: Client, ca: FakeCa) -> None:
    """RFC 8555 section 7.5.2, without what Boulder counts as a failure."""
    ca.identifiers = [{"type": "dns", "value": "a.example"}]
    pending = await client.fetch_authorization(f"{ORIGIN}/authz/0")
    with pytest.raises(ValueError, match="pending"):
        await client.deactivate_authorization(pending)
    ca.reply("/authz/0", ca.json(ca.authorization(0, status="valid")))
    valid = await client.fetch_authorization(f"{ORIGIN}/authz/0")
    ca.reply("/authz/0", ca.json({**ca.authorization(0, status="valid"), "status": "deactivated"}))
    assert (await client.deactivate_authorization(valid)).status == "deactivated"
    assert ca.requests[-1].json == {"status": "deactivated"}


async def test_another_algorithm_is_tried_once_if_the_key_can_do_it(ca: FakeCa, client: Client) -> None:
    """RFC 8555 section 6.2."""
    client.key = AccountKey.generate("RS256")
    ca.keys[f"{ORIGIN}/account/1"] = dict(client.key.jwk)

    def refuse(request: Request) -> Response:
        return ca.problem("badSignatureAlgorithm", "no RS256", request, algorithms=["ES256", "PS256"])

    ca.reply("/account/1", refuse)
    await client.fetch_account()
    await client.fetch_account()
    algorithms = [request.protected["alg"] for request in ca.requests if request.path == "/account/1"]
    assert algorithms == ["RS256", "PS256", "PS256"]


async def test_a_server_that_refuses_the_second_algorithm_too_is_believed(ca: FakeCa, client: Client) -> None:
    client.key = AccountKey.generate("RS256")
    ca.keys[f"{ORIGIN}/account/1"] = dict(client.key.jwk)

    def refuse(request: Request) -> Response:
        return ca.problem("badSignatureAlgorithm", "nor that", request, algorithms=["PS384", "PS256"])

    ca.reply("/account/1", *[refuse] * 10)
    with pytest.raises(BadSignatureAlgorithm, match="Use an account key for PS384, PS256"):
        await client.fetch_account()
    assert ca.paths().count("/account/1") == 2


async def test_the_algorithms_of_few_keys_are_remembered(
    ca: FakeCa, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("certwright.acme.server._MAX_ALGORITHMS", 1)
    used: list[str] = []
    keys = [AccountKey.generate("RS256") for _ in range(2)]
    for client.key in (*keys, keys[0]):
        ca.keys[f"{ORIGIN}/account/1"] = dict(client.key.jwk)
        asked = len(ca.requests)

        def refuse(request: Request) -> Response:
            return ca.problem("badSignatureAlgorithm", "no RS256", request, algorithms=["PS256"])

        ca.reply("/account/1", refuse)
        await client.fetch_account()
        used += [request.protected["alg"] for request in ca.requests[asked:] if request.method == "POST"]
    # The first key has to be told again, because the second one took its place.
    assert used == ["RS256", "PS256"] * 3


async def test_one_text_is_not_taken_for_a_list_of_contacts(client: Client, ca: FakeCa) -> None:
    with pytest.raises(TypeError, match="contact is a list of URLs"):
        await client.register(contact="mailto:a@example.com")
    with pytest.raises(TypeError, match="contact is a list of URLs"):
        await client.update_account(contact="mailto:a@example.com")
    assert ca.paths() == []
