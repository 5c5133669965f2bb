"""The requests of DNS providers that speak HTTPS: every failure is a `DnsError`, and Retry-After is respected."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from certwright.dns import DnsError, ProviderUnreachable, UpdatesFailed
from certwright.dns.provider import LONGEST_BUSY_SECONDS, MAX_ANSWER_BYTES, MAX_LARGE, ProviderContext
from certwright.http.errors import ConnectionFailed, HttpError, MalformedResponse, ResponseTooLarge, TimedOut, UnsafeUrl
from certwright.http.message import Headers, Response
from certwright.runtime.turns import TENANT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Zone

HOST = "api.dns.example"
URL = f"https://{HOST}/v1/zones"
TOKEN = {"Authorization": "Bearer t0ken"}


class Api:
    """The transport, and a provider's API behind it: what it answers with next, and what it was sent."""

    def __init__(self, *answers: Response | BaseException) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, str, bytes | None]] = []
        self.now = 0.0

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, max_bytes: int
    ) -> Response:
        assert (headers, max_bytes) == (TOKEN, MAX_ANSWER_BYTES)
        self.requests.append((method, url, content))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def aclose(self) -> None:
        """Do nothing."""

    def context(self) -> ProviderContext:
        return ProviderContext(_no_zone, lambda: self, monotonic=lambda: self.now)


async def _no_zone(_: str) -> Zone:
    raise AssertionError


def busy(status: int = 429, retry_after: str | None = "30") -> Response:
    return Response(status, Headers({"Retry-After": retry_after} if retry_after else {}), b"t0ken", URL)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("status", [200, 204, 301, 401, 404])
async def test_what_the_provider_answers_is_the_providers_to_judge(method: str, status: int) -> None:
    api = Api(Response(status, body=b"{}", url=URL))
    answer = await api.context().request(method, URL, headers=TOKEN, content=b"x")
    assert (answer.status, answer.body) == (status, b"{}")
    assert api.requests == [(method, URL, b"x")]


@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailed(f"Cannot connect to {HOST}: Connection refused", host=HOST, request_sent=False),
        TimedOut(f"{HOST} did not answer in time", host=HOST),
        ResponseTooLarge(f"{HOST} sent too much", host=HOST),
        MalformedResponse(f"{HOST} sent nonsense", url=URL, status=200, retry_after=7.0),
        UnsafeUrl("the URL of a request is refused"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_every_failure_of_http_is_a_dns_error_with_the_same_words(error: HttpError) -> None:
    with pytest.raises(DnsError) as caught:
        await Api(error).context().request("GET", URL, headers=TOKEN)
    assert isinstance(caught.value, ProviderUnreachable)
    assert str(caught.value) == f"the request to the DNS provider failed: {error}"
    assert (caught.value.host, caught.value.retry_after) == (HOST, error.retry_after)
    assert caught.value.__cause__ is error


async def test_what_keeps_a_request_from_being_sent_is_not_translated() -> None:
    class NotLeading(BaseException):
        """As the operator's."""

    with pytest.raises(NotLeading):
        await Api(NotLeading()).context().request("GET", URL, headers=TOKEN)


@pytest.mark.parametrize(("status", "why"), [(429, "too many requests"), (500, "out of service"), (503, "out of")])
async def test_a_provider_that_is_busy_is_left_alone_until_its_retry_after(status: int, why: str) -> None:
    api = Api(busy(status), Response(200))
    context = api.context()
    with pytest.raises(ProviderUnreachable, match=rf"{HOST} answered with HTTP {status}: it .*{why}") as first:
        await context.request("PUT", URL, headers=TOKEN)
    assert first.value.retry_after == 30
    assert "t0ken" not in str(first.value)
    api.now = 10
    with pytest.raises(ProviderUnreachable) as again:
        await context.request("PUT", URL, headers=TOKEN)
    assert (str(again.value), again.value.retry_after) == (str(first.value), 20)
    assert len(api.requests) == 1
    api.now = 30
    assert (await context.request("PUT", URL, headers=TOKEN)).status == 200


async def test_what_an_api_counts_apart_holds_up_only_what_is_counted_with_it() -> None:
    api = Api(busy(), Response(200), Response(200), busy(503), Response(200))
    context = api.context()
    with pytest.raises(ProviderUnreachable):
        await context.request("PATCH", URL, headers=TOKEN, counted_as="one")
    with pytest.raises(ProviderUnreachable) as caught:
        await context.request("PATCH", URL, headers=TOKEN, counted_as="one")
    assert caught.value.retry_after == 30
    assert (await context.request("PATCH", URL, headers=TOKEN, counted_as="two")).status == 200
    assert (await context.request("GET", URL, headers=TOKEN)).status == 200
    with pytest.raises(ProviderUnreachable):
        await context.request("PATCH", URL, headers=TOKEN, counted_as="two")
    with pytest.raises(ProviderUnreachable, match="503"):
        await context.request("GET", URL, headers=TOKEN)
    assert len(api.requests) == 4, "a service that is out of order is so for all"
    api.now = 30
    assert (await context.request("PATCH", URL, headers=TOKEN, counted_as="one")).status == 200


async def test_a_provider_that_does_not_say_when_is_asked_again_at_the_next_try() -> None:
    context = Api(busy(retry_after=None), Response(200)).context()
    with pytest.raises(ProviderUnreachable) as caught:
        await context.request("GET", URL, headers=TOKEN)
    assert caught.value.retry_after is None
    assert (await context.request("GET", URL, headers=TOKEN)).status == 200


async def test_a_week_is_not_believed() -> None:
    api = Api(busy(retry_after="604800"), Response(200))
    context = api.context()
    with pytest.raises(ProviderUnreachable):
        await context.request("GET", URL, headers=TOKEN)
    api.now = LONGEST_BUSY_SECONDS
    assert (await context.request("GET", URL, headers=TOKEN)).status == 200


class Slow:
    """A transport whose answers take until they may end."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        self.at_work: Counter[str] = Counter()

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, max_bytes: int
    ) -> Response:
        del method, headers, content, max_bytes
        self.at_work[TENANT.get()] += 1
        await self.end.wait()
        return Response(200, body=b"{}", url=url)

    async def aclose(self) -> None:
        """Do nothing."""


async def test_of_answers_that_may_be_long_few_are_read_at_a_time_and_fewer_of_one_tenant() -> None:
    slow = Slow()

    async def ask(tenant: str, max_bytes: int) -> None:
        TENANT.set(tenant)
        context = ProviderContext(_no_zone, lambda: slow)
        await asyncio.gather(*(context.request("GET", URL, headers=TOKEN, max_bytes=max_bytes) for _ in range(5)))

    tasks = [asyncio.create_task(ask("first", MAX_ANSWER_BYTES + 1))]
    await asyncio.sleep(0.01)
    assert slow.at_work == {"first": MAX_LARGE // 2}
    tasks += [asyncio.create_task(ask(tenant, MAX_ANSWER_BYTES + 1)) for tenant in ("second", "third")]
    tasks.append(asyncio.create_task(ask("usual", MAX_ANSWER_BYTES)))
    await asyncio.sleep(0.01)
    assert slow.at_work == {"first": 2, "second": 1, "third": 1, "usual": 5}
    slow.end.set()
    await asyncio.gather(*tasks)
    assert slow.at_work.total() == 20


def test_several_failures_wait_for_the_longest() -> None:
    errors = [ProviderUnreachable("busy", host=HOST, retry_after=wait) for wait in (None, 5.0, 60.0)]
    assert UpdatesFailed(errors).retry_after == 60
    assert UpdatesFailed(errors[:1]).retry_after is None
