"""Whole passes over Certificates whose issuer gets another DNS provider in the middle of an order."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import dns01_value
from certwright.certificates.store import certificate_key
from certwright.challenges.dns01 import Dns01Presenter
from certwright.challenges.response import RecordResponse
from certwright.dns import NameserverUnreachable, Propagation, ServerView, Zone
from certwright.dns.provider import ProviderContext
from certwright.http.errors import ConnectionFailed
from certwright.http.message import Response

from .bench import Bench

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fakes.operator import Build, FakeKubeApi


class Place:
    """A DNS provider, and what is to be seen there."""

    def __init__(self) -> None:
        self.records: set[RecordResponse] = set()
        self.down = False
        self.hidden = True

    async def present(self, records: Sequence[RecordResponse]) -> None:
        self.records.update(records)

    async def clean_up(self, records: Sequence[RecordResponse]) -> None:
        if self.down:
            raise NameserverUnreachable("192.0.2.1:53", "silence")
        self.records.difference_update(records)

    async def check(self, records: Sequence[RecordResponse]) -> tuple[Propagation, ...]:
        return tuple(Propagation(record, not self.hidden, (ServerView("ns1"),)) for record in records)


class HttpsPlace(Place):
    """One with an API that speaks HTTPS."""

    async def clean_up(self, records: Sequence[RecordResponse]) -> None:
        transport: Any = self
        context = ProviderContext(self._no_zone, lambda: transport)
        await context.request("DELETE", "https://api.dns.example/records", headers={})
        await super().clean_up(records)

    async def request(self, _method: str, url: str, **_details: Any) -> Response:
        if self.down:
            raise ConnectionFailed("Cannot connect to api.dns.example", host="api.dns.example", request_sent=False)
        return Response(204, url=url)

    @staticmethod
    async def _no_zone(_: str) -> Zone:
        raise AssertionError


class RawPlace(Place):
    """One that makes the records itself of what it is told, as servers of lego's mode RAW do."""

    needs_key_authorization = True

    async def present(self, records: Sequence[RecordResponse]) -> None:
        await super().present([_as_told(record) for record in records])

    async def clean_up(self, records: Sequence[RecordResponse]) -> None:
        await super().clean_up([_as_told(record) for record in records])


def _as_told(record: RecordResponse) -> RecordResponse:
    assert record.domain is not None
    assert record.key_authorization is not None
    return RecordResponse(f"_acme-challenge.{record.domain}", dns01_value(record.key_authorization))


class MovingBench(Bench):
    """The same bench with two DNS providers, and an issuer that names one of them."""

    def __init__(self, build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> None:
        self.places = {"old": Place(), "new": Place()}
        self.at = "old"
        super().__init__(build, kube_api, now)

    async def solver(self, *_: Any) -> Any:
        place: Any = self.places[self.at]
        patience = dt.timedelta(minutes=2)
        needs = getattr(place, "needs_key_authorization", False)
        return Dns01Presenter(
            place,
            place,
            destination=self.at,
            follow_cname=False,
            patience=patience,
            needs_key_authorization=needs,
        )

    async def move(self) -> None:
        self.at = "new"
        for certificate in self.certificates:
            self.reconciler.issuer_changed(certificate_key(certificate))
        await self.run(5)

    def count(self) -> tuple[int, int]:
        return len(self.places["old"].records), len(self.places["new"].records)


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> MovingBench:
    bench = MovingBench(build, kube_api, now)
    bench.write("a.example.test")
    return bench


async def test_the_records_move_to_the_other_provider(bench: MovingBench) -> None:
    await bench.run(5)
    assert bench.count() == (1, 0)
    await bench.move()
    assert bench.count() == (0, 1)
    bench.places["new"].hidden = False
    await bench.run(60)
    assert bench.condition().status == "True"
    assert (bench.count(), len(bench.ca.orders), bench.finalizers) == ((0, 0), 1, [])
    assert not bench.ledger._holders


@pytest.mark.parametrize("ends", ["issued", "deleted"])
async def test_after_a_restart_a_provider_is_told_the_key_authorization_again(bench: MovingBench, ends: str) -> None:
    bench.places["old"] = RawPlace()
    await bench.run(5)
    assert bench.count() == (1, 0)
    bench.restart()
    if ends == "issued":
        bench.places["old"].hidden = False
    else:
        bench.write(metadata={"deletionTimestamp": bench.now.isoformat()})
    await bench.run(60)
    assert (bench.count(), bench.finalizers) == ((0, 0), [])


async def test_the_same_provider_keeps_them(bench: MovingBench) -> None:
    await bench.run(5)
    bench.places["new"] = bench.places["old"]
    bench.places["old"].down = True
    for certificate in bench.certificates:
        bench.reconciler.issuer_changed(certificate_key(certificate))
    await bench.run(5)
    assert bench.count() == (1, 1)
    assert bench.events == ["Issuing"]


@pytest.mark.parametrize("old", [Place, HttpsPlace])
async def test_a_provider_that_is_gone_holds_nothing_up_and_what_stays_there_is_told(
    bench: MovingBench, old: type[Place]
) -> None:
    bench.places["old"] = old()
    await bench.run(5)
    bench.places["old"].down = True
    bench.places["new"].hidden = False
    await bench.move()
    await bench.run(60)
    assert bench.condition().status == "True"
    assert bench.count() == (1, 0)
    assert bench.events == ["Issuing", "LeftBehind", "Issued"]


async def test_what_another_certificate_needs_at_the_old_one_stays(bench: MovingBench) -> None:
    await bench.run(5)
    [record] = bench.places["old"].records
    await bench.ledger.hold("another", [record])
    await bench.move()
    assert bench.count() == (1, 1)
