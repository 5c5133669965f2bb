"""A CA in trouble for some seconds: replicas that are behind, restarts, gateways. Nothing of it ends an issuance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import (
    AcmeError,
    AcmeServer,
    Challenge,
    ChallengeStatus,
    Client,
    Headers,
    Identifier,
    MalformedResponse,
    Order,
    OrderFailed,
    OrderStatus,
    ProblemError,
    RateLimited,
    Response,
    ServerInternal,
    ServiceUnavailable,
    TimedOut,
)
from certwright.acme.patience import LONGEST_ASKED_PAUSE, PATIENCE_SECONDS
from tests.fakes.acme import DIRECTORY_URL, ORIGIN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from certwright.acme import AccountKey
    from tests.fakes.acme import FakeCa
    from tests.fakes.time import FakeTime

READY = Order(f"{ORIGIN}/order/1", OrderStatus.READY, (), (), f"{ORIGIN}/finalize")
VALID = Order(f"{ORIGIN}/order/1", OrderStatus.VALID, (), (), f"{ORIGIN}/finalize", f"{ORIGIN}/cert")
CHALLENGE = Challenge("dns-01", f"{ORIGIN}/chall/0", ChallengeStatus.PENDING, "token-0")
CSR = b"\x30\x00"

READS: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "/order/1": lambda client: client.fetch_order(READY.url),
    "/authz/0": lambda client: client.fetch_authorization(f"{ORIGIN}/authz/0"),
    "/chall/0": lambda client: client.fetch_challenge(CHALLENGE.url),
    "/cert": lambda client: client.download_certificate(VALID),
}
FIRST: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "/dir": lambda client: client.server.directory(refresh=True),
    "/new-account": lambda client: client.register(),
    "/account/1": lambda client: client.fetch_account(),
    "/new-order": lambda client: client.new_order([Identifier.dns("a.example")]),
}
ACTS: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "/finalize": lambda client: client.finalize(READY, CSR),
    "/chall/0": lambda client: client.answer_challenge(CHALLENGE),
}


def page(status: int, **headers: str) -> Response:
    fields = {"Content-Type": "text/html", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Response(status, Headers(fields), b"<html>")


def refusals(ca: FakeCa) -> dict[str, Callable[[Any], Response]]:
    return {
        "404": lambda request: ca.problem("malformed", "no such order", request, status=404),
        "404 page": lambda _: page(404),
        "500": lambda request: ca.problem("serverInternal", "oops", request, status=500),
        "500 of a type of its own": lambda request: ca.problem("x", "oops", request, status=500),
        "502 page": lambda _: page(502),
        "503 page": lambda _: page(503, Retry_After="7"),
        "408 page": lambda _: page(408),
    }


def without_nonce(ca: FakeCa) -> Callable[[Any], Response]:
    """A directory that brings no nonce."""
    return lambda _: Response(200, Headers({"Content-Type": "application/json"}), json.dumps(ca.directory()).encode())


TROUBLES = list(refusals(None))  # type: ignore[arg-type]  # only their names


@pytest.fixture
def ca(ca: FakeCa) -> FakeCa:
    ca.identifiers = [{"type": "dns", "value": "a.example"}]
    ca.order_states.extend(["ready"] * 40)
    return ca


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("path", READS)
async def test_reading_what_the_ca_has_just_named_is_repeated(
    client: Client, ca: FakeCa, time: FakeTime, path: str, trouble: str
) -> None:
    times = 3
    ca.reply(path, *[refusals(ca)[trouble]] * times)
    await READS[path](client)
    assert ca.paths().count(path) == times + 1
    assert len(time.slept) == times
    assert all(pause < later for pause, later in zip(time.slept, time.slept[1:], strict=False) if trouble != "503 page")
    if trouble == "503 page":
        assert time.slept == [7] * times


@pytest.mark.parametrize("trouble", [trouble for trouble in TROUBLES if "404" not in trouble])
@pytest.mark.parametrize("path", FIRST)
async def test_what_begins_an_issuance_is_repeated_after_a_defect_of_the_ca(
    client: Client, ca: FakeCa, path: str, trouble: str
) -> None:
    await client.server.directory()
    del ca.requests[:]
    ca.reply(path, *[refusals(ca)[trouble]] * 2)
    await FIRST[path](client)
    assert ca.paths().count(path) == 3


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("path", ACTS)
async def test_what_may_have_taken_effect_is_looked_at_before_it_is_repeated(
    client: Client, ca: FakeCa, path: str, trouble: str
) -> None:
    ca.reply(path, refusals(ca)[trouble])
    assert (await ACTS[path](client)).status in ("processing", "pending")
    sent = [request.payload != b"" for request in ca.requests if request.path in (path, "/order/1")]
    assert sent == [True, False, True]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("state", ["processing", "valid", "invalid"])
async def test_what_took_effect_is_not_repeated(client: Client, ca: FakeCa, trouble: str, state: str) -> None:
    ca.order_states.clear()
    ca.order_states.append(state)
    ca.reply("/finalize", refusals(ca)[trouble])
    assert (await client.finalize(READY, CSR)).status == state
    assert ca.paths().count("/finalize") == 1


@pytest.mark.parametrize("path", [*READS, *ACTS])
async def test_patience_has_an_end(client: Client, ca: FakeCa, time: FakeTime, path: str) -> None:
    ca.reply(path, *[refusals(ca)["500"]] * 40)
    with pytest.raises(ServerInternal):
        await {**READS, **ACTS}[path](client)
    assert PATIENCE_SECONDS - 1 <= time.elapsed <= 2 * PATIENCE_SECONDS + 1
    assert ca.paths().count(path) < 16


async def test_a_longer_wait_is_left_to_the_caller(client: Client, ca: FakeCa, time: FakeTime) -> None:
    ca.reply("/authz/0", page(503, Retry_After=f"{LONGEST_ASKED_PAUSE + 1:.0f}"))
    with pytest.raises(ServiceUnavailable) as caught:
        await client.fetch_authorization(f"{ORIGIN}/authz/0")
    assert (caught.value.retry_after, time.slept) == (LONGEST_ASKED_PAUSE + 1, [])


async def test_what_the_ca_asks_for_is_waited_even_beyond_the_own_patience_but_once(
    client: Client, ca: FakeCa, time: FakeTime
) -> None:
    ca.reply("/authz/0", *[page(503, Retry_After="50")] * 5)
    with pytest.raises(ServiceUnavailable):
        await client.fetch_authorization(f"{ORIGIN}/authz/0")
    assert time.slept == [50]


@pytest.mark.parametrize(("asked", "repeated"), [("3", True), (None, True), ("-1", True), ("x", True), ("3600", False)])
async def test_a_limit_on_reading_is_waited_for_if_it_is_short(
    client: Client, ca: FakeCa, asked: str | None, *, repeated: bool
) -> None:
    ca.reply("/authz/0", page(429, **({} if asked is None else {"Retry_After": asked})))
    if repeated:
        await client.fetch_authorization(f"{ORIGIN}/authz/0")
    else:
        with pytest.raises(RateLimited):
            await client.fetch_authorization(f"{ORIGIN}/authz/0")
    assert ca.paths().count("/authz/0") == 1 + repeated


@pytest.mark.parametrize("asked", ["3", None])
@pytest.mark.parametrize("path", ACTS)
async def test_so_is_one_on_what_the_ca_has_just_named(
    client: Client, ca: FakeCa, path: str, asked: str | None
) -> None:
    ca.reply(path, page(429, **({} if asked is None else {"Retry_After": asked})))
    assert (await ACTS[path](client)).status in ("processing", "pending")


async def test_a_limit_on_requests_keeps_nobody_from_the_directory(ca: FakeCa, time: FakeTime) -> None:
    ca.reply("/dir", page(429, Retry_After="3"))
    assert (await AcmeServer(DIRECTORY_URL, ca, clock=time.clock()).directory()).new_order
    assert time.slept == [3]


PAGES: dict[str, Response | Exception] = {
    "a page of a gateway": Response(200, Headers({"Content-Type": "text/html"}), b"<html>maintenance"),
    "nothing": Response(200, Headers({"Content-Type": "application/json"})),
    "half an object": Response(200, Headers({"Content-Type": "application/json"}), b'{"status": "val'),
    "half a chain": Response(
        200, Headers({"Content-Type": "application/pem-certificate-chain"}), b"-----BEGIN CERTIFICATE-----\nAAEC\n"
    ),
    "too late": TimedOut("late", host="ca.test"),
}


@pytest.mark.parametrize("found", PAGES)
@pytest.mark.parametrize("path", [*READS, "/dir"])
async def test_reading_what_came_as_a_page_or_cut_off_or_late_is_repeated(
    client: Client, ca: FakeCa, time: FakeTime, path: str, found: str
) -> None:
    ca.reply(path, PAGES[found])
    await (client.server.directory() if path == "/dir" else READS[path](client))
    assert ca.paths().count(path) == 2
    assert len(time.slept) == 1


@pytest.mark.parametrize("path", READS)
async def test_an_answer_of_the_ca_that_cannot_be_used_is_not_asked_for_again(
    client: Client, ca: FakeCa, path: str
) -> None:
    body = b"-----BEGIN PRIVATE KEY-----\nAAEC\n-----END PRIVATE KEY-----" if path == "/cert" else b'{"status": 7}'
    media_type = "application/pem-certificate-chain" if path == "/cert" else "application/json"
    ca.reply(path, Response(200, Headers({"Content-Type": media_type}), body))
    with pytest.raises(MalformedResponse):
        await READS[path](client)
    assert ca.paths().count(path) == 1


@pytest.mark.parametrize("body", [b"", b'{"status": "pen', b"<html>"])
async def test_an_order_whose_answer_came_broken_is_read_where_it_is(client: Client, ca: FakeCa, body: bytes) -> None:
    fields = {"Content-Type": "application/json", "Location": f"{ORIGIN}/order/1"}
    ca.reply("/new-order", Response(201, Headers(fields), body))
    assert (await client.new_order([Identifier.dns("a.example")])).url == f"{ORIGIN}/order/1"
    assert ca.paths().count("/new-order") == 1


async def test_a_limit_of_orders_is_not(client: Client, ca: FakeCa) -> None:
    ca.reply("/new-order", page(429, Retry_After="3"))
    with pytest.raises(RateLimited):
        await client.new_order([Identifier.dns("a.example")])


@pytest.mark.parametrize(
    ("kind", "status"), [("unauthorized", 403), ("badCSR", 400), ("caa", 403), ("accountDoesNotExist", 404)]
)
@pytest.mark.parametrize("path", [*READS, "/finalize"])
async def test_what_will_not_pass_is_final(client: Client, ca: FakeCa, path: str, kind: str, status: int) -> None:
    ca.reply(path, lambda request: ca.problem(kind, "no", request, status=status))
    with pytest.raises(ProblemError):
        await {**ACTS, **READS}[path](client)
    assert ca.paths().count(path) == 1


async def test_an_order_that_is_known_to_be_old_may_be_gone(client: Client, ca: FakeCa, time: FakeTime) -> None:
    ca.reply("/order/1", refusals(ca)["404"])
    with pytest.raises(ProblemError):
        await client.fetch_order(READY.url, fresh=False)
    assert time.slept == []


@pytest.mark.parametrize("path", [*READS, *FIRST, *ACTS])
@pytest.mark.parametrize("trouble", ["404", "503 page"])
async def test_a_caller_that_comes_back_by_itself_is_told_at_once(
    ca: FakeCa, key: AccountKey, time: FakeTime, path: str, trouble: str
) -> None:
    """The operator: no worker is held by a wait."""
    ca.keys[f"{ORIGIN}/account/1"] = dict(key.jwk)
    server = AcmeServer(DIRECTORY_URL, ca, clock=time.clock(), patience=0)
    await server.directory()
    del ca.requests[:]
    ca.reply(path, *[refusals(ca)[trouble]] * 2)
    with pytest.raises((ProblemError, ServiceUnavailable)):
        await {**READS, **FIRST, **ACTS}[path](Client(server, key, account_url=f"{ORIGIN}/account/1"))
    assert (ca.paths()[0], time.slept) == (path, [])


async def test_an_order_that_is_valid_before_its_certificate_is_named_is_asked_again(
    client: Client, ca: FakeCa
) -> None:
    bare = {**ca.order("valid"), "certificate": None}
    ca.reply("/finalize", lambda _: ca.json(bare))
    ca.reply("/order/1", lambda _: ca.json(bare), lambda _: ca.json(ca.order("valid")))
    assert (await client.finalize(READY, CSR)).certificate_url == f"{ORIGIN}/cert"
    assert ca.paths().count("/finalize") == 1


@pytest.mark.parametrize("answer", [Response(200), page(200)])
async def test_a_success_that_cannot_be_read_is_read_from_the_order(
    client: Client, ca: FakeCa, answer: Response
) -> None:
    ca.reply("/finalize", answer)
    ca.order_states.clear()
    ca.order_states.extend(["ready", "valid"])
    ca.reply("/finalize", answer)
    assert (await client.finalize(READY, CSR)).status == "valid"
    asked = [path for path in ca.paths() if path in ("/finalize", "/order/1")]
    assert asked == ["/finalize", "/order/1", "/finalize", "/order/1"]


@pytest.mark.parametrize("state", ["processing", "valid"])
@pytest.mark.parametrize(("kind", "status"), [("malformed", 400), ("malformed", 409), ("x", 405)])
async def test_an_answer_refused_because_the_ca_is_at_it_already_is_none_that_failed(
    client: Client, ca: FakeCa, state: str, kind: str, status: int
) -> None:
    seen = {**ca.authorization(0)["challenges"][1], "status": state}
    ca.reply(
        "/chall/0", lambda request: ca.problem(kind, "not pending", request, status=status), lambda _: ca.json(seen)
    )
    assert (await client.answer_challenge(CHALLENGE)).status == state


async def test_an_answer_that_is_refused_stays_so(client: Client, ca: FakeCa) -> None:
    ca.reply("/chall/0", lambda request: ca.problem("malformed", "no", request))
    with pytest.raises(ProblemError, match="no"):
        await client.answer_challenge(CHALLENGE)


async def test_an_order_without_a_finalize_url_in_later_answers_can_be_finalized(client: Client, ca: FakeCa) -> None:
    order = await client.new_order([Identifier.dns("a.example")])
    ca.reply("/order/1", lambda _: ca.json({**ca.order("ready"), "finalize": ""}))
    ready = await client.poll_order(order, until={OrderStatus.READY})
    assert (await client.finalize(ready, CSR)).status == "processing"


async def test_an_order_that_is_invalid_from_the_start_is_not_finalized(client: Client, ca: FakeCa) -> None:
    forbidden = ca.order("invalid", error={"type": "urn:ietf:params:acme:error:caa", "detail": "forbidden"})
    placed = ca.json(forbidden, status=201, headers={"Location": f"{ORIGIN}/order/1"})
    ca.reply("/new-order", placed)
    ca.reply("/order/1", ca.json(forbidden))
    with pytest.raises(OrderFailed, match="caa: forbidden"):
        await client.new_order([Identifier.dns("a.example")])


@pytest.mark.parametrize(
    "damage",
    [
        {"status": "invalid"},
        {"status": "contemplating"},
        {"identifiers": [{"type": "dns", "value": "other.example"}]},
        {"identifiers": []},
        {"authorizations": [f"{ORIGIN}/authz/{number}" for number in range(5)]},
        {"finalize": "http://192.0.2.1/"},
        {"finalize": None},
    ],
)
async def test_an_order_is_not_lost_for_one_damaged_answer(
    client: Client, ca: FakeCa, damage: dict[str, object]
) -> None:
    damaged = {**ca.order("pending"), **damage}
    ca.reply("/new-order", ca.json(damaged, status=201, headers={"Location": f"{ORIGIN}/order/1"}))
    ca.reply("/order/1", ca.json(ca.order("pending")))
    order = await client.new_order([Identifier.dns("a.example")])
    assert (order.url, order.status) == (f"{ORIGIN}/order/1", "pending")
    assert [identifier.value for identifier in order.identifiers] == ["a.example"]
    assert ca.paths().count("/new-order") == 1


@pytest.mark.parametrize("trouble", ["404", "404 page", "403"])
async def test_the_error_of_an_order_outlives_its_authorizations(
    client: Client, ca: FakeCa, time: FakeTime, trouble: str
) -> None:
    problem = {"type": "urn:ietf:params:acme:error:caa", "detail": "forbidden"}
    ca.order_states.clear()
    ca.reply("/order/1", *[lambda _: ca.json(ca.order("invalid", error=problem))] * 2)
    gone = {**refusals(ca), "403": lambda request: ca.problem("unauthorized", "no", request, status=403)}[trouble]
    ca.reply("/authz/0", *[gone] * 20)
    order = await client.new_order([Identifier.dns("a.example")])
    with pytest.raises(OrderFailed, match="The order failed: caa: forbidden"):
        await client.poll_order(order)
    assert time.elapsed < 2


@pytest.mark.parametrize("is_known", [False, True], ids=["when it is polled", "as it was last seen"])
async def test_a_single_answer_that_an_order_is_invalid_does_not_end_it(
    client: Client, ca: FakeCa, *, is_known: bool
) -> None:
    """One of a CA's machines may lag behind, or be alone in saying so."""
    order = await client.new_order([Identifier.dns("a.example")])
    said = client.fetch_order(order.url)
    ca.reply("/order/1", lambda _: ca.json(ca.order("invalid")))
    if is_known:
        order = await said
        assert order.status == "invalid"
    else:
        said.close()
    ca.order_states.extend(["ready"])
    before = ca.paths().count("/order/1")
    found = await client.poll_order(order, until=["ready"])
    assert (found.status, ca.paths().count("/order/1") - before) == ("ready", 1 if is_known else 2)


