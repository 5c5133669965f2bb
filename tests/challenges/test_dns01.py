from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from certwright.acme import Challenge, ChallengeStatus, dns01_value, dns_account01_name
from certwright.challenges.dns01 import Dns01Presenter, DnsAccount01Presenter
from certwright.challenges.response import AccountRecordResponse, RecordResponse
from certwright.dns import CnameLoop, CnameNotAllowed, InvalidName, Propagation, ZoneNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = dt.timedelta(seconds=1)
RECORDS = (RecordResponse("_acme-challenge.a.example", "v1"), RecordResponse("_acme-challenge.b.example", "v2"))


class Zones:
    """Stands in for the provider and for the view."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.cnames = {"_acme-challenge.a.example": "a.proofs.example"}

    async def present(self, records: Sequence[RecordResponse]) -> None:
        self.calls.append(("present", records))

    async def clean_up(self, records: Sequence[RecordResponse]) -> None:
        self.calls.append(("clean up", records))

    async def follow_cname(self, name: str) -> str:
        if name.endswith("loop.example"):
            raise CnameLoop("a loop", looped=True)
        return self.cnames.get(name, name)

    async def check(self, records: Sequence[RecordResponse]) -> tuple[Propagation, ...]:
        return tuple(Propagation(record, complete=True, seen=()) for record in records)


@pytest.fixture
def zones() -> Zones:
    return Zones()


def solver(zones: Zones, *, follow_cname: bool = True) -> Dns01Presenter:
    return Dns01Presenter(zones, zones, destination="zones", follow_cname=follow_cname, patience=PATIENCE)  # type: ignore[arg-type]  # a stand-in for the view


@pytest.mark.parametrize(
    ("name", "follow", "record"),
    [
        ("b.example", True, "_acme-challenge.b.example"),
        ("*.b.example", True, "_acme-challenge.b.example"),
        ("a.example", True, "a.proofs.example"),
        ("*.a.example", True, "a.proofs.example"),
        ("*.a.example", False, "_acme-challenge.a.example"),
        ("loop.example", False, "_acme-challenge.loop.example"),
    ],
)
async def test_where_the_record_has_to_stand(zones: Zones, name: str, record: str, *, follow: bool) -> None:
    assert await solver(zones, follow_cname=follow).place(name) == record


async def test_records_go_to_the_zone_that_the_solver_names_and_nowhere_else(zones: Zones) -> None:
    made = Dns01Presenter(zones, zones, zone="proofs.example", ttl=300)  # type: ignore[arg-type]  # as above
    assert await made.place("a.example") == "a.proofs.example"
    with pytest.raises(ZoneNotFound, match=r"_acme-challenge\.b\.example is not in the zone proofs\.example"):
        await made.place("b.example")
    await made.present(RECORDS)
    await made.clean_up(RECORDS)
    for _, records in zones.calls:
        assert isinstance(records, list)
        assert {(record.zone, record.ttl) for record in records} == {("proofs.example", 300)}


async def test_two_accounts_validate_one_domain_at_names_of_their_own(zones: Zones) -> None:
    accounts = ("https://ca.example/account/1", "https://ca.example/account/2")
    of_each = [DnsAccount01Presenter(url, zones, zones) for url in accounts]  # type: ignore[arg-type]  # as above
    places = [await one.place("*.b.example") for one in of_each]
    assert places == [dns_account01_name("b.example", url) for url in accounts]
    assert len({*places, "_acme-challenge.b.example"}) == 3
    zones.cnames[places[0]] = "one.b.example"
    assert [await one.place("b.example") for one in of_each] == ["one.b.example", places[1]]
    challenge = Challenge("dns-account-01", "https://ca.example/1", ChallengeStatus.PENDING, "token")
    response = of_each[0].respond("a.example", "one.b.example", challenge, "token.thumbprint")
    assert response == AccountRecordResponse("one.b.example", dns01_value("token.thumbprint"))
    assert (response.challenge_type, of_each[0].challenge_type) == ("dns-account-01", "dns-account-01")
    # Equal to a record of dns-01 with the same text: who holds which is counted by name and value.
    assert response == RecordResponse("one.b.example", dns01_value("token.thumbprint"))


@pytest.mark.parametrize("needed", [True, False])
def test_a_provider_that_has_to_be_told_the_key_authorization_is_told(zones: Zones, *, needed: bool) -> None:
    made = Dns01Presenter(zones, zones, needs_key_authorization=needed)  # type: ignore[arg-type]  # as above
    challenge = Challenge("dns-01", "https://ca.example/1", ChallengeStatus.PENDING, "token")
    response = made.respond("*.a.example", "_acme-challenge.a.example", challenge, "token.thumbprint")
    assert isinstance(response, RecordResponse)
    assert response.key_authorization == ("token.thumbprint" if needed else None)
    assert response.domain == "a.example"


@pytest.mark.parametrize(
    ("target", "allowed", "followed"),
    [
        ("a.proofs.example", None, True),
        ("a.proofs.example", ["proofs.example"], True),
        ("proofs.example", ["other.example", "Proofs.Example"], True),
        ("a.proofs.example", [], False),
        ("a.not-proofs.example", ["proofs.example"], False),
        ("example", ["proofs.example"], False),
        ("_acme-challenge.a.example", [], True),
        ("proofs.a.example", [], True),
        ("b.example", [], False),
        ("evila.example", [], False),
    ],
)
@pytest.mark.parametrize("name", ["a.example", "*.a.example"])
async def test_a_cname_leads_below_the_domain_or_to_an_allowed_zone_and_nowhere_else(
    zones: Zones, name: str, target: str, allowed: list[str] | None, *, followed: bool
) -> None:
    zones.cnames["_acme-challenge.a.example"] = target
    made = Dns01Presenter(zones, zones, allowed_targets=allowed)  # type: ignore[arg-type]  # a stand-in for the view
    if followed:
        assert await made.place(name) == target
        return
    with pytest.raises(CnameNotAllowed, match=f"_acme-challenge.a.example is a CNAME that points to .* {target}, "):
        await made.place(name)


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize(("length", "fits"), [(237, True), (238, False), (245, False), (253, False)])
async def test_a_name_that_has_no_room_for_the_record_is_refused_before_an_order(
    zones: Zones, length: int, *, fits: bool, follow: bool
) -> None:
    name = ".".join(["a" * 60] * 5)[: length - 8] + ".example"
    assert len(name) == length
    if fits:
        assert await solver(zones, follow_cname=follow).place(f"*.{name}") == f"_acme-challenge.{name}"
        return
    with pytest.raises(InvalidName, match=f"it has {length + 16} characters, and the DNS allows 253"):
        await solver(zones, follow_cname=follow).place(name)


async def test_a_chain_of_cnames_that_cannot_be_followed_is_said(zones: Zones) -> None:
    with pytest.raises(CnameLoop):
        await solver(zones).place("loop.example")


async def test_records_are_presented_checked_and_removed_together(zones: Zones) -> None:
    made = solver(zones)
    await made.present(RECORDS)
    seen = await made.check(RECORDS)
    await made.clean_up(RECORDS)
    assert zones.calls == [("present", list(RECORDS)), ("clean up", list(RECORDS))]
    assert tuple(each.record for each in seen) == RECORDS


async def test_without_a_self_check_no_server_is_asked_for_a_record_but_cnames_are_followed(zones: Zones) -> None:
    async def never(_: object) -> tuple[Propagation, ...]:
        raise AssertionError("a server was asked")

    zones.check = never  # type: ignore[method-assign,assignment]  # nothing may call it
    off = Dns01Presenter(zones, zones, self_check="off", settling=PATIENCE)  # type: ignore[arg-type]  # a stand-in for the view
    assert await off.place("a.example") == "a.proofs.example"
    assert [seen.complete for seen in await off.check(RECORDS)] == [True, True]
    assert off.settling == PATIENCE


class Distributing(Zones):
    """A provider that says what it is still distributing."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[str, str] = {"v1": "still distributing"}
        self.asked: list[str] = []

    async def pending(self, records: Sequence[RecordResponse]) -> dict[RecordResponse, str]:
        return {record: self.waiting[record.value] for record in records if record.value in self.waiting}

    async def check(self, records: Sequence[RecordResponse]) -> tuple[Propagation, ...]:
        self.asked += [record.value for record in records]
        return await super().check(records)


async def test_no_server_is_asked_for_a_record_that_the_provider_is_still_distributing() -> None:
    zones = Distributing()
    made = solver(zones)
    first, second = await made.check(RECORDS)
    assert (first.record, first.complete, first.describe()) == (RECORDS[0], False, "still distributing")
    assert (second.record, second.complete) == (RECORDS[1], True)
    assert zones.asked == ["v2"]
    zones.waiting["v2"] = "still distributing"
    assert not any(seen.complete for seen in await made.check(RECORDS))
    assert zones.asked == ["v2"]
    zones.waiting.clear()
    assert all(seen.complete for seen in await made.check(RECORDS))
    assert zones.asked == ["v2", "v1", "v2"]


@pytest.mark.parametrize("view", [True, False])
async def test_without_a_self_check_the_provider_alone_says_when_the_ca_can_be_asked(*, view: bool) -> None:
    zones = Distributing()
    off = Dns01Presenter(zones, zones if view else None, self_check="off")  # type: ignore[arg-type]  # a stand-in for the view
    assert [seen.complete for seen in await off.check(RECORDS)] == [False, True]
    zones.waiting.clear()
    assert [seen.complete for seen in await off.check(RECORDS)] == [True, True]
    assert zones.asked == []
