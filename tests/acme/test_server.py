from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import (
    AccountKey,
    AcmeServer,
    BadNonce,
    ConnectionFailed,
    Headers,
    MalformedResponse,
    ProblemError,
    RequestRecord,
    Response,
    TimedOut,
    UnsafeUrl,
    UntrustedServer,
)
from certwright.acme.server import DIRECTORY_MAX_AGE, DOUBTED_DIRECTORY_AGE, MAX_NONCE_TRIES, MAX_RECONNECTS
from tests.fakes.acme import DIRECTORY_URL, ORIGIN

if TYPE_CHECKING:
    from tests.fakes.acme import FakeCa
    from tests.fakes.time import FakeTime

KID = "https://ca.test:14000/account/1"
ACCOUNT = "/account/1"


@pytest.fixture(autouse=True)
def _registered(ca: FakeCa, key: AccountKey) -> None:
    ca.keys[KID] = dict(key.jwk)


async def read(server: AcmeServer, key: AccountKey, *, repeatable: bool = True) -> Response:
    return await server.post("account", KID, None, key=key, kid=KID, repeatable=repeatable)


def broken(*, sent: bool) -> ConnectionFailed:
    return ConnectionFailed("broken", host="ca.test", request_sent=sent)


class TestDirectory:
    async def test_it_is_asked_for_once(self, server: AcmeServer, ca: FakeCa) -> None:
        await asyncio.gather(*(server.directory() for _ in range(10)))
        assert (await server.directory()).new_order == "https://ca.test:14000/new-order"
        assert ca.paths() == ["/dir"]

    async def test_a_refresh_asks_again(self, server: AcmeServer, ca: FakeCa) -> None:
        await server.directory()
        await server.directory(refresh=True)
        assert ca.paths() == ["/dir"] * 2

    async def test_it_grows_old(self, server: AcmeServer, ca: FakeCa, time: FakeTime) -> None:
        await server.directory()
        time.elapsed = DIRECTORY_MAX_AGE + 1
        await server.directory()
        assert ca.paths() == ["/dir"] * 2

    async def test_a_failure_is_told_to_all_who_wait_and_not_kept(self, server: AcmeServer, ca: FakeCa) -> None:
        ca.reply("/dir", Response(404))
        results = await asyncio.gather(*(server.directory() for _ in range(10)), return_exceptions=True)
        assert all(isinstance(result, MalformedResponse) for result in results)
        assert ca.paths() == ["/dir"]
        await server.directory()

    async def test_one_caller_that_gives_up_does_not_stop_the_others(self, server: AcmeServer) -> None:
        impatient = asyncio.create_task(server.directory())
        patient = asyncio.create_task(server.directory())
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).new_order

    @pytest.mark.parametrize("url", ["http://ca.test/dir", "ftp://ca.test/dir", "https://u:p@ca.test/dir"])
    def test_an_unsafe_url_is_refused_before_anything_is_asked(self, ca: FakeCa, url: str) -> None:
        with pytest.raises(UnsafeUrl, match="the directory URL"):
            AcmeServer(url, ca)

    @pytest.mark.parametrize(("url", "http_too"), [("http://ca.test/dir", True), ("https://ca.test/dir", False)])
    def test_plain_http_is_for_insecure_directories_only(self, ca: FakeCa, url: str, http_too: bool) -> None:  # noqa: FBT001 - parametrised
        assert AcmeServer(url, ca, allow_insecure=True).urls.accepts("http://ca.test/x") is http_too


