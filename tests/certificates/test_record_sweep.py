"""Records that were left in the DNS, from the order on: noted before anything forgets them, removed, and told."""

from __future__ import annotations

import base64
import datetime as dt
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright.acme import AccountKey, dns01_value
from certwright.certificates.orphans import named_records
from certwright.challenges.response import RecordResponse
from certwright.dns import Propagation, ZoneNotFound
from certwright.issuers.left_records import LeftRecord
from certwright.issuers.record_sweep import RecordSweep
from certwright.metrics import Metrics
from certwright.resources import Issuer
from tests.fakes.killing import Killed
from tests.fakes.solvers import FakeDns

from .bench import CA, WEB, Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from certwright.acme import Challenge
    from certwright.kube.events import Subject
    from certwright.runtime.key import Key
    from tests.fakes.operator import Body, Build, FakeKubeApi

FOREIGN = RecordResponse("_acme-challenge.a.example.test", "F" * 43)


class Zone(FakeDns):
    """A zone with the value of another client at the name, and what removes records from it."""

    def __init__(self) -> None:
        super().__init__({FOREIGN})
        self.is_blind = False
        self.has_zone = True
        self.is_stale = False
        self.removed: list[RecordResponse] = []

    def respond(self, name: str, place: str, challenge: Challenge, key_authorization: str) -> RecordResponse:  # noqa: ARG002 - the protocol's form
        return RecordResponse(place, dns01_value(key_authorization), name.removeprefix("*."))

    async def check(self, records: Sequence[RecordResponse]) -> tuple[Propagation, ...]:
        if self.is_blind:
            return tuple(Propagation(record, complete=False, error="no server answers") for record in records)
        seen = await super().check(records)
        if not self.hidden:
            return seen
        # Not everywhere yet, so that an order waits; and yet to be seen, as it is there.
        self.hidden = False
        found = await super().check(records)
        self.hidden = True
        return tuple(Propagation(one.record, complete=False, seen=one.seen) for one in found)

    async def clean_up(self, records: Sequence[RecordResponse]) -> None:
        if not self.has_zone:
            raise ZoneNotFound("there is no zone for it")
        if self.is_stale:
            return
        await super().clean_up(records)
        self.removed += records

    @property
    def ours(self) -> set[RecordResponse]:
        return self.records - {FOREIGN}