@pytest.mark.parametrize("status", [403, 404, 405, 501])
async def test_where_head_is_refused_a_nonce_comes_by_get(
    server: AcmeServer, ca: FakeCa, key: AccountKey, status: int, time: FakeTime
) -> None:
    ca.reply("/dir", without_nonce(ca))
    ca.reply("/new-nonce", page(status))
    client = Client(server, key)
    await client.register()
    server.nonces.take()
    await client.fetch_account()
    methods = [request.method for request in ca.requests if request.path == "/new-nonce"]
    assert (methods, time.slept) == (["HEAD", "GET", "GET"], [])


async def test_where_head_brings_no_nonce_get_may(server: AcmeServer, ca: FakeCa, key: AccountKey) -> None:
    ca.reply("/dir", without_nonce(ca))
    ca.reply("/new-nonce", Response(200))
    await Client(server, key).register()
    assert [request.method for request in ca.requests if request.path == "/new-nonce"] == ["HEAD", "GET"]


@pytest.mark.parametrize("answer", [page(404), page(405)])
async def test_a_ca_without_nonces_is_none(server: AcmeServer, ca: FakeCa, key: AccountKey, answer: Response) -> None:
    ca.reply("/dir", without_nonce(ca))
    ca.reply("/new-nonce", answer, answer)
    with pytest.raises(MalformedResponse):
        await Client(server, key).register()


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_an_account_whose_answers_have_no_body_can_be_used(client: Client, ca: FakeCa, body: bytes) -> None:
    def bare(_: Any) -> Response:
        fields = {"Content-Type": "application/json"} if body else {}
        return Response(200, Headers({**fields, **ca.nonce(), "Location": f"{ORIGIN}/account/1"}), body)

    ca.reply("/new-account", bare)
    ca.reply("/account/1", bare, bare)
    assert (await client.register()).status == "valid"
    assert (await client.update_account(contact=["mailto:a@a.example"])).status == "valid"
    assert (await client.fetch_account()).url == f"{ORIGIN}/account/1"