class TestNonces:
    async def test_one_request_for_a_nonce_serves_all_that_follow(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey
    ) -> None:
        await server.directory()
        for _ in range(5):
            await read(server, key)
        # The directory's answer brought the first one.
        assert ca.paths() == ["/dir", *[ACCOUNT] * 5]

    async def test_the_first_nonce_comes_from_new_nonce_where_the_directory_has_none(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey
    ) -> None:
        ca.reply("/dir", lambda _: _without_nonce(ca.json(ca.directory())))
        await read(server, key)
        assert ca.paths() == ["/dir", "/new-nonce", ACCOUNT]

    async def test_requests_at_the_same_time_have_nonces_of_their_own(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey
    ) -> None:
        await asyncio.gather(*(read(server, key) for _ in range(20)))
        nonces = [request.protected["nonce"] for request in ca.requests if request.method == "POST"]
        assert len(set(nonces)) == len(nonces) == 20

    @pytest.mark.parametrize("fails", [False, True])
    async def test_who_needs_a_nonce_at_the_same_time_asks_for_it_together(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey, monkeypatch: pytest.MonkeyPatch, *, fails: bool
    ) -> None:
        """Let's Encrypt takes twenty newNonce a second of one address, and hundreds of everything else."""
        await server.directory()
        await read(server, key)
        server.nonces.take()
        searching = most = 0
        original = ca.request

        async def slow(method: str, url: str, **given: Any) -> Response:
            nonlocal searching, most
            searching += method == "HEAD"
            most = max(most, searching)
            for _ in range(5):
                await asyncio.sleep(0)
            searching -= method == "HEAD"
            return await original(method, url, **given)

        monkeypatch.setattr(ca, "request", slow)
        if fails:
            ca.reply("/new-nonce", Response(410))
        outcomes = await asyncio.gather(*(read(server, key) for _ in range(30)), return_exceptions=True)
        assert most == 1
        if fails:
            # All learn it together, and whoever comes later asks anew.
            assert [type(outcome) for outcome in outcomes] == [MalformedResponse] * 30
            assert ca.paths().count("/new-nonce") == 1
            outcomes = [await read(server, key)]
        assert [outcome.status for outcome in outcomes if isinstance(outcome, Response)] == [200] * len(outcomes)
        # Each answer brought the nonce for another request.
        assert ca.paths().count("/new-nonce") < 10

    async def test_whoever_comes_at_whichever_moment_gets_one(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also in the moment between the end of a search and the news of it."""
        await server.directory()
        server.nonces.take()
        original = ca.request

        async def slow(method: str, url: str, **given: Any) -> Response:
            await asyncio.sleep(0)
            return await original(method, url, **given)

        async def later(turns: int) -> Response:
            for _ in range(turns):
                await asyncio.sleep(0)
            return await read(server, key)

        monkeypatch.setattr(ca, "request", slow)
        answers = await asyncio.gather(*(later(turns) for turns in range(20) for _ in range(3)))
        assert [answer.status for answer in answers] == [200] * 60

    async def test_one_who_gives_up_does_not_take_the_nonce_from_the_others(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey
    ) -> None:
        await server.directory()
        server.nonces.take()
        impatient, *patient = [asyncio.create_task(read(server, key)) for _ in range(3)]
        await asyncio.sleep(0)
        impatient.cancel()
        assert [response.status for response in await asyncio.gather(*patient)] == [200, 200]
        assert impatient.cancelled()
        assert ca.paths().count("/new-nonce") == 1

    async def test_even_without_room_for_nonces_one_is_kept(self, ca: FakeCa, key: AccountKey) -> None:
        server = AcmeServer("https://ca.test:14000/dir", ca, nonce_limit=0)
        assert (await read(server, key)).status == 200

    async def test_a_slow_server_that_rejects_nonces_is_given_up_in_time(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey, time: FakeTime
    ) -> None:
        await server.directory()

        def slowly(request: Any) -> Response:
            time.elapsed += 50
            return ca.problem("badNonce", "stale", request)

        ca.reply(ACCOUNT, *[slowly] * 10)
        with pytest.raises(BadNonce):
            await read(server, key)
        assert time.elapsed == 100
        assert ca.paths().count(ACCOUNT) == 2

    async def test_a_rejected_nonce_is_replaced_by_the_one_of_the_rejection(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey
    ) -> None:
        await server.directory()
        given: list[str] = []

        def reject(request: Any) -> Response:
            response = ca.problem("badNonce", "stale", request)
            given.append(response.headers.get("Replay-Nonce") or "")
            return response

        ca.reply(ACCOUNT, reject)
        await read(server, key)
        assert ca.requests[-1].protected["nonce"] == given[0]
        assert ca.paths() == ["/dir", ACCOUNT, ACCOUNT]

    async def test_a_rejection_without_a_nonce_makes_it_ask_for_one(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey
    ) -> None:
        ca.reply(ACCOUNT, lambda request: _without_nonce(ca.problem("badNonce", "stale", request)))
        await read(server, key)
        assert ca.paths() == ["/dir", ACCOUNT, "/new-nonce", ACCOUNT]

    async def test_many_rejections_in_a_row_are_lived_with(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey
    ) -> None:
        ca.reject_nonces = 15
        assert (await read(server, key)).status == 200

    async def test_endless_rejection_ends_in_an_error(self, server: AcmeServer, ca: FakeCa, key: AccountKey) -> None:
        ca.reject_nonces = 10_000
        with pytest.raises(BadNonce) as caught:
            await read(server, key)
        assert caught.value.temporary
        assert ca.paths() == ["/dir", *[ACCOUNT] * MAX_NONCE_TRIES]

    async def test_errors_bring_nonces_too(self, server: AcmeServer, ca: FakeCa, key: AccountKey) -> None:
        ca.reply(ACCOUNT, lambda request: ca.problem("unauthorized", "no", request))
        with pytest.raises(ProblemError):
            await read(server, key)
        await read(server, key)
        assert ca.paths() == ["/dir", ACCOUNT, ACCOUNT]

    async def test_a_server_without_nonces_is_malformed(self, server: AcmeServer, ca: FakeCa, key: AccountKey) -> None:
        ca.give_nonces = False
        with pytest.raises(MalformedResponse, match="Replay-Nonce"):
            await read(server, key)


class TestDamagedDirectory:
    """A directory is cached for an hour; what one damaged answer says is not."""

    @pytest.mark.parametrize("damage", ["newNonce", "newOrder"])
    @pytest.mark.parametrize("trouble", ["connection", "404"])
    async def test_a_url_that_leads_nowhere_has_it_fetched_again(
        self, ca: FakeCa, key: AccountKey, time: FakeTime, damage: str, trouble: str
    ) -> None:
        server = AcmeServer(DIRECTORY_URL, ca, clock=time.clock())
        ca.reply("/dir", ca.json({**ca.directory(), damage: f"{ORIGIN}/nowhere"}))
        url = (await server.directory()).new_order
        assert server.nonces.take()  # which the directory has brought
        nowhere: Any = broken(sent=False)
        if trouble == "404":
            nowhere = lambda request: ca.problem("malformed", "no such thing", request, status=404)  # noqa: E731
        ca.reply("/nowhere", *[nowhere] * 10)
        with pytest.raises((ConnectionFailed, ProblemError)):
            await server.post("newOrder", url, {}, key=key, kid=KID, repeatable=False)
        assert (await server.directory()).url  # not at once: a CA that is down is not asked for it at every try
        assert ca.paths().count("/dir") == 1
        time.elapsed += DOUBTED_DIRECTORY_AGE + 1
        directory = await server.directory()
        assert (directory.new_nonce, directory.new_order) == (f"{ORIGIN}/new-nonce", f"{ORIGIN}/new-order")
        assert ca.paths().count("/dir") == 2

    async def test_what_is_refused_for_other_reasons_says_nothing_of_it(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey, time: FakeTime
    ) -> None:
        url = (await server.directory()).new_order
        ca.reply("/new-order", lambda request: ca.problem("rejectedIdentifier", "no", request, status=400))
        with pytest.raises(ProblemError):
            await server.post("newOrder", url, {}, key=key, kid=KID, repeatable=False)
        time.elapsed += DOUBTED_DIRECTORY_AGE + 1
        await server.directory()
        assert ca.paths().count("/dir") == 1


class TestBrokenConnections:
    @pytest.mark.parametrize("sent", [True, False])
    async def test_reading_is_repeated_with_a_fresh_nonce_after_a_pause(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey, time: FakeTime, *, sent: bool
    ) -> None:
        ca.reply(ACCOUNT, *[broken(sent=sent)] * MAX_RECONNECTS)
        assert (await read(server, key)).status == 200
        first, second = time.slept
        assert 0.1 < first < 0.5
        assert 0.4 < second < 1.5

    async def test_it_is_not_repeated_for_ever(self, server: AcmeServer, ca: FakeCa, key: AccountKey) -> None:
        ca.reply(ACCOUNT, *[broken(sent=False)] * 10)
        with pytest.raises(ConnectionFailed):
            await read(server, key)
        assert ca.paths().count(ACCOUNT) == MAX_RECONNECTS + 1

    async def test_nor_beyond_a_minute(self, server: AcmeServer, ca: FakeCa, key: AccountKey, time: FakeTime) -> None:
        def slowly(_request: Any) -> Response:
            time.elapsed += 61
            raise broken(sent=False)

        ca.reply(ACCOUNT, *[slowly] * 3)
        with pytest.raises(ConnectionFailed):
            await read(server, key)
        ca.reply("/dir", *[slowly] * 3)
        with pytest.raises(ConnectionFailed):
            await server.directory(refresh=True)
        assert (ca.paths().count(ACCOUNT), ca.paths().count("/dir")) == (1, 2)

    async def test_what_may_have_been_acted_on_is_not_repeated(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey
    ) -> None:
        ca.reply(ACCOUNT, broken(sent=True))
        with pytest.raises(ConnectionFailed):
            await read(server, key, repeatable=False)
        assert ca.paths().count(ACCOUNT) == 1

    async def test_what_was_never_sent_is_repeated_in_any_case(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey
    ) -> None:
        ca.reply(ACCOUNT, broken(sent=False))
        assert (await read(server, key, repeatable=False)).status == 200

    @pytest.mark.parametrize("times", [1, 10])
    async def test_a_nonce_that_was_never_sent_is_used_again(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey, times: int
    ) -> None:
        await read(server, key)
        ca.reply(ACCOUNT, *[broken(sent=False)] * times)
        with contextlib.suppress(ConnectionFailed):
            await read(server, key)
        ca.replies[ACCOUNT].clear()
        assert (await read(server, key)).status == 200
        assert ca.paths().count("/new-nonce") <= 1

    async def test_the_directory_is_asked_for_again(self, server: AcmeServer, ca: FakeCa) -> None:
        ca.reply("/dir", broken(sent=True), broken(sent=False))
        assert (await server.directory()).new_nonce
        ca.reply("/dir", *[broken(sent=True)] * 3)
        with pytest.raises(ConnectionFailed):
            await server.directory(refresh=True)

    @pytest.mark.parametrize(
        "error", [TimedOut("late", host="ca.test"), UntrustedServer("no", host="ca.test", reason="expired")]
    )
    async def test_other_failures_are_not_repeated(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey, error: Exception
    ) -> None:
        ca.reply(ACCOUNT, error)
        with pytest.raises(type(error)):
            await read(server, key)
        assert ca.paths().count(ACCOUNT) == 1


class TestRequests:
    async def test_every_request_says_which_language_it_wants(self, ca: FakeCa, key: AccountKey) -> None:
        server = AcmeServer("https://ca.test:14000/dir", ca, accept_language="de, en;q=0.5")
        await read(server, key)
        assert {request.headers["Accept-Language"] for request in ca.requests} == {"de, en;q=0.5"}

    async def test_every_exchange_is_recorded(
        self, server: AcmeServer, ca: FakeCa, key: AccountKey, records: list[RequestRecord]
    ) -> None:
        ca.reply(ACCOUNT, TimedOut("late", host="ca.test"))
        with pytest.raises(TimedOut):
            await read(server, key)
        await read(server, key)
        # The nonce of the directory went with the request that got no answer.
        assert [(record.action, record.status) for record in records] == [
            ("directory", 200),
            ("account", None),
            ("newNonce", 200),
            ("account", 200),
        ]

    async def test_an_unsafe_url_is_never_asked(self, server: AcmeServer, ca: FakeCa, key: AccountKey) -> None:
        with pytest.raises(UnsafeUrl):
            await server.post("order", "http://ca.test/order", None, key=key, kid=KID, repeatable=True)
        assert ca.requests == []


def _without_nonce(response: Response) -> Response:
    fields = [(name, value) for name, value in response.headers if name != "replay-nonce"]
    return Response(response.status, Headers(fields), response.body, response.url)