class SweptBench(Bench):
    """The bench with a sweep, and writes that can be counted and cut short."""

    def __init__(self, build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> None:
        self.serves = "team"
        self.told: list[tuple[str, str]] = []
        self.looked_at: list[Key] = []
        self.writes, self.dies_after = 0, -1
        super().__init__(build, kube_api, now)
        self.dns: Zone = Zone()
        for verb in ("apply_secret", "apply_status", "add_finalizer", "remove_finalizer", "delete_secret"):
            setattr(self.cluster, verb, self._counted(getattr(self.cluster, verb)))

    def _counted(self, write: Any) -> Any:
        async def counted(*args: Any, **options: Any) -> Any:
            if self.writes == self.dies_after:
                raise Killed
            self.writes += 1
            return await write(*args, **options)

        return counted

    def restart(self, *, late: Body | None = None) -> None:
        super().restart(late=late)
        self.metrics = Metrics()
        issuer = Issuer.parse(
            {
                "metadata": {"name": "ca", "namespace": "team", "uid": "uid-ca"},
                "spec": {"acme": self.build.issuer().to_json()},
            }
        )
        self.sweep = RecordSweep(
            self.left,
            cast("Any", SimpleNamespace(of_records=self.solver)),
            self.registry,
            find_issuer=lambda key: issuer if key == CA else None,
            holders=self.ledger,
            placed=self.reconciler.records_in_place,
            named=lambda: named_records(one.status for one in self.certificates),
            exists=self.exists,
            serves=lambda namespace: namespace == self.serves,
            look_at_issuer=self.looked_at.append,
            recorder=cast("Any", SimpleNamespace(record=self.tell)),
            metrics=self.metrics,
            clock=lambda: self.now,
        )

    def exists(self, one: LeftRecord) -> bool:
        found = self.certificates.get(one.certificate)
        return found is not None and found.metadata.uid == one.certificate_uid

    def tell(self, subject: Subject, _kind: str, reason: str, message: str) -> None:
        assert (subject.kind, subject.name) == ("Issuer", "ca")
        self.told.append((reason, message))

    @property
    def reasons(self) -> list[str]:
        return [reason for reason, _ in self.told]

    async def work(self, minutes: int, *, with_looks: bool = True) -> None:
        """Let the operator work; the sweep looks once a minute."""
        for _ in range(minutes):
            if with_looks and len(self.certificates):
                await self.run(60)
            else:
                self.now += dt.timedelta(seconds=60)
            await self.sweep.look()

    def vanish(self) -> None:
        """Somebody takes the finalizer off, and deletes the Certificate."""
        self.cluster.gone = True
        metadata = self.cluster.body["metadata"]
        self.certificates.remove({**metadata, "resourceVersion": str(int(metadata["resourceVersion"]) + 1)})

    def die(self) -> None:
        """Kill the process; what comes next is another one."""
        self.dies_after = -1
        known = self.cluster.gone
        self.restart()
        if known:
            self.vanish()

    def counted(self, outcome: str) -> float:
        value = self.metrics.registry.get_sample_value("certwright_orphaned_records_total", {"outcome": outcome})
        return value or 0.0


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> SweptBench:
    bench = SweptBench(build, kube_api, now)
    bench.write("a.example.test")
    return bench


def listed(bench: SweptBench) -> Mapping[tuple[str, str], Any]:
    """The Secret with the list."""
    return {key: one for key, one in bench.cluster.secrets.secrets.items() if key[1].endswith("-challenge-records")}


async def test_an_order_that_is_done_soon_writes_no_list(bench: SweptBench) -> None:
    await bench.run(20)
    assert bench.condition().status == "True"
    await bench.sweep.look()
    assert not listed(bench)
    assert (bench.told, bench.dns.ours) == ([], set())


async def test_a_record_whose_certificate_lost_its_finalizer_is_removed_and_the_foreign_value_stays(
    bench: SweptBench,
) -> None:
    bench.dns.hidden = True
    await bench.run(10)
    [record] = bench.dns.ours
    bench.vanish()
    bench.reconciler.forget(WEB, "uid-web")
    assert bench.sweep.message(CA) is None, "it is not known before the first look"
    await bench.work(2)
    assert bench.reasons == ["OrphanedRecordFound"]
    assert record.value in (bench.sweep.message(CA) or "")
    assert bench.looked_at == [CA], "its condition is to say so"
    assert bench.dns.ours, "a step may have been under way when it went"
    await bench.work(4)
    assert bench.dns.records == {FOREIGN}
    await bench.work(6)
    assert bench.reasons == ["OrphanedRecordFound", "OrphanedRecordRemoved"], "once it is not served any more"
    assert (bench.sweep.message(CA), bench.looked_at) == ("", [CA, CA])
    assert f"{record.name} TXT {record.value} of Certificate team/web" in bench.told[0][1]
    assert (bench.counted("found"), bench.counted("removed"), bench.counted("given_up")) == (1, 1, 0)
    assert not len(bench.left)


@pytest.mark.parametrize("dies_after", range(12))
async def test_whatever_write_the_operator_dies_after_a_record_whose_certificate_is_gone_then_is_removed(
    bench: SweptBench, dies_after: int
) -> None:
    bench.dns.hidden = True
    bench.dies_after = dies_after
    try:
        await bench.work(3)
    except Killed:
        was_listed = bool(listed(bench))
    else:
        was_listed = True
        assert listed(bench), "an order that takes three minutes is on the list"
    left = set(bench.dns.ours)
    bench.cluster.gone = True
    bench.die()
    await bench.work(15)
    assert FOREIGN in bench.dns.records
    assert not left or not bench.dns.ours or not was_listed
    if was_listed:
        assert bench.reasons[-1:] == ["OrphanedRecordRemoved"]
        assert not len(bench.left)
        assert bench.counted("removed") == 1


@pytest.mark.parametrize("dies_after", range(12))
async def test_whatever_write_the_operator_dies_after_no_record_that_an_order_needs_is_removed(
    bench: SweptBench, dies_after: int
) -> None:
    bench.dns.hidden = True
    bench.dies_after = dies_after
    for minute in range(40):
        if minute == 6:
            assert bench.dns.ours
            assert not bench.dns.removed, "the order needs it"
            bench.dns.hidden = False
        try:
            await bench.work(1)
        except Killed:
            bench.die()
    assert bench.dies_after == -1, "it was killed"
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) <= 2, "a kill costs one order at most"
    assert bench.dns.records == {FOREIGN}
    assert (bench.told, len(bench.left)) == ([], 0)


