from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.aio.config import ConfigException

from certwright.kube.client import MAX_ANSWER_BYTES, MAX_MESSAGE_CHARACTERS, KubeClient, Patience
from certwright.kube.errors import (
    AnswerTooLarge,
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Unavailable,
    Unreachable,
)
from certwright.runtime.leadership import Leadership, NotLeading, boot_clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubernetes.aio.client.api_client import ApiClient

    from .conftest import ApiServer


async def get(client: KubeClient, **options: Any) -> dict[str, Any]:
    return await client.request("GET", "/api/v1/x", action="read Secret shop/x", **options)


async def test_a_request_says_who_we_are_and_what_we_understand(server: ApiServer, client: KubeClient) -> None:
    server.reply(201, {"made": True})
    answer = await client.request("POST", "/api/v1/x", action="make x", query={"dryRun": "All"}, body={"a": 1})
    assert answer == {"made": True}
    [seen] = server.seen
    assert (seen.method, seen.path, seen.query, seen.body) == ("POST", "/api/v1/x", {"dryRun": "All"}, {"a": 1})
    assert seen.headers["Authorization"] == "Bearer made-up"
    assert seen.headers["Accept"] == "application/json"
    assert seen.headers["Content-Type"] == "application/json"


async def test_who_may_not_act_sends_nothing(server: ApiServer, api: ApiClient) -> None:
    leadership = Leadership()
    counted: list[tuple[str, str]] = []
    client = KubeClient(api, leadership=leadership, on_request=lambda *told: counted.append(told))
    with pytest.raises(NotLeading):
        await get(client)
    leadership.extend(boot_clock() + 3600)
    assert await get(client) == {}
    leadership.end()
    with pytest.raises(NotLeading):
        await get(client)
    assert (len(server.seen), len(counted)) == (1, 1)


async def test_a_second_try_is_asked_for_as_well(server: ApiServer, api: ApiClient) -> None:
    leadership = Leadership.unlimited()
    client = KubeClient(api, leadership=leadership, on_request=lambda _, __: leadership.end())
    server.refuse(503, "ServiceUnavailable", "later")
    with pytest.raises(NotLeading):
        await get(client)
    assert len(server.seen) == 1


async def test_an_empty_answer_is_an_empty_object(server: ApiServer, client: KubeClient) -> None:
    server.reply(200, b"")
    assert await get(client) == {}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Forbidden),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, KubeError),
        (422, Invalid),
    ],
)
async def test_a_refusal_is_typed_and_carries_the_servers_words(
    server: ApiServer, client: KubeClient, counted: list[tuple[str, str]], status: int, kind: type[KubeError]
) -> None:
    server.refuse(status, "SomeReason", "the server's own words")
    with pytest.raises(KubeError) as caught:
        await get(client)
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.reason, error.message) == (status, "SomeReason", "the server's own words")
    assert str(error) == f"could not read Secret shop/x: HTTP {status} SomeReason: the server's own words"
    assert counted == [("GET", str(status))], "a refusal is final"


async def test_the_servers_words_are_cut(server: ApiServer, client: KubeClient) -> None:
    server.refuse(409, "Conflict", "x" * 100_000)
    with pytest.raises(Conflict) as caught:
        await get(client)
    assert len(caught.value.message) == MAX_MESSAGE_CHARACTERS


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_an_overloaded_server_is_asked_again(
    server: ApiServer, client: KubeClient, counted: list[tuple[str, str]], status: int
) -> None:
    server.refuse(status, "", "busy")
    server.reply(status, b"<html>not JSON at all</html>")
    server.reply(200, {"ok": True})
    assert await get(client) == {"ok": True}
    assert counted == [("GET", str(status)), ("GET", str(status)), ("GET", "200")]


async def test_a_restart_of_the_server_passes_unnoticed(
    server: ApiServer, impatient: KubeClient, counted: list[tuple[str, str]]
) -> None:
    server.drop()
    server.hang()
    server.reply(200, {"ok": True})
    assert await impatient.request("PATCH", "/api/v1/x", action="change x", body={}) == {"ok": True}
    assert counted == [("PATCH", "none"), ("PATCH", "none"), ("PATCH", "200")]


async def test_the_last_refusal_is_told_after_six_tries(server: ApiServer, client: KubeClient) -> None:
    for number in range(1, 8):
        server.refuse(503, "ServiceUnavailable", f"starting {number}")
    with pytest.raises(Unavailable, match="HTTP 503 ServiceUnavailable: starting 6"):
        await get(client)
    assert len(server.seen) == 6


