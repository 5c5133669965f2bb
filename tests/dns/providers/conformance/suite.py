"""What every provider of zones with an API passes: a test of a provider inherits from `Conformance`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from certwright.dns import DnsError, ProviderRefused, ProviderUnreachable, TxtRecord, UpdatesFailed, ZoneNotFound
from tests.dns.providers.conformance.double import SECRET

if TYPE_CHECKING:
    from tests.dns.providers.conformance.double import Double

NAME = "_acme-challenge.example.com"
WILD = [TxtRecord(NAME, "value-of-the-apex"), TxtRecord(NAME, "value-of-the-wildcard")]
OURS = WILD[0]


class Conformance:
    """A subclass names its double, and what the API needs at most.

    Attributes:
        requests_for_100: Requests for 100 new names in one zone, in which nothing is yet, together with finding it.
        zones_a_page: Zones of one page.
        records_a_page: Records, or sets, of one page.
        zone_word: Which kind of zones the provider has.
        lists_zones: Whether the API lists all zones at once; otherwise it is asked for each by its name.
    """

    requests_for_100: int
    zones_a_page: int
    records_a_page: int
    zone_word = "public"
    lists_zones = True

    def make_double(self) -> Double:
        raise NotImplementedError

    @pytest.fixture
    def api(self) -> Double:
        double = self.make_double()
        double.add_zone("example.com")
        return double

    async def test_wildcard_and_apex_stand_together_and_go_one_by_one(self, api: Double) -> None:
        provider = api.provider()
        await provider.present(WILD)
        assert api.values(NAME) == ["value-of-the-apex", "value-of-the-wildcard"]
        await provider.clean_up(WILD[:1])
        assert api.values(NAME) == ["value-of-the-wildcard"]
        await provider.clean_up(WILD)
        assert api.values(NAME) == []

    async def test_two_certificates_at_one_name_do_not_disturb_each_other(self, api: Double) -> None:
        one, two = api.provider(), api.provider()
        await asyncio.gather(one.present(WILD[:1]), two.present(WILD[1:]))
        assert api.values(NAME) == ["value-of-the-apex", "value-of-the-wildcard"]
        await asyncio.gather(one.clean_up(WILD[:1]), two.present(WILD[1:]))
        assert api.values(NAME) == ["value-of-the-wildcard"]

    async def test_a_foreign_value_stays(self, api: Double) -> None:
        api.put(NAME, 'foreign; with a \\ and a "quote"')
        provider = api.provider()
        await provider.present(WILD)
        assert len(api.values(NAME)) == 3
        await provider.clean_up(WILD)
        assert api.values(NAME) == ['foreign; with a \\ and a "quote"']

    @pytest.mark.parametrize(
        "foreign",
        ["", " ", "ümläut € 😀", "tab\tand\\\\", '"', "v=spf1 -all", "x" * 255, "x" * 256, "\\195\\188", "a;b,c"],
    )
    async def test_a_foreign_value_of_any_characters_stays_as_it_is(self, api: Double, foreign: str) -> None:
        api.put(NAME, foreign)
        (written,) = api.values(NAME)
        provider = api.provider()
        for part in (WILD[:1], WILD):
            await provider.present(part)
            assert api.values(NAME) == sorted([written, *(one.value for one in part)])
        for part, left in ((WILD[1:], WILD[:1]), (WILD, [])):
            await provider.clean_up(part)
            assert api.values(NAME) == sorted([written, *(one.value for one in left)])

    async def test_names_in_capitals_are_the_same_names(self, api: Double) -> None:
        api.put(NAME, "foreign")
        api.capitals = True
        provider = api.provider()
        for _ in range(2):
            await provider.present(WILD)
            assert api.values(NAME) == sorted(["foreign", *(one.value for one in WILD)])
        for _ in range(2):
            await provider.clean_up(WILD)
            assert api.values(NAME) == ["foreign"]

    @pytest.mark.parametrize("number", range(1, 4))
    async def test_an_answer_that_is_too_long_is_told_and_harms_nothing(self, api: Double, number: int) -> None:
        provider = api.provider()
        api.put(NAME, "foreign")
        for act, expected in ((provider.present, 3), (provider.clean_up, 1)):
            api.too_long_at = api.sent["all"] + number
            with suppress(ProviderUnreachable, ProviderRefused):
                await act(WILD)
            api.too_long_at = 0
            api.now += 400
            await act(WILD)
            assert len(api.values(NAME)) == expected

    async def test_a_name_below_the_zone_that_ends_in_its_name_is_another_one(self, api: Double) -> None:
        other = f"{NAME}.example.com"
        api.put(other, OURS.value)
        records = [*WILD, *(TxtRecord(f"_acme-challenge.{letter}.example.com", letter) for letter in "abcdefgh")]
        provider = api.provider()
        for part in (WILD, records):
            await provider.present(part)
            assert api.values(NAME) == [one.value for one in WILD]
            await provider.clean_up(part)
            assert (api.values(other), api.values(NAME)) == ([OURS.value], [])

    async def test_present_and_clean_up_can_be_repeated(self, api: Double) -> None:
        provider = api.provider()
        for _ in range(2):
            await provider.present(WILD)
            assert len(api.values(NAME)) == 2
        writes = api.sent["write"]
        await api.provider().present(WILD)
        assert api.sent["write"] in (writes, writes + 1)
        for _ in range(2):
            await provider.clean_up(WILD)
            assert api.values(NAME) == []

    async def test_records_at_the_name_of_the_zone_itself_leave_all_others_there(self, api: Double) -> None:
        for value in ("v=spf1 -all", "site-verification"):
            api.put("example.com", value)
        api.put(NAME, "foreign")
        provider = api.provider()
        more = [TxtRecord(f"_acme-challenge.{letter}.example.com", letter) for letter in "abcdefgh"]
        for records in ([TxtRecord("example.com", "value")], [TxtRecord("example.com", "value"), *more]):
            await provider.present(records)
            assert api.values("example.com") == ["site-verification", "v=spf1 -all", "value"]
            for _ in range(2):
                await provider.clean_up(records)
                assert api.values("example.com") == ["site-verification", "v=spf1 -all"]
            assert api.values(NAME) == ["foreign"]

    async def test_a_record_at_the_name_of_the_zone_itself_may_be_alone_there(self, api: Double) -> None:
        provider = api.provider()
        await provider.present([TxtRecord("example.com", "value")])
        assert api.values("example.com") == ["value"]
        await provider.clean_up([TxtRecord("example.com", "value")])
        assert api.values("example.com") == []

    async def test_what_a_crash_left_is_presented_again_and_removed_by_another_process(self, api: Double) -> None:
        await api.provider().present(WILD[:1])
        await api.provider().present(WILD)
        await api.provider().clean_up(WILD)
        assert api.values(NAME) == []

    async def test_a_long_value_keeps_every_character(self, api: Double) -> None:
        value = "v=1; " + "x" * 300 + ' "\\" end'
        provider = api.provider()
        await provider.present([TxtRecord(NAME, value)])
        assert api.values(NAME) == [value]
        await provider.clean_up([TxtRecord(NAME, value)])
        assert api.values(NAME) == []

    async def test_200_names_in_5_zones(self, api: Double) -> None:
        for number in range(4):
            api.add_zone(f"zone{number}.example")
        zones = ["example.com", *(f"zone{number}.example" for number in range(4))]
        records = [TxtRecord(f"_acme-challenge.w{i}.{zones[i % 5]}", f"value-{i}") for i in range(200)]
        provider = api.provider()
        await asyncio.gather(*(provider.present([record]) for record in records))
        assert all(api.values(record.name) == [record.value] for record in records)
        await asyncio.gather(*(provider.clean_up([record]) for record in records))
        assert not any(api.values(record.name) for record in records)

    async def test_100_names_of_as_many_certificates_need_no_more_than_the_batches(self, api: Double) -> None:
        provider = api.provider()
        records = [TxtRecord(f"_acme-challenge.w{i}.example.com", f"value-{i}") for i in range(100)]
        await asyncio.gather(*(provider.present([record]) for record in records))
        assert api.sent["all"] <= self.requests_for_100
        assert all(api.values(record.name) == [record.value] for record in records)

    async def test_a_zone_that_does_not_answer_does_not_hold_up_the_others(self, api: Double) -> None:
        api.add_zone("slow.example")
        provider = api.provider()
        api.held["slow.example"] = asyncio.Event()
        slow = asyncio.create_task(provider.present([TxtRecord("_acme-challenge.slow.example", "late")]))
        async with asyncio.timeout(20):
            await provider.present(WILD)
        assert not slow.done()
        api.held["slow.example"].set()
        await slow
        assert api.values("_acme-challenge.slow.example") == ["late"]

    async def test_the_child_zone_is_preferred_to_its_parent(self, api: Double) -> None:
        api.add_zone("child.example.com")
        record = TxtRecord("_acme-challenge.www.child.example.com", "value")
        await api.provider().present([record])
        assert api.values(record.name, "child.example.com") == ["value"]
        assert api.values(record.name, "example.com") == []

    async def test_a_private_zone_is_not_taken(self, api: Double) -> None:
        api.add_zone("private.example.com", private=True)
        record = TxtRecord("_acme-challenge.private.example.com", "value")
        await api.provider().present([record])
        assert api.values(record.name, "example.com") == ["value"]

    async def test_a_missing_zone_is_told_and_the_others_are_changed(self, api: Double) -> None:
        provider = api.provider()
        with pytest.raises(
            ZoneNotFound, match=rf"no {self.zone_word} zone that contains _acme-challenge\.other\.example"
        ) as caught:
            await provider.present([*WILD, TxtRecord("_acme-challenge.other.example", "value")])
        assert caught.value.names == ("_acme-challenge.other.example",)
        assert len(api.values(NAME)) == 2
        asked = api.sent["all"]
        absent = "third" if self.lists_zones else "other"
        with pytest.raises(ZoneNotFound):
            await provider.present([TxtRecord(f"_acme-challenge.{absent}.example", "value")])
        assert api.sent["all"] == asked, "that a zone is not there is remembered"
        api.add_zone("other.example")
        api.now += 61
        await provider.present([TxtRecord("_acme-challenge.other.example", "value")])
        assert api.values("_acme-challenge.other.example") == ["value"]

    async def test_the_zone_that_the_solver_names_is_taken_in_place_of_a_longer_one(self, api: Double) -> None:
        api.add_zone("child.example.com")
        record = TxtRecord("_acme-challenge.child.example.com", "value", zone="example.com")
        provider = api.provider()
        await provider.present([record])
        assert (api.values(record.name, "example.com"), api.values(record.name, "child.example.com")) == (["value"], [])
        await provider.clean_up([record])
        assert api.values(record.name, "example.com") == []
        with pytest.raises(ZoneNotFound, match=rf"no {self.zone_word} zone third\.child\.example\.com") as caught:
            await provider.present([TxtRecord("a.third.child.example.com", "v", zone="third.child.example.com")])
        assert caught.value.names == ("a.third.child.example.com",)

    async def test_resolvers_may_cache_a_record_for_as_long_as_the_solver_says(self, api: Double) -> None:
        await api.provider().present([TxtRecord(NAME, "value", ttl=self.a_ttl)])
        assert api.ttl(NAME) == self.a_ttl

    a_ttl: int = 300
    """A TTL that the API takes, and that is not the usual one."""

    async def test_the_zone_may_be_on_the_second_page(self, api: Double) -> None:
        for number in range(self.zones_a_page + 1):
            api.add_zone(f"a{number:04}.example")
        api.add_zone("zz.example")
        await api.provider().present([TxtRecord("_acme-challenge.zz.example", "value")])
        assert api.values("_acme-challenge.zz.example") == ["value"]

    async def test_the_records_may_be_on_the_second_page(self, api: Double) -> None:
        for number in range(self.records_a_page + 10):
            api.put(f"a{number:04}.example.com", "foreign")
        records = [TxtRecord(f"_acme-challenge.{letter}.example.com", letter) for letter in "abcdefgh"]
        for record in records:
            api.put(record.name, "foreign")
        provider = api.provider()
        await provider.present(records)
        assert api.values(records[-1].name) == ["foreign", "h"]
        await provider.clean_up(records)
        assert all(api.values(record.name) == ["foreign"] for record in records)

    async def test_somebody_quicker_loses_nothing(self, api: Double) -> None:
        api.put(NAME, "foreign")
        provider = api.provider()
        api.before_write = lambda: api.put(NAME, OURS.value)
        await provider.present(WILD)
        assert api.values(NAME) == sorted(["foreign", *(one.value for one in WILD)])
        api.before_write = lambda: api.drop(NAME, OURS.value)
        await provider.clean_up(WILD)
        assert api.values(NAME) == ["foreign"]

    async def test_a_throttle_is_obeyed_by_all_that_use_the_credential(self, api: Double) -> None:
        provider = api.provider()
        await provider.present(WILD[:1])
        api.answers.append((429, {"Retry-After": "30"}))
        with pytest.raises(ProviderUnreachable, match="too many requests") as caught:
            await provider.present(WILD[1:])
        assert caught.value.retry_after == 30
        sent = api.sent["all"]
        with pytest.raises(ProviderUnreachable):
            await provider.present(WILD[1:])
        assert api.sent["all"] == sent
        api.now += 31
        await provider.present(WILD[1:])
        assert len(api.values(NAME)) == 2

    async def test_a_credential_without_rights_is_told_what_it_needs_once(self, api: Double) -> None:
        api.denied = True
        provider = api.provider()
        outcomes = await asyncio.gather(
            *(provider.present([TxtRecord(f"w{i}.example.com", "v")]) for i in range(20)), return_exceptions=True
        )
        assert all(isinstance(one, ProviderRefused) for one in outcomes)
        assert {one.names for one in outcomes if isinstance(one, DnsError)} == {
            (f"w{i}.example.com",) for i in range(20)
        }
        assert self.right in str(outcomes[0])
        assert api.sent["all"] <= 2, "a refusal is not asked for again by each"

    right: str
    """A right in the provider's own words, which a refusal names."""

    async def test_no_message_shows_the_credential_or_what_was_answered(self, api: Double) -> None:
        provider = api.provider()
        for status in (400, 401, 403, 404, 409, 429, 500):
            api.answers.append((status, {}))
            api.now += 400
            with pytest.raises(DnsError) as caught:
                await provider.present(WILD)
            assert SECRET not in str(caught.value)
            api.answers.clear()

    @pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
    async def test_the_same_trouble_is_told_in_the_same_words(self, api: Double, status: int) -> None:
        provider = api.provider()
        said = set()
        for number in range(2):
            api.answers = [
                (status, {"X-Request-Id": f"req-{number}", "Date": f"Sun, 29 Nov 2026 10:00:0{number} GMT"})
            ] * 8
            api.now += 400
            with pytest.raises(DnsError) as caught:
                await provider.present(WILD)
            said.add(str(caught.value))
        assert len(said) == 1, "pauses that grow count on it"

    @pytest.mark.parametrize("number", range(1, 5))
    async def test_a_server_error_in_the_middle_is_survived_by_trying_again(self, api: Double, number: int) -> None:
        provider = api.provider()
        api.put(NAME, "foreign")
        for act, expected in ((provider.present, 3), (provider.clean_up, 1)):
            api.fail_at = api.sent["all"] + number
            try:
                await act(WILD)
            except (ProviderUnreachable, UpdatesFailed):
                api.now += 400
                await act(WILD)
            api.fail_at = None
            assert len(api.values(NAME)) == expected

    async def test_whoever_is_cancelled_takes_nothing_from_the_others(self, api: Double) -> None:
        provider = api.provider()
        await provider.clean_up(WILD)
        api.held["example.com"] = asyncio.Event()
        first = asyncio.create_task(provider.present([TxtRecord("_acme-challenge.a.example.com", "a")]))
        await asyncio.sleep(0.02)
        later = [
            asyncio.create_task(provider.present([TxtRecord(f"_acme-challenge.{name}.example.com", name)]))
            for name in "bc"
        ]
        await asyncio.sleep(0.02)
        first.cancel()
        later[0].cancel()
        await asyncio.wait([first, later[0]])
        api.held["example.com"].set()
        await later[1]
        assert api.values("_acme-challenge.b.example.com") == [], "it was not on its way yet"
        assert api.values("_acme-challenge.c.example.com") == ["c"]
