from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from certwright.challenges.record_presenter import Dns01Presenter
from certwright.challenges.response import RecordResponse
from certwright.dns import CnameLoop, Propagation

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
