from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from yarl import URL

from certwright.handlers.errors import OperatorFailed
from certwright.handlers.watching import crds as module
from certwright.handlers.watching.crds import Crds
from certwright.handlers.watching.health import Watches
from certwright.kube.errors import KubeError, NotFound, Unreachable
from certwright.kube.resource import CERTIFICATES, CLUSTER_ISSUERS, ISSUERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RESOURCES = [CERTIFICATES, ISSUERS, CLUSTER_ISSUERS]
OURS = tuple(resource.plural for resource in RESOURCES)


class Server:
    """Answers what is served; an error to raise comes first."""

    def __init__(self) -> None:
        self.answers: list[KubeError | tuple[str, ...]] = []
        self.asked = 0

    async def request(self, method: str, path: str, *, action: str) -> dict[str, Any]:
        assert (method, path, action) == (
            "GET",
            "/apis/certwright.io/v1",
            "see whether certwright.io/v1 is served",
        )
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, KubeError):
            raise answer
        return {"resources": [{"name": name} for name in answer]}


async def ignore(*_: object) -> None:
    """Nothing is known that could be gone."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.0)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def watches() -> Watches:
    return Watches(RESOURCES, on_list=ignore, on_failure=lambda _resource, _status: None)


@pytest.fixture
def crds(server: Server, watches: Watches) -> Crds:
    return Crds(server, watches)  # type: ignore[arg-type]  # one method of it is used


async def bounded(look: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(5):
        await look()


async def test_it_waits_until_everything_is_served(
    server: Server, watches: Watches, crds: Crds, caplog: pytest.LogCaptureFixture
) -> None:
    gone = Unreachable("see whether certwright.io/v1 is served", message="connection refused")
    server.answers = [gone, gone, NotFound("see"), ("certificates", "issuers"), OURS]
    await bounded(crds.wait_served)
    assert server.asked == 5
    assert watches.trouble is not None
    assert watches.trouble.startswith("certificates.certwright.io are not watched yet; ")
    assert watches.unwatched == [f"{plural}.certwright.io" for plural in OURS]
    assert caplog.text.count("connection refused; retrying") == 1


async def test_what_cannot_be_found_out_is_no_lack(server: Server, watches: Watches, crds: Crds) -> None:
    server.answers = [Unreachable("see", message="connection refused")]
    waiting = asyncio.create_task(crds.wait_served())
    async with asyncio.timeout(5):
        while server.asked < 3:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
    assert str(watches.trouble).startswith(
        "certificates.certwright.io are not watched yet (could not see: no answer: connection refused)"
    )
    waiting.cancel()


async def test_nothing_is_asked_while_nothing_was_missed(server: Server, watches: Watches, crds: Crds) -> None:
    watches.discovered({"resources": [{"name": name} for name in OURS]})
    minding = asyncio.create_task(crds.mind())
    for _ in range(20):
        await asyncio.sleep(0)
    assert (server.asked, minding.done()) == (0, False)
    minding.cancel()


async def test_crds_that_came_back_unnoticed_are_a_reason_to_start_again(
    server: Server, watches: Watches, crds: Crds, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "certwright")
    monkeypatch.setattr(module, "UNNOTICED_SECONDS", 0.05)
    watches.discovered({"resources": []})
    for plural in OURS[:2]:
        watches.asked(URL(f"https://api/apis/certwright.io/v1/{plural}"))
    server.answers = [OURS[:2], OURS[:2], OURS]
    with pytest.raises(OperatorFailed, match=r"^clusterissuers\.certwright\.io came back"):
        await bounded(crds.mind)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]