@pytest.mark.parametrize("dies_after", range(4))
async def test_whatever_write_the_operator_dies_after_a_record_that_could_not_be_removed_is_not_forgotten(
    bench: SweptBench, dies_after: int
) -> None:
    bench.dns.broken = {"clean_up"}
    await bench.run(20)
    bench.write("b.example.test")
    for _ in range(40):
        if bench.status.order is not None and "LeftBehind" in bench.events:
            break
        bench.dies_after = bench.writes + dies_after
        try:
            await bench.work(1)
        except Killed:
            bench.die()
    bench.dies_after = -1
    await bench.work(1)
    named = named_records([bench.status])
    assert {(one.name, one.value) for one in bench.dns.ours} <= named | {
        (one.record.name, one.record.value) for one in bench.left
    }
    bench.die()
    bench.dns.broken = set()
    await bench.work(180)
    assert bench.dns.records == {FOREIGN}
    assert not len(bench.left)


async def test_a_record_that_could_not_be_removed_is_noted_before_the_order_is_forgotten(bench: SweptBench) -> None:
    bench.dns.broken = {"clean_up"}
    await bench.run(20)
    bench.write("b.example.test")
    await bench.work(20)
    assert "LeftBehind" in bench.events
    assert "see the Events of Issuer team/ca" in bench.messages["LeftBehind"]
    assert len(listed(bench)) == 1
    bench.dns.broken = set()
    await bench.work(60)
    assert bench.dns.records == {FOREIGN}
    assert bench.reasons == ["OrphanedRecordFound", "OrphanedRecordRemoved"] * 1


async def test_a_record_that_another_order_needs_stays_until_that_one_is_done(bench: SweptBench) -> None:
    bench.dns.hidden = True
    await bench.run(10)
    [record] = bench.dns.ours
    await bench.ledger.hold("another", [record])
    bench.vanish()
    bench.reconciler.forget(WEB, "uid-web")
    bench.ledger.forget("uid-web")
    await bench.work(30)
    assert bench.dns.ours == {record}
    bench.ledger.forget("another")
    await bench.work(1)
    assert bench.dns.ours == set()


async def test_a_record_that_any_status_names_is_not_removed(bench: SweptBench) -> None:
    bench.dns.hidden = True
    await bench.work(2)
    [record] = bench.dns.ours
    body = bench.cluster.body
    bench.cluster.gone = True
    bench.restart()
    bench.certificates.remove({**body["metadata"], "resourceVersion": "99"})
    other = {**body, "metadata": {**body["metadata"], "name": "other", "uid": "uid-other", "resourceVersion": "100"}}
    bench.certificates.put(other)
    await bench.work(30, with_looks=False)
    assert bench.dns.ours == {record}


async def test_a_record_that_is_still_served_after_its_removal_is_told_and_given_up_after_a_week(
    bench: SweptBench,
) -> None:
    bench.dns.hidden = bench.dns.is_stale = True
    await bench.run(10)
    bench.vanish()
    bench.reconciler.forget(WEB, "uid-web")
    await bench.work(60)
    assert bench.reasons == ["OrphanedRecordFound"]
    for _ in range(40):
        bench.now += dt.timedelta(hours=6)
        await bench.sweep.look()
    assert bench.reasons == ["OrphanedRecordFound", "OrphanedRecordGivenUp"]
    assert "still answer with it. Remove it by hand." in bench.told[1][1]
    assert (bench.counted("given_up"), len(bench.left)) == (1, 0)


async def test_a_record_of_a_zone_that_is_gone_is_not_waited_for(bench: SweptBench) -> None:
    bench.dns.hidden = True
    await bench.run(10)
    bench.vanish()
    bench.reconciler.forget(WEB, "uid-web")
    bench.dns.has_zone, bench.dns.is_blind = False, True
    await bench.work(60)
    assert bench.reasons == ["OrphanedRecordFound", "OrphanedRecordRemoved"]


async def test_an_issuer_that_was_created_anew_removes_nothing_that_an_earlier_process_noted(
    bench: SweptBench,
) -> None:
    bench.dns.hidden = True
    await bench.work(2)
    bench.cluster.gone = True
    [ours] = bench.dns.ours
    issuer = bench.registry.ready(CA)
    assert issuer is not None
    bench.registry.set_ready(issuer.__class__(**{**vars(issuer), "uid": "uid-of-a-copy"}))
    bench.die()
    await bench.work(10)
    assert bench.dns.ours == {ours}
    assert bench.reasons == ["OrphanedRecordGivenUp"]


def name_another(entry: Body, theirs: str) -> None:
    entry["value"] = theirs


def take_the_seal_off(entry: Body, theirs: str) -> None:
    name_another(entry, theirs)
    del entry["seal"]


def seal_with_another_key(entry: Body, theirs: str) -> None:
    name_another(entry, theirs)
    entry["seal"] = replace(LeftRecord.parse(entry), account_key=AccountKey.generate()).seal


def name_another_certificate(entry: Body, _theirs: str) -> None:
    entry["certificate"]["uid"] = "uid-of-another"


