"""The sweep itself: which solvers it tries, in what order, for how long, and whom it holds up."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright.challenges.dns01 import Dns01Presenter
from certwright.challenges.holders import Holders
from certwright.challenges.response import AccountRecordResponse, RecordResponse
from certwright.dns import DnsError, NameserverUnreachable, Propagation, ServerView
from certwright.issuers import record_sweep as module
from certwright.issuers.left_records import LeftRecord, LeftRecords
from certwright.issuers.record_sweep import RecordSweep
from certwright.issuers.registry import IssuerRegistry, LoadedIssuer
from certwright.kube.errors import Unreachable
from certwright.metrics import Metrics
from certwright.resources import AcmeIssuerSpec
from certwright.runtime.key import Key
from certwright.runtime.turns import TENANT
from tests.issuers.test_left_records import CA, NOW, Secrets, left

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.resources import IssuerSolver

WEEK = dt.timedelta(days=7)


@dataclass
class Server:
    """A DNS provider with the servers of its zones."""

    records: set[RecordResponse] = field(default_factory=set)
    failure: DnsError | None = None
    hangs: bool = False
    silent: bool = False
    tenants: list[str] = field(default_factory=list)

    async def clean_up(self, records: Sequence[RecordResponse]) -> None:
        self.tenants.append(TENANT.get())
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        self.records.difference_update(records)

    async def check(self, records: Sequence[RecordResponse]) -> tuple[Propagation, ...]:
        error = "timed out" if self.silent else None
        values = tuple(sorted(record.value for record in self.records))
        return tuple(Propagation(one, complete=False, seen=(ServerView("ns1", values, error),)) for one in records)


class Desk:
    """A sweep, its list, and the providers that the solvers of an issuer name."""

    def __init__(self) -> None:
        self.now = NOW
        self.secrets = Secrets()
        self.servers = {"first": Server(), "second": Server()}
        self.keeps_values = False
        self.elsewhere: set[str] = set()
        self.made: list[str] = []
        self.events: list[tuple[str, str]] = []
        self.wanted: list[Key] = []
        self.holders: Holders[RecordResponse] = Holders()
        self.registry = IssuerRegistry(lambda: self.now)
        self.left = LeftRecords(
            cast("Any", self.secrets), namespace="certwright", release="blue", clock=lambda: self.now
        )
        self.metrics = Metrics()
        self.sweep = RecordSweep(
            self.left,
            cast("Any", self),
            self.registry,
            find_issuer=lambda key: cast("Any", SimpleNamespace(KIND=key.kind, metadata=METADATA)),
            holders=self.holders,
            placed=list,
            named=tuple,
            exists=lambda _: False,
            serves=lambda _: True,
            kept_out=lambda namespace: namespace in self.elsewhere,
            look_at_issuer=self.wanted.append,
            recorder=cast("Any", self),
            metrics=self.metrics,
            clock=lambda: self.now,
        )
        self.load({"selector": {"dnsZones": ["a.example"]}})

    def load(self, *extras: dict[str, Any], key: Key = CA) -> None:
        """Load the issuer, with a solver for each; the first provider is that of the first solver."""
        names = ["first", "second"]
        solvers = [
            {"dns01": {"rfc2136": {"nameserver": f"{name}.example"}, **extra.pop("dns01", {})}, **extra}
            for name, extra in zip(names, extras, strict=False)
        ]
        spec = AcmeIssuerSpec.model_validate(
            {"server": "https://ca.example/d", "privateKeySecretRef": {"name": "account"}, "solvers": solvers}
        )
        self.registry.set_loaded(LoadedIssuer(key, "uid-ca", 1, spec, cast("Any", None), "certwright"))

    async def of_records(self, _issuer: LoadedIssuer, solver: IssuerSolver) -> Dns01Presenter:
        assert solver.dns01 is not None
        assert solver.dns01.rfc2136 is not None
        name = str(solver.dns01.rfc2136.nameserver).partition(".")[0]
        self.made.append(name)
        server: Any = self.servers[name]
        return Dns01Presenter(server, server, keeps_values=self.keeps_values)

    def record(self, _subject: object, _kind: str, reason: str, message: str) -> None:
        self.events.append((reason, message))

    @property
    def reasons(self) -> list[str]:
        return [reason for reason, _ in self.events]

    async def leave(self, *records: LeftRecord, where: str = "first") -> None:
        self.servers[where].records |= {one.record for one in records}
        await self.left.write_down(records)

    async def work(self, hours: float, *, every: float = 0.25) -> None:
        for _ in range(int(hours / every)):
            await self.sweep.look()
            self.now += dt.timedelta(hours=every)
        await self.sweep.look()


METADATA = SimpleNamespace(namespace=None, name="ca", uid="uid-ca", resource_version="1")


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_every_solver_that_may_have_created_a_record_is_tried_whatever_the_labels(desk: Desk) -> None:
    desk.load({"selector": {"matchLabels": {"team": "red"}}}, {"selector": {"dnsZones": ["a.example"]}})
    await desk.leave(left(), where="second")
    await desk.work(2)
    assert not desk.servers["second"].records
    assert set(desk.made) == {"first", "second"}
    assert desk.reasons == ["OrphanedRecordFound", "OrphanedRecordRemoved"]


async def test_a_solver_for_other_domains_or_another_challenge_is_not_tried(desk: Desk) -> None:
    desk.load({"selector": {"dnsZones": ["b.example"]}}, {"dns01": {"challengeType": "dns-account-01"}})
    await desk.leave(left())
    await desk.work(1)
    assert (desk.made, desk.reasons) == ([], ["OrphanedRecordFound"])
    account = AccountRecordResponse("_x._acme-challenge.c.example", "c" * 43)
    await desk.leave(left(record=account, domain="c.example"), where="second")
    await desk.work(1)
    assert set(desk.made) == {"second"}
    assert not desk.servers["second"].records


async def test_a_failing_solver_beside_one_that_works_does_not_keep_a_record_on_the_list(desk: Desk) -> None:
    desk.load({}, {})
    desk.servers["first"].failure = NameserverUnreachable("ns1", "silence")
    desk.servers["first"].silent = True
    await desk.leave(left(), where="second")
    await desk.work(2)
    assert not len(desk.left)
    assert not desk.servers["second"].records


async def test_pauses_grow_and_after_a_week_it_is_given_up_with_what_the_provider_said(desk: Desk) -> None:
    server = desk.servers["first"]
    server.failure = NameserverUnreachable("ns1.example:53", "silence")
    await desk.leave(left())
    await desk.work(24, every=1 / 60)
    assert 8 <= len(server.tenants) <= 12
    assert desk.reasons == ["OrphanedRecordFound"]
    await desk.work(WEEK.total_seconds() / 3600, every=1)
    assert desk.reasons == ["OrphanedRecordFound", "OrphanedRecordGivenUp"]
    assert "ns1.example:53" in desk.events[1][1]
    assert not desk.secrets.entries


async def test_a_corrected_credential_is_found_at_the_next_try(desk: Desk) -> None:
    server = desk.servers["first"]
    server.failure = NameserverUnreachable("ns1.example:53", "silence")
    await desk.leave(left())
    await desk.work(24, every=1)
    server.failure = None
    await desk.work(7, every=1)
    assert desk.reasons == ["OrphanedRecordFound", "OrphanedRecordRemoved"]


async def test_a_provider_that_cannot_remove_values_is_asked_once(desk: Desk) -> None:
    desk.keeps_values = True
    one = left()
    await desk.leave(one)
    server = desk.servers["first"]
    server.clean_up = _nothing  # type: ignore[method-assign]  # it keeps what it has
    await desk.work(1)
    assert not len(desk.left)
    assert server.records == {one.record}


async def _nothing(records: Sequence[RecordResponse]) -> None:
    del records


async def test_what_put_a_record_in_place_removes_it_although_the_issuer_names_another_provider(desk: Desk) -> None:
    former: Any = Server()
    one = left(cause="ProviderChanged")
    former.records.add(one.record)
    await desk.left.write_down([one], {one.domain: Dns01Presenter(former, former)})
    await desk.work(2)
    assert (former.records, len(desk.left)) == (set(), 0)


async def test_an_issuer_that_is_not_loaded_is_asked_for_and_a_missing_one_is_waited_for(desk: Desk) -> None:
    other = Key("ClusterIssuer", "", "other")
    await desk.leave(left(issuer=other))
    await desk.work(1)
    assert other in desk.wanted
    assert len(desk.left) == 1
    desk.load({}, key=other)
    await desk.work(8)
    assert not len(desk.left)


async def test_a_provider_that_hangs_holds_up_its_own_namespace_only_and_only_for_a_while(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NAMESPACE_SECONDS", 0.5)
    desk.load({"selector": {"dnsZones": ["a.example"]}}, {"selector": {"dnsZones": ["b.example"]}})
    desk.servers["first"].hangs = True
    stuck = [
        left(record=RecordResponse(f"_acme-challenge.{number}.a.example", "a" * 43), domain=f"{number}.a.example")
        for number in range(10)
    ]
    stuck = [replace(one, certificate=Key("Certificate", f"stuck-{number}", "web")) for number, one in enumerate(stuck)]
    record = RecordResponse("_acme-challenge.b.example", "b" * 43)
    well = left(record=record, domain="b.example", certificate=Key("Certificate", "well", "web"))
    await desk.leave(*stuck)
    await desk.leave(well, where="second")
    desk.now += dt.timedelta(hours=1)
    await desk.sweep.look()
    desk.now += dt.timedelta(hours=1)
    began = asyncio.get_running_loop().time()
    await desk.sweep.look()
    assert asyncio.get_running_loop().time() - began < 20
    assert not desk.servers["second"].records
    assert set(desk.servers["first"].tenants) == {f"stuck-{number}" for number in range(10)}
    assert not desk.holders._locks._locks
    message = desk.sweep.message(CA)
    assert message is not None
    assert "and 6 more" in message, "what was removed just now is looked for once more"


async def test_a_record_that_takes_too_long_lets_go_of_its_name(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORD_SECONDS", 0.05)
    desk.servers["first"].hangs = True
    one = left(1)
    await desk.leave(one, left(2, record=RecordResponse("_acme-challenge.b.a.example", "b" * 43)))
    await desk.sweep.look()
    desk.now += dt.timedelta(hours=1)
    await desk.sweep.look()
    assert desk.servers["first"].tenants == ["shop", "shop"], "neither waits for the other"
    await asyncio.wait_for(desk.holders.hold("uid-new", [one.record]), 5)


async def test_an_order_that_comes_to_need_the_record_waits_for_its_removal_and_creates_it_again(desk: Desk) -> None:
    one = left()
    await desk.leave(one)
    server, reached, go_on = desk.servers["first"], asyncio.Event(), asyncio.Event()

    async def slowly(records: Sequence[RecordResponse]) -> None:
        reached.set()
        await go_on.wait()
        server.records.difference_update(records)

    server.clean_up = slowly  # type: ignore[method-assign]  # the test says when
    await desk.sweep.look()
    desk.now += dt.timedelta(hours=1)
    look = asyncio.create_task(desk.sweep.look())
    await reached.wait()
    holding = asyncio.create_task(desk.holders.hold("uid-new", [one.record]))
    await asyncio.sleep(0)
    assert not holding.done()
    go_on.set()
    await holding
    server.records.add(one.record)
    await look
    desk.now += dt.timedelta(hours=1)
    await desk.sweep.look()
    assert server.records == {one.record}, "an order needs it now"


async def test_while_another_release_serves_the_namespace_as_well_nothing_is_removed_nor_forgotten(desk: Desk) -> None:
    one = left()
    await desk.leave(one)
    desk.elsewhere.add("shop")
    await desk.work(5)
    assert desk.servers["first"].records == {one.record}
    desk.elsewhere.clear()
    await desk.work(1)
    assert not desk.servers["first"].records


async def test_nothing_is_removed_while_the_list_cannot_be_written(desk: Desk) -> None:
    one = left()
    await desk.leave(one)
    await desk.sweep.look()
    desk.now += dt.timedelta(hours=1)
    desk.left.note([left(2)])
    desk.secrets.failure = Unreachable("write")
    with pytest.raises(Unreachable):
        await desk.sweep.look()
    assert desk.servers["first"].records == {one.record}


async def test_it_goes_on_after_a_failure_and_ends_when_it_is_told_to(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.001)
    begun, complete, looks = asyncio.Event(), asyncio.Event(), 0
    enough = asyncio.Event()

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise Unreachable("read the list")
        if looks == 2:
            raise ValueError("a defect")
        enough.set()

    monkeypatch.setattr(desk.sweep, "look", look)
    running = asyncio.create_task(desk.sweep.run(begun, complete))
    begun.set()
    await asyncio.sleep(0.01)
    assert not looks, "not before every Certificate is known"
    complete.set()
    await asyncio.wait_for(enough.wait(), 30)
    running.cancel()
    await asyncio.wait([running])
    assert {record.levelname for record in caplog.records} == {"WARNING", "ERROR"}


async def test_records_of_one_issuer_are_removed_together_and_told_together(desk: Desk) -> None:
    many = [
        left(record=RecordResponse(f"_acme-challenge.{number}.a.example", "a" * 43), domain=f"{number}.a.example")
        for number in range(25)
    ]
    await desk.leave(*many)
    server, waiting, most = desk.servers["first"], 0, 0

    async def counted(records: Sequence[RecordResponse]) -> None:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await asyncio.sleep(0)
        waiting -= 1
        server.records.difference_update(records)

    server.clean_up = counted  # type: ignore[method-assign]  # it counts
    await desk.work(1)
    assert 5 < most <= 10
    assert desk.reasons == ["OrphanedRecordFound", "OrphanedRecordRemoved"]
    assert desk.metrics.registry.get_sample_value("certwright_orphaned_records_total", {"outcome": "removed"}) == 25


async def test_many_that_are_found_together_are_one_event_with_a_few_of_them(desk: Desk) -> None:
    await desk.leave(*(replace(left(number), cause="CertificateGone") for number in range(30)))
    await desk.sweep.look()
    [(reason, message)] = desk.events
    assert reason == "OrphanedRecordFound"
    assert message.count("TXT") == 5
    assert "and 25 more" in message
    assert desk.metrics.registry.get_sample_value("certwright_orphaned_records_left") == 30


@pytest.mark.parametrize("hours", [-24 * 30, 24 * 30])
async def test_a_clock_that_is_set_neither_stops_the_tries_nor_ends_them(desk: Desk, hours: int) -> None:
    server = desk.servers["first"]
    server.failure = NameserverUnreachable("ns1.example:53", "silence")
    await desk.leave(left())
    await desk.work(3)
    desk.now += dt.timedelta(hours=hours)
    await desk.work(1)
    server.failure = None
    await desk.work(7)
    assert (server.records, len(desk.left)) == (set(), 0)
    assert desk.reasons == ["OrphanedRecordFound", "OrphanedRecordRemoved"]


async def test_a_look_ends_in_time_however_many_namespaces_have_providers_that_hang(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROUND_SECONDS", 0.05)
    monkeypatch.setattr(module, "RECORD_SECONDS", 0.2)
    await desk.leave(*(left(number, f"tenant-{number}") for number in range(20)))
    desk.servers["first"].hangs = True
    await desk.sweep.look()
    desk.now += module.FIRST_TRY
    await desk.sweep.look()
    tried = len(desk.servers["first"].tenants)
    assert 1 <= tried < 20
    desk.servers["first"].hangs = False
    for _ in range(30):
        await desk.sweep.look()
        desk.now += dt.timedelta(minutes=1)
    assert not len(desk.left), "those that had no turn had the next ones"


async def test_a_thousand_records_are_removed_in_the_end(desk: Desk) -> None:
    await desk.leave(*(left(number, f"tenant-{number % 7}") for number in range(1000)))
    await desk.work(1, every=1 / 60)
    assert (desk.servers["first"].records, len(desk.left)) == (set(), 0)
