from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from certwright.handlers.other_releases import OtherReleases
from certwright.kube.resource import CERTIFICATES
from certwright.resources import Certificate
from certwright.runtime.key import Key

KEY = Key("Certificate", "shop", "web")
METADATA = {"namespace": "shop", "name": "web", "uid": "u-1"}


class World:
    """Claims and the API server, as far as they are asked."""

    own = "tools/certwright"

    def __init__(self) -> None:
        self.looked = asyncio.Event()
        self.looked.set()
        self.by: str | None = None
        self.rest: list[str] = []
        self.written: list[dict[str, Any] | None] = []
        self.woken: set[Key] = set()
        self.guard = OtherReleases(
            self,  # type: ignore[arg-type]  # a stand-in
            self,  # type: ignore[arg-type]
            clock=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
            wake=lambda *keys: self.woken.update(keys),
        )

    def keeper(self, _namespace: str) -> str | None:
        return self.by

    def others(self, _namespace: str) -> list[str]:
        return [self.by] if self.by else self.rest

    async def apply_conflict(self, _plural: str, _kind: str, metadata: Any, condition: dict[str, Any] | None) -> None:
        assert metadata == METADATA
        self.written.append(condition)

    async def kept_out(self) -> bool:
        return await self.guard.keep_out(CERTIFICATES, KEY, METADATA)

    def on_change(self) -> None: ...


@pytest.fixture
def world() -> World:
    return World()


async def test_an_object_of_another_release_says_which_and_is_left_alone(world: World) -> None:
    world.by = "b/certwright"
    assert await world.kept_out()
    assert await world.kept_out()
    [condition] = world.written
    assert condition is not None
    assert condition["type"] == "OperatorConflict"
    assert "The release b/certwright of Certwright (namespace/Lease) serves this object too" in condition["message"]
    assert "the release tools/certwright leaves it alone" in condition["message"]


async def test_when_the_other_release_is_gone_the_object_is_taken_up_and_says_so_no_more(world: World) -> None:
    world.by = "b/certwright"
    await world.kept_out()
    world.by = None
    world.on_change()
    assert world.woken == {KEY}
    assert not await world.kept_out()
    assert world.written[1:] == [None]
    assert not await world.kept_out()
    assert len(world.written) == 2


async def test_what_a_release_that_is_gone_left_is_removed_and_what_one_says_that_is_there_stays(world: World) -> None:
    body = {"status": {"conditions": [{"type": "OperatorConflict", "message": "the other's"}]}}
    world.guard.take(KEY, body)
    world.rest = ["b/certwright"]
    assert not await world.kept_out()
    assert world.written == []
    world.rest = []
    assert not await world.kept_out()
    assert world.written == [None]


async def test_nothing_is_begun_before_other_releases_were_looked_for(world: World) -> None:
    world.looked.clear()
    looking = asyncio.create_task(world.kept_out())
    await asyncio.sleep(0)
    assert not looking.done()
    world.looked.set()
    assert not await looking


def test_the_condition_of_another_release_is_no_part_of_our_status() -> None:
    """Applied by us, it would be ours as well, and nobody could remove it alone."""
    conditions = [
        {"type": kind, "status": "True", "reason": "X", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        for kind in ("Ready", "OperatorConflict")
    ]
    certificate = Certificate.parse(
        {
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 1, "resourceVersion": "1"},
            "spec": {"dnsNames": ["a.example.com"], "secretName": "s", "issuerRef": {"name": "ca"}},
            "status": {"conditions": conditions},
        }
    )
    assert [condition.type for condition in certificate.status.conditions] == ["Ready"]
