from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from certwright.kube import list_watch
from certwright.kube.client import KubeClient, Patience
from certwright.kube.list_watch import ListWatch, ListWatches, Pace, State
from certwright.kube.resource import Resource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")
PATH = "/apis/networking.k8s.io/v1/ingresses"
SOON = Pace(first=0.01, longest=0.05, absent=0.01)


def body(name: str, version: int, *, wanted: bool = True) -> dict[str, Any]:
    annotations = {"wanted": "yes"} if wanted else {}
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "annotations": annotations,
        }
    }


@dataclass
class Server:
    """Keeps objects, answers lists with them in pages, and watches with what a test sends."""

    url: str = ""
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    version: int = 10
    seen: list[web.Request] = field(default_factory=list)
    refusals: deque[tuple[int, str]] = field(default_factory=deque)
    standing: tuple[int, str] | None = None
    watches: list[asyncio.Queue[dict[str, Any] | None]] = field(default_factory=list)

    def put(self, name: str, *, wanted: bool = True, **more: Any) -> None:
        self.version += 1
        kind = "MODIFIED" if name in self.objects else "ADDED"
        self.objects[name] = body(name, self.version, wanted=wanted) | more
        self.send({"type": kind, "object": self.objects[name]})

    def delete(self, name: str) -> None:
        self.version += 1
        gone = body(name, self.version)
        del self.objects[name]
        self.send({"type": "DELETED", "object": gone})

    def send(self, event: dict[str, Any] | None) -> None:
        for one in self.watches:
            one.put_nowait(event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        refusal = self.refusals.popleft() if self.refusals else self.standing
        if refusal is not None:
            status, reason = refusal
            said = {"kind": "Status", "reason": reason, "message": f"{reason} said the server"}
            return web.json_response(said, status=status)
        if "watch" in request.query:
            return await self._watch(request)
        start, limit = int(request.query.get("continue", "0")), int(request.query["limit"])
        items = list(self.objects.values())
        left = start + limit < len(items)
        metadata = {"resourceVersion": str(self.version), **({"continue": str(start + limit)} if left else {})}
        return web.json_response({"metadata": metadata, "items": items[start : start + limit]})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.watches.append(queue)
        try:
            while (event := await queue.get()) is not None:
                await response.write(json.dumps(event).encode() + b"\n")
        finally:
            self.watches.remove(queue)
        return response

    @property
    def lists(self) -> list[web.Request]:
        return [one for one in self.seen if "watch" not in one.query]


@dataclass
class Sink:
    """Remembers what it is told, and keeps what the news add up to."""

    told: list[tuple[str | None, str]] = field(default_factory=list)
    known: dict[str, int] = field(default_factory=dict)
    lists: int = 0
    rewinds: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def wants(self, _resource: Resource, body: Mapping[str, Any]) -> bool:
        return "wanted" in (body["metadata"].get("annotations") or {})

    async def take_event(self, _resource: Resource, event: str | None, body: Mapping[str, Any]) -> None:
        name = body["metadata"]["name"]
        self.told.append((event, name))
        if event == "DELETED":
            self.known.pop(name, None)
        else:
            self.known[name] = int(body["metadata"]["resourceVersion"])
        self.changed.set()

    async def take_list(self, _resource: Resource, _namespace: str | None, uids: set[str], version: int) -> None:
        self.known = {name: at for name, at in self.known.items() if f"uid-{name}" in uids or at > version}
        self.lists += 1
        self.changed.set()

    def take_rewind(self, _resource: Resource, _namespace: str | None) -> None:
        self.rewinds += 1
        self.known = dict.fromkeys(self.known, -1)


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of several objects
            await asyncio.sleep(0.005)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[KubeClient]:
    configuration = Configuration(host=server.url)
    configuration.retries = None
    api = ApiClient(configuration)
    yield KubeClient(api, patience=Patience(request=5.0, tries=1))
    await api.close()  # type: ignore[no-untyped-call]  # the library has no types here


@contextlib.asynccontextmanager
async def watching(client: KubeClient, sink: Sink, **options: Any) -> AsyncIterator[ListWatch]:
    made = ListWatch(client, INGRESSES, sink, pace=SOON, **options)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


async def test_a_list_comes_in_pages_and_the_watch_goes_on_from_it(
    server: Server, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_watch, "LIST_LIMIT", 2)
    for name in "abcde":
        server.put(name, wanted=name != "c")
    sink = Sink()
    async with watching(client, sink) as made:
        assert made.trouble == "the list of ingresses.networking.k8s.io has not arrived"
        await until(lambda: server.watches)
        assert sorted(sink.known) == ["a", "b", "d", "e"]
        assert (sink.lists, len(server.lists), made.state) == (1, 3, State.WATCHING)
        assert ListWatches([made]).trouble is None
        server.put("f")
        server.put("a", wanted=False)
        server.delete("b")
        await until(lambda: sorted(sink.known) == ["d", "e", "f"])
    assert sink.told[-2:] == [("DELETED", "a"), ("DELETED", "b")]
    assert server.seen[-1].query["resourceVersion"] == "15"
    assert server.seen[-1].query["allowWatchBookmarks"] == "true"


async def test_metadata_alone_is_asked_for_by_its_media_type(server: Server, client: KubeClient) -> None:
    async with watching(client, Sink(), metadata_only=True, namespace="shop"):
        await until(lambda: server.watches)
    asked = [one.headers["Accept"] for one in server.seen]
    assert asked == [
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    ]
    assert server.seen[0].path == "/apis/networking.k8s.io/v1/namespaces/shop/ingresses"


async def test_a_watch_that_ends_goes_on_from_the_last_bookmark(server: Server, client: KubeClient) -> None:
    server.put("a")
    sink = Sink()
    async with watching(client, sink):
        await until(lambda: server.watches)
        server.version = 40
        server.send({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "40"}}})
        server.send(None)
        await until(lambda: len([one for one in server.seen if "watch" in one.query]) == 2)
    assert server.seen[-1].query["resourceVersion"] == "40"
    assert sink.lists == 1