@pytest.mark.parametrize("way", ["503", "drop", "hang"])
async def test_what_may_do_harm_twice_is_sent_once(server: ApiServer, impatient: KubeClient, way: str) -> None:
    match way:
        case "503":
            server.refuse(503, "", "busy")
        case "drop":
            server.drop()
        case _:
            server.hang()
    with pytest.raises((Unavailable, Unreachable)):
        await impatient.request("POST", "/api/v1/events", action="post an Event", body={}, idempotent=False)
    assert len(server.seen) == 1


async def test_what_was_not_looked_at_is_sent_again(server: ApiServer, client: KubeClient) -> None:
    server.refuse(429, "TooManyRequests", "slow down")
    server.reply(201, {"ok": True})
    answer = await client.request("POST", "/api/v1/events", action="post an Event", body={}, idempotent=False)
    assert answer == {"ok": True}
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("1", 1.0), ("0", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("²", None), ("-1", None), (None, None)],
)
async def test_retry_after_is_read_if_it_is_in_seconds(
    server: ApiServer, make_client: Callable[[Patience], KubeClient], retry_after: str | None, seconds: float | None
) -> None:
    server.refuse(429, "TooManyRequests", "slow down", **({} if retry_after is None else {"Retry_After": retry_after}))
    with pytest.raises(Unavailable) as caught:
        await get(make_client(Patience(tries=1)))
    assert caught.value.retry_after == seconds


async def test_retry_after_is_honoured(server: ApiServer, make_client: Callable[[Patience], KubeClient]) -> None:
    server.refuse(429, "", "", Retry_After="1")
    server.reply(200, {"ok": True})
    began = time.monotonic()
    assert await get(make_client(Patience(first_pause=0.001, longest_pause=1.0))) == {"ok": True}
    assert time.monotonic() - began >= 0.95


async def test_retry_after_is_bounded(server: ApiServer, client: KubeClient) -> None:
    server.refuse(429, "", "", Retry_After="9" * 400)
    server.reply(200, {"ok": True})
    async with asyncio.timeout(5):
        assert await get(client) == {"ok": True}


async def test_no_try_begins_after_the_total_time(
    server: ApiServer, make_client: Callable[[Patience], KubeClient]
) -> None:
    for _ in range(6):
        server.hang()
    with pytest.raises(Unreachable, match=r"could not read Secret shop/x: no answer: timed out after 0\.3 s"):
        await get(make_client(Patience(request=0.3, total=0.5, first_pause=0.05)))
    assert len(server.seen) == 2


async def test_a_server_that_is_not_there(server: ApiServer, client: KubeClient, api: ApiClient) -> None:
    api.configuration.host = "http://127.0.0.1:1"
    with pytest.raises(
        Unreachable, match=r"shop/x: no answer: ClientConnectorError: Cannot connect to host 127"
    ) as caught:
        await get(client)
    assert caught.value.status is None
    assert server.seen == []


async def test_an_unreadable_service_account_token_is_worth_another_try(
    client: KubeClient, api: ApiClient, counted: list[tuple[str, str]]
) -> None:
    tries = []

    def read_token(_: object) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise (OSError("no such file"), ConfigException("Token file exists but empty."))[len(tries) - 1]

    api.configuration.refresh_api_key_hook = read_token
    assert await get(client) == {}
    assert counted == [("GET", "none"), ("GET", "none"), ("GET", "200")]


NESTED = b'{"a":' * 200_000
"""Deeper than Python's parser goes."""


@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b"[1]", b'"text"', b"{", b"\xff\xfe", NESTED], ids=lambda body: repr(body[:8])
)
async def test_an_answer_that_is_no_object_is_no_success(server: ApiServer, client: KubeClient, body: bytes) -> None:
    server.reply(200, body)
    with pytest.raises(KubeError, match="not a JSON object; is this the API server"):
        await get(client)


async def test_a_refusal_without_a_status_object_is_typed_without_its_body(
    server: ApiServer, client: KubeClient
) -> None:
    server.reply(403, b"<html>go away</html>")
    with pytest.raises(Forbidden) as caught:
        await get(client)
    assert str(caught.value) == "could not read Secret shop/x: HTTP 403"


async def test_an_answer_is_read_up_to_a_limit(
    server: ApiServer, client: KubeClient, counted: list[tuple[str, str]]
) -> None:
    server.reply(200, b'"' + b"x" * MAX_ANSWER_BYTES + b'"')
    with pytest.raises(AnswerTooLarge, match=f"more than {MAX_ANSWER_BYTES} bytes"):
        await get(client)
    assert counted == [("GET", "200")]
    assert await get(client) == {}, "the next request has a connection of its own"


async def test_a_cancelled_request_is_not_repeated(server: ApiServer, client: KubeClient) -> None:
    server.hang()
    request = asyncio.create_task(get(client))
    while not server.seen:  # noqa: ASYNC110 - the server has no event to wait for
        await asyncio.sleep(0.001)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert len(server.seen) == 1