@pytest.mark.parametrize("change", [name_another, take_the_seal_off, seal_with_another_key, name_another_certificate])
async def test_an_entry_that_something_else_has_written_removes_nothing(
    bench: SweptBench, change: Callable[[Body, str], None]
) -> None:
    """The value of another ACME client, which the DNS shows to everybody, looks as ours does."""
    bench.dns.hidden = True
    await bench.work(2)
    [ours] = bench.dns.ours
    theirs = replace(ours, value="t" * 43, key_authorization=None)
    bench.dns.records.add(theirs)
    [(place, found)] = listed(bench).items()
    entries = json.loads(base64.b64decode(found["data"]["records.json"]))["records"]
    for entry in entries:
        change(entry, theirs.value)
    data = {"records.json": base64.b64encode(json.dumps({"records": entries}).encode()).decode()}
    bench.cluster.secrets.put({**found, "data": data})
    assert place[0] == "certwright"
    bench.cluster.gone = True
    bench.die()
    await bench.work(15)
    assert theirs in bench.dns.records
    assert bench.dns.removed == []
    assert bench.reasons == ["OrphanedRecordGivenUp"]
    assert "is not as the operator wrote it" in bench.told[0][1]
    assert not len(bench.left)


async def test_a_rotation_of_the_account_key_leaves_the_list_good(bench: SweptBench) -> None:
    bench.dns.hidden = True
    await bench.work(2)
    issuer = bench.registry.ready(CA)
    assert issuer is not None
    former, bench.ca.key = bench.ca.key, AccountKey.generate()
    bench.registry.set_ready(issuer.__class__(**{**vars(issuer), "former_key": former}))
    bench.cluster.gone = True
    bench.die()
    await bench.work(15)
    assert bench.dns.records == {FOREIGN}
    assert bench.reasons == ["OrphanedRecordFound", "OrphanedRecordRemoved"]


@pytest.mark.parametrize("is_left", [True, False])
async def test_records_of_a_namespace_that_another_release_serves_by_now_are_left_to_it(
    bench: SweptBench, *, is_left: bool
) -> None:
    bench.dns.hidden = True
    await bench.work(2)
    if is_left:
        bench.vanish()
        bench.reconciler.forget(WEB, "uid-web")
        await bench.sweep.look()
    bench.cluster.gone = True
    bench.die()
    bench.serves = "elsewhere"
    await bench.work(10)
    assert bench.dns.ours
    assert not bench.dns.removed
    assert not len(bench.left)
    assert bench.reasons == (["OrphanedRecordFound", "OrphanedRecordGivenUp"] if is_left else [])


async def test_an_order_that_ended_as_it_should_while_the_list_could_not_be_written_makes_no_noise(
    bench: SweptBench,
) -> None:
    bench.dns.hidden = True
    await bench.work(2)
    assert len(bench.left) == 1
    bench.dns.hidden = False
    await bench.run(60)
    assert bench.condition().status == "True"
    bench.die()  # before the next look of the sweep
    await bench.work(10)
    assert (bench.told, len(bench.left), bench.counted("removed")) == ([], 0, 0)


async def test_a_backup_that_was_restored_over_an_order_leaves_no_record(bench: SweptBench) -> None:
    bench.write("b.example.test")
    before = dict(bench.cluster.body)
    bench.write("a.example.test")
    bench.dns.hidden = True
    await bench.run(10)
    [lost] = bench.dns.ours
    bench.reconciler.start_over()
    bench.certificates.store.rewind(None)
    bench.cluster.body = {**before, "metadata": {**before["metadata"], "resourceVersion": "1"}}
    bench.certificates.put(bench.cluster.body)
    bench.dns.hidden = False
    await bench.work(20)
    assert bench.condition().status == "True"
    assert bench.dns.records == {FOREIGN}
    assert lost in bench.dns.removed
    assert bench.reasons == ["OrphanedRecordFound", "OrphanedRecordRemoved"]


async def test_a_certificate_that_ends_with_its_records_removed_is_no_news(bench: SweptBench) -> None:
    bench.dns.hidden = True
    await bench.work(2)
    assert len(bench.left) == 1
    metadata = {**bench.cluster.body["metadata"], "deletionTimestamp": bench.now.isoformat()}
    bench.cluster.take({**bench.cluster.body, "metadata": metadata})
    bench.certificates.put(bench.cluster.body)
    await bench.look()
    assert (bench.dns.ours, bench.finalizers) == (set(), [])
    bench.vanish()
    bench.reconciler.forget(WEB, "uid-web")
    bench.dns.is_blind = True
    await bench.work(10)
    assert (bench.told, len(bench.left)) == ([], 0)