async def test_what_expired_is_listed_again_and_what_went_meanwhile_is_gone(server: Server, client: KubeClient) -> None:
    server.put("a")
    server.put("b")
    sink = Sink()
    async with watching(client, sink):
        await until(lambda: server.watches)
        del server.objects["b"]
        server.version = 50
        server.send({"type": "ERROR", "object": {"code": 410, "reason": "Expired"}})
        await until(lambda: sink.lists == 2)
        assert list(sink.known) == ["a"]


async def test_a_server_that_says_expired_without_end_is_asked_with_pauses(server: Server, client: KubeClient) -> None:
    sink = Sink()
    async with watching(client, sink):
        for _ in range(40):
            await until(lambda: server.watches)
            server.send({"type": "ERROR", "object": {"code": 410}})
            await until(lambda: not server.watches)
            if sink.lists > 3:
                break
        # 0.01 s, doubled up to 0.05 s: a loop without pauses would have made thousands of requests in this time.
        await asyncio.sleep(0.2)
    assert len(server.seen) < 60


async def test_versions_that_went_back_are_noticed_when_the_watch_is_opened_again(
    server: Server, client: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.version = 100
    server.put("a")
    sink = Sink()
    async with watching(client, sink):
        await until(lambda: server.watches)
        server.version, server.objects = 20, {"old": body("old", 20)}
        server.send(None)
        await until(lambda: "old" in sink.known)
        await until(lambda: sink.lists == 2)
    assert (sink.rewinds, list(sink.known)) == (1, ["old"])
    assert "was etcd restored from a backup?" in caplog.text


async def test_a_resource_that_is_not_served_is_no_trouble_and_noticed_when_it_comes_and_goes(
    server: Server, client: KubeClient
) -> None:
    server.standing = (404, "NotFound")
    sink = Sink()
    async with watching(client, sink) as made:
        await until(lambda: made.state is State.ABSENT and len(server.seen) > 2)
        assert made.trouble is None
        server.put("a")
        server.standing = None
        await until(lambda: server.watches)
        assert (list(sink.known), made.state) == (["a"], State.WATCHING)
        server.standing = (404, "NotFound")
        server.send(None)
        await until(lambda: made.state is State.ABSENT)
        assert not sink.known


async def test_a_refusal_is_told_once_in_the_log_and_for_as_long_as_it_lasts_as_trouble(
    server: Server, client: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server.standing = (403, "Forbidden")
    failures: list[tuple[str, str]] = []
    async with watching(client, Sink(), on_failure=lambda *told: failures.append(told)) as made:
        await until(lambda: len(server.seen) > 3)
        assert "the list of ingresses.networking.k8s.io has not arrived: " in (made.trouble or "")
        assert "Forbidden said the server" in (made.trouble or "")
        server.standing = None
        await until(lambda: made.trouble is None)
    assert failures[0] == ("ingresses", "403")
    assert len([one for one in caplog.records if "cannot be watched" in one.message]) == 1
    assert "ingresses.networking.k8s.io can be watched again" in caplog.text


async def test_a_page_that_is_too_large_is_asked_for_in_smaller_parts(
    server: Server, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("certwright.kube.client.MAX_ANSWER_BYTES", 100_000)
    for number in range(20):
        server.put(f"n{number}", data="x" * 30_000)
    sink = Sink()
    async with watching(client, sink):
        await until(lambda: sink.lists == 1)
    assert len(sink.known) == 20
    assert int(server.lists[-1].query["limit"]) < 5


async def test_news_that_are_no_objects_are_trouble_and_not_the_end(server: Server, client: KubeClient) -> None:
    sink = Sink()
    async with watching(client, sink):
        for rubbish in (
            {"type": "ADDED", "object": []},
            {"type": "ADDED", "object": {"metadata": {"name": 7}}},
            {"type": "ADDED"},
            {"type": "ERROR", "object": {"code": 500, "reason": "InternalError"}},
        ):
            await until(lambda: server.watches)
            server.send(rubbish)
            await until(lambda: not server.watches)
        await until(lambda: server.watches)
        server.put("a")
        await until(lambda: "a" in sink.known)


async def test_what_was_listed_is_missed_once_it_is_refused_for_a_minute_and_not_while_the_server_is_away(
    server: Server, client: KubeClient
) -> None:
    now = 0.0
    async with watching(client, Sink(), clock=lambda: now) as made:
        await until(lambda: server.watches)
        for refusal, seconds, words in (
            ((503, "ServiceUnavailable"), 600.0, None),
            ((403, "Forbidden"), 59.0, None),
            ((403, "Forbidden"), 2.0, "ingresses.networking.k8s.io can no longer be watched: "),
        ):
            asked = len(server.seen)
            server.standing = refusal
            server.send(None)
            await until(lambda asked=asked: len(server.seen) > asked + 2)
            now += seconds
            assert (made.trouble or "").startswith(words) if words else made.trouble is None
