"""An API server that was restored from a backup: its resourceVersions go back."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from yarl import URL

from certwright.handlers.watching import rewinds as module
from certwright.handlers.watching.health import Watches
from certwright.handlers.watching.rewinds import Rewinds
from certwright.kube.errors import Unreachable
from certwright.kube.resource import CERTIFICATES

if TYPE_CHECKING:
    from collections.abc import Mapping

LIST = URL("https://api/k8s/clusters/c-1/apis/certwright.io/v1/namespaces/shop/certificates?labelSelector=a%3Db")


class Server:
    """An API server at some version, which may not answer at first."""

    def __init__(self) -> None:
        self.version = 100
        self.silent = 0
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    async def request(self, _method: str, path: str, *, action: str, query: Mapping[str, str]) -> dict[str, Any]:
        assert action
        self.asked.append((path, query))
        if self.silent:
            self.silent -= 1
            raise Unreachable(action, message="it starts")
        return {"metadata": {"resourceVersion": str(self.version)}}


class Stream:
    """The response of a watch, and what is in it."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.closed = False
        self.content = SimpleNamespace(at_eof=lambda: False, feed_data=self.lines.append)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0, 0.0))
    return Server()


@pytest.fixture
def rewinds(server: Server) -> Rewinds:
    return Rewinds(cast("Any", server))


def watch(version: int) -> URL:
    return LIST.update_query(watch="true", resourceVersion=str(version))


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_watch_from_a_version_that_is_yet_to_come_is_told_to_list_again(
    rewinds: Rewinds, server: Server
) -> None:
    stream = Stream()
    rewinds.asked(watch(4000))
    rewinds.opened(watch(4000), cast("Any", stream))
    await settle()
    (line,) = stream.lines
    assert json.loads(line)["type"] == "ERROR"
    assert json.loads(line)["object"]["code"] == 410
    assert line.endswith(b"\n")
    path, query = server.asked[0]
    assert path == "/apis/certwright.io/v1/namespaces/shop/certificates"
    assert query == {"limit": "1", "labelSelector": "a=b"}


async def test_an_api_server_that_is_still_starting_is_asked_again(rewinds: Rewinds, server: Server) -> None:
    server.silent = 2
    stream = Stream()
    rewinds.asked(watch(4000))
    await settle()
    rewinds.opened(watch(4000), cast("Any", stream))  # it is late
    assert len(stream.lines) == 1
    assert len(server.asked) == 3


@pytest.mark.parametrize("version", [99, 100])
async def test_a_watch_that_goes_on_where_it_ended_is_left_alone(
    rewinds: Rewinds, server: Server, version: int
) -> None:
    stream = Stream()
    rewinds.asked(watch(version))
    rewinds.opened(watch(version), cast("Any", stream))
    await settle()
    assert stream.lines == []
    assert len(server.asked) == 1


async def test_a_watch_that_follows_its_list_costs_no_request(rewinds: Rewinds, server: Server) -> None:
    rewinds.listed(LIST, "4000")
    rewinds.asked(LIST)
    rewinds.asked(watch(4000))
    rewinds.opened(watch(4000), cast("Any", Stream()))
    await settle()
    assert server.asked == []


async def test_a_check_that_comes_late_does_not_end_the_next_watch(rewinds: Rewinds) -> None:
    old, new = Stream(), Stream()
    rewinds.asked(watch(4000))
    rewinds.opened(watch(4000), cast("Any", old))
    rewinds.listed(LIST, "101")
    rewinds.asked(watch(101))
    rewinds.opened(watch(101), cast("Any", new))
    await settle()
    assert new.lines == []


class Known:
    """What is known of Certificates, and what is said of it."""

    def __init__(self) -> None:
        self.latest = 4000
        self.told: list[str] = []

        async def on_list(*_: object) -> None:
            self.told.append("list")

        self.watches = Watches(
            [CERTIFICATES],
            on_list=on_list,
            on_failure=lambda *_: None,
            latest=lambda *_: self.latest,
            on_rewind=lambda *_: self.told.append("rewind"),
        )

    async def list(self, version: int, *, parts: int = 1) -> None:
        self.watches.asked(LIST)
        for part in range(parts):
            more = "more" if part + 1 < parts else ""
            await self.watches.answered(LIST, {"metadata": {"resourceVersion": str(version), "continue": more}})
            self.told.append("objects")


async def test_a_list_that_is_older_than_what_is_known_says_so_before_its_objects_come() -> None:
    known = Known()
    await known.list(100, parts=2)
    assert known.told == ["rewind", "objects", "list", "objects"]


async def test_a_list_is_compared_with_what_was_known_when_it_was_asked_for() -> None:
    known = Known()
    known.watches.asked(LIST)
    known.latest = 4010  # a write of ours, while the list was on its way
    await known.watches.answered(LIST, {"metadata": {"resourceVersion": "4005"}})
    assert known.told == ["list"]