async def test_an_order_need_not_repeat_what_was_asked(client: Client, ca: FakeCa) -> None:
    def bare(request: Any) -> Response:
        ca.identifiers = request.json["identifiers"]
        document = {
            name: value for name, value in ca.order("pending").items() if name not in ("identifiers", "expires")
        }
        return ca.json(document, status=201, headers={"Location": "/order/1"})

    ca.reply("/new-order", bare)
    order = await client.new_order([Identifier.dns("a.example")])
    assert (order.identifiers, order.url) == ((Identifier.dns("a.example"),), f"{ORIGIN}/order/1")
    ca.reply("/order/1", lambda _: ca.json({"status": "ready"}))
    assert (await client.poll_order(order, until={"ready"})).finalize_url == f"{ORIGIN}/finalize"


@pytest.mark.parametrize("flags", [(None, None), (True, True), (False, True), (True, False)])
async def test_wildcards_are_told_apart_whatever_the_flags_say(
    client: Client, ca: FakeCa, flags: tuple[bool | None, bool | None]
) -> None:
    order = await client.new_order([Identifier.dns("*.a.example"), Identifier.dns("a.example")])
    for index, flag in enumerate(flags):
        document = {**ca.authorization(index), "wildcard": flag}
        if index == 1 or flags == (False, True):
            document["challenges"] = [*document["challenges"], {**document["challenges"][1], "type": "http-01"}]
        ca.reply(f"/authz/{index}", ca.json(document))
    names = [authorization.name for authorization in await client.fetch_authorizations(order)]
    assert sorted(names) == ["*.a.example", "a.example"]
    if flags != (False, True):
        assert names == ["*.a.example", "a.example"]


@pytest.mark.parametrize("flag", [None, False, True])
@pytest.mark.parametrize("ordered", ["*.a.example", "a.example"])
async def test_a_flag_that_contradicts_the_order_is_wrong(
    client: Client, ca: FakeCa, *, flag: bool | None, ordered: str
) -> None:
    order = await client.new_order([Identifier.dns(ordered)])
    ca.reply("/authz/0", ca.json({**ca.authorization(0), "wildcard": flag}))
    (authorization,) = await client.fetch_authorizations(order)
    assert (authorization.name, authorization.identifier) == (ordered, Identifier.dns("a.example"))


async def test_the_error_says_what_the_ca_said_last(client: Client, ca: FakeCa) -> None:
    ca.reply("/cert", *[refusals(ca)["404"]] * 20)
    with pytest.raises(AcmeError, match="no such order"):
        await client.download_certificate(VALID)
