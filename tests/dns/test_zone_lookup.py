"""Zones of an API that lists none: it is asked for each by its name."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from certwright.dns import ProviderRefused, ProviderUnreachable, ZoneNotFound
from certwright.dns.hosted.zones import ZoneLookup


class Api:
    """Tells whether a zone is there.

    Attributes:
        asked: How often it was asked for each name.
        error: What it answers in place of that.
    """

    def __init__(self, *zones: str) -> None:
        self.zones = {*zones}
        self.asked: Counter[str] = Counter()
        self.error: ProviderRefused | ProviderUnreachable | None = None
        self.now = 1000.0
        self.held = asyncio.Event()
        self.held.set()

    async def exists(self, name: str) -> bool:
        self.asked[name] += 1
        await self.held.wait()
        if self.error is not None:
            raise self.error
        return name in self.zones

    def lookup(self) -> ZoneLookup:
        return ZoneLookup(self.exists, whose="the account", hint="add it", monotonic=lambda: self.now)


async def test_names_share_the_questions_about_their_parents_and_the_child_zone_is_taken() -> None:
    api = Api("example.com", "child.example.com")
    lookup = api.lookup()
    names = ["a.example.com", "b.example.com", "a.child.example.com", "example.com"]
    found = await asyncio.gather(*(lookup.find(name) for name in names))
    assert [zone.name for zone in found] == ["example.com", "example.com", "child.example.com", "example.com"]
    assert set(api.asked.values()) == {1}
    assert "com" not in api.asked


async def test_a_zone_is_believed_for_five_minutes_and_its_absence_for_one() -> None:
    api = Api("example.com")
    lookup = api.lookup()
    await lookup.find("a.example.com")
    with pytest.raises(ZoneNotFound, match=r"the account has no public zone that contains a\.example\.org: add it"):
        await lookup.find("a.example.org")
    api.zones = {"example.org"}
    api.now += 59
    with pytest.raises(ZoneNotFound):
        await lookup.find("a.example.org")
    api.now += 2
    assert (await lookup.find("a.example.org")).name == "example.org"
    assert (await lookup.find("a.example.com")).name == "example.com"
    api.now += 300
    with pytest.raises(ZoneNotFound):
        await lookup.find("a.example.com")


async def test_a_credential_that_is_refused_is_not_tried_for_every_name() -> None:
    api = Api("example.com", "example.org")
    lookup = api.lookup()
    api.error = ProviderRefused("refused", host="api.example", code="", for_all=True)
    for name in ("a.example.com", "b.example.org", "c.example.net"):
        with pytest.raises(ProviderRefused):
            await lookup.find(name)
    assert api.asked.total() == 1
    api.error = None
    api.now += 11
    assert (await lookup.find("b.example.org")).name == "example.org"


async def test_a_zone_that_cannot_be_asked_for_keeps_nobody_from_the_others() -> None:
    api = Api("example.com", "example.org")
    lookup = api.lookup()
    api.error = ProviderUnreachable("no answer", host="api.example")
    with pytest.raises(ProviderUnreachable):
        await lookup.find("a.example.com")
    api.error = None
    assert (await lookup.find("a.example.org")).name == "example.org"
    assert (await lookup.find("a.example.com")).name == "example.com"


async def test_each_of_those_who_wait_for_one_answer_gets_an_error_of_its_own() -> None:
    api = Api()
    lookup = api.lookup()
    api.error = ProviderUnreachable("no answer", host="api.example")
    outcomes = await asyncio.gather(
        *(lookup.find(name) for name in ("a.example.com", "a.example.com", "b.example.com")), return_exceptions=True
    )
    assert len({id(one) for one in outcomes}) == 3
    assert api.asked.total() == 1


async def test_whoever_is_impatient_takes_the_answer_from_nobody() -> None:
    api = Api("example.com")
    lookup = api.lookup()
    api.held.clear()
    impatient, patient = (asyncio.create_task(lookup.find("a.example.com")) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    api.held.set()
    assert (await patient).name == "example.com"
    assert api.asked["example.com"] == 1
