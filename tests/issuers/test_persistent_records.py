"""The permanent records of an issuer: what its status shows, what is published, and what is removed."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from certwright.acme import AccountKey, hashed_account_uri
from certwright.acme.directory import DirectoryMeta
from certwright.challenges.errors import PersistentRecordMissing
from certwright.dns import NameserverUnreachable, Propagation, ServerView, TxtRecord, ZoneNotFound
from certwright.failures import IssuanceError
from certwright.issuers import persistent_records as module
from certwright.issuers.persistent_records import MAX_ASKED, PersistentRecords
from certwright.issuers.rate_limits import Asker
from certwright.issuers.registry import ReadyIssuer
from certwright.resources import (
    RECORDS_PUBLISHED,
    AcmeIssuerSpec,
    IssuerStatus,
    PersistentRecordStatus,
    find_condition,
)
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY, OTHER_KEY = AccountKey.generate(), AccountKey.generate()
ONE, TWO = "https://ca.example/account/1", "https://ca.example/account/2"
NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
PROVIDER = {"rfc2136": {"nameserver": "ns1.example"}}
OWNER = "_validation-persist.a.example"


class Zone:
    """The DNS, what looks at it and what changes it."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}
        self.cnames: dict[str, str] = {}
        self.endless: set[str] = set()
        self.foreign: set[str] = set()
        self.silent = False
        self.refuses = False
        self.hidden = False
        self.calls = 0
        self.written: list[TxtRecord] = []

    def view(self, _: object) -> Zone:
        return self

    async def provider(self, *_: object) -> Zone:
        return self

    async def follow_cname(self, name: str) -> str:
        if any(name.endswith(domain) for domain in self.endless):
            await asyncio.Event().wait()
        return self.cnames.get(name, name)

    async def check(self, records: Sequence[TxtRecord]) -> tuple[Propagation, ...]:
        error = "timed out" if self.silent else None
        return tuple(
            Propagation(one, complete=False, seen=(ServerView("ns1", tuple(self.values.get(one.name, ())), error),))
            for one in records
        )

    async def present(self, records: Sequence[TxtRecord]) -> None:
        if self.refuses and records:
            raise NameserverUnreachable("ns1.example", "silence")
        if any(one.name.endswith(domain) for one in records for domain in self.foreign):
            raise ZoneNotFound("no such zone")
        self.written += records
        self.calls += bool(records)
        for one in records if not self.hidden else ():
            self.values.setdefault(one.name, []).append(one.value)

    async def clean_up(self, records: Sequence[TxtRecord]) -> None:
        for one in records:
            self.values[one.name].remove(one.value)


class Desk:
    """One issuer whose records are looked after, with a clock that only the test moves."""

    def __init__(self, zone: Zone) -> None:
        self.zone, self.now, self.woken = zone, NOW, 0
        self.meta = DirectoryMeta(caa_identities=("ca.example",))
        self.status = IssuerStatus()
        self.generation = 1
        self.events: list[str] = []
        self.restart()

    def restart(self) -> None:
        self.records = PersistentRecords(cast("Any", self.zone), lambda: self.now, self.wake)

    def wake(self, _: Key) -> None:
        self.woken += 1

    def issuer(
        self, solver: dict[str, Any], *, url: str = ONE, key: AccountKey = KEY, kind: str = "Issuer", name: str = "ca"
    ) -> ReadyIssuer:
        async def directory() -> Any:
            return SimpleNamespace(meta=self.meta)

        spec = {"server": "https://ca.example/d", "privateKeySecretRef": {"name": "account"}, "solvers": [solver]}
        client = SimpleNamespace(key=key, server=SimpleNamespace(directory=directory))
        return ReadyIssuer(
            key=Key(kind, "shop" if kind == "Issuer" else "", name),
            uid=f"uid-{name}",
            generation=self.generation,
            spec=AcmeIssuerSpec.model_validate(spec),
            client=cast("Any", client),
            account_url=url,
            secrets_namespace="shop",
        )

    async def tend(self, issuer: ReadyIssuer) -> None:
        """Look as the issuer's reconciler does."""
        outcome = await self.records.tend(issuer, self.status, self.generation)
        if outcome is None:
            return
        self.status = outcome.status
        self.events += [outcome.event[1]] if outcome.event is not None else []
        if outcome.publish:
            await self.records.publish(issuer, self.status)

    async def need(
        self, issuer: ReadyIssuer, *names: str, uid: str = "uid-web", namespace: str = "shop", solver: int = 0
    ) -> None:
        spec = issuer.spec.solvers[solver].persistent
        assert spec is not None
        presenter = await self.records.presenter(issuer, spec, Asker(namespace, uid))
        await presenter.expect(names)

    async def settle(self, issuer: ReadyIssuer) -> None:
        for _ in range(4):
            await self.tend(issuer)
            self.now = max(self.now, self.records.next_look(issuer.key) or self.now)

    @property
    def shown(self) -> dict[str, tuple[str, bool]]:
        return {one.value: (one.state, one.written) for one in self.status.persistent_records}

    @property
    def reason(self) -> str:
        found = find_condition(self.status.conditions, RECORDS_PUBLISHED)
        return found.reason if found is not None else ""

    @property
    def message(self) -> str:
        found = find_condition(self.status.conditions, RECORDS_PUBLISHED)
        return found.message if found is not None else ""


def value(url: str = ONE, *more: str) -> str:
    return "; ".join(["ca.example", f"accounturi={url}", *more])


def persist(**settings: Any) -> dict[str, Any]:
    said = {name: settings.pop(name) for name in ("issuerDomainName", "policy", "persistUntil") if name in settings}
    return {"dns01": {"challengeType": "dns-persist-01", "persist": said, **settings}}


@pytest.fixture
def desk() -> Desk:
    return Desk(Zone())


async def test_the_record_of_a_selector_is_shown_before_any_certificate_asks(desk: Desk) -> None:
    solver = {**persist(policy="wildcard"), "selector": {"dnsZones": ["a.example"], "dnsNames": ["*.b.example"]}}
    await desk.tend(desk.issuer(solver))
    assert [(one.domain, one.name) for one in desk.status.persistent_records] == [
        ("b.example", "_validation-persist.b.example"),
        ("a.example", OWNER),
    ]
    assert desk.shown == {value(ONE, "policy=wildcard"): ("Missing", False)}
    assert (desk.reason, desk.events) == ("PersistentRecordMissing", ["PersistentRecordMissing"])
    assert f'{OWNER} TXT "{value(ONE, "policy=wildcard")}"' in desk.message


async def test_a_certificate_waits_for_its_record_and_no_other_text_will_do(desk: Desk) -> None:
    issuer = desk.issuer(persist())
    desk.zone.values[OWNER] = [value(TWO), "v=spf1 -all", value(ONE)]
    with pytest.raises(PersistentRecordMissing, match="policy=wildcard"):
        await desk.need(issuer, "a.example", "*.a.example")
    assert desk.woken == 1
    await desk.need(issuer, "a.example")
    desk.zone.values[OWNER] = [value(ONE, "policy=wildcard")]
    await desk.need(issuer, "a.example", "*.a.example")
    await desk.settle(issuer)
    assert desk.shown == {value(ONE, "policy=wildcard"): ("Published", False)}
    assert desk.reason == "PersistentRecordsPublished"
    assert desk.zone.written == []


async def test_an_expired_record_does_not_count_and_one_that_expires_soon_is_told(desk: Desk) -> None:
    issuer = desk.issuer(persist(persistUntil="2026-07-15T00:00:00Z"))
    until = int(dt.datetime(2026, 7, 15, tzinfo=dt.UTC).timestamp())
    desk.zone.values[OWNER] = [value(ONE, f"persistUntil={until}")]
    await desk.need(issuer, "a.example")
    await desk.settle(issuer)
    assert set(desk.shown.values()) == {("Published", False)}
    desk.now = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
    await desk.settle(issuer)
    assert set(desk.shown.values()) == {("Expiring", False)}
    assert "They expire within 30 days" in desk.message
    desk.now = dt.datetime(2026, 7, 16, tzinfo=dt.UTC)
    with pytest.raises(IssuanceError, match=r"persistUntil .* has passed"):
        await desk.need(issuer, "a.example")
    await desk.settle(issuer)
    assert desk.reason == "PersistentRecordsUnusable"


async def test_a_provider_writes_what_is_missing_once_and_notes_it_first(desk: Desk) -> None:
    issuer = desk.issuer(persist(**PROVIDER))
    desk.zone.values[OWNER] = [value(TWO)]
    with pytest.raises(PersistentRecordMissing, match="which the issuer creates"):
        await desk.need(issuer, "a.example")
    outcome = await desk.records.tend(issuer, desk.status, 1)
    assert outcome is not None
    assert [(one.state, one.written) for one in outcome.status.persistent_records] == [("Missing", True)]
    assert desk.zone.written == [], "what is not in the status is not in the DNS"
    desk.status = outcome.status
    await desk.records.publish(issuer, desk.status)
    desk.now += dt.timedelta(seconds=2)
    await desk.settle(issuer)
    await desk.settle(issuer)
    assert desk.zone.written == [TxtRecord(OWNER, value())]
    assert desk.zone.values[OWNER] == [value(TWO), value()]
    assert desk.shown == {value(): ("Published", True)}


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_new_account_replaces_what_the_operator_wrote_and_nothing_else(desk: Desk, *, restarts: bool) -> None:
    issuer = desk.issuer(persist(**PROVIDER))
    desk.zone.values[OWNER] = ["another's"]
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, "a.example")
    await desk.settle(issuer)
    if restarts:
        desk.restart()
    moved = desk.issuer(persist(**PROVIDER), url=TWO)
    with pytest.raises(PersistentRecordMissing):
        await desk.need(moved, "a.example")
    await desk.tend(moved)
    assert "PersistentRecordsChanged" in desk.events
    assert f'replace "{value(ONE)}" by "{value(TWO)}"' in desk.message
    await desk.settle(moved)
    await desk.settle(moved)
    assert desk.zone.values[OWNER] == ["another's", value(TWO)]
    assert desk.shown == {value(TWO): ("Published", True)}


async def test_without_a_provider_a_changed_account_says_what_to_replace_before_anything_fails(desk: Desk) -> None:
    desk.zone.values[OWNER] = [value(ONE)]
    issuer = desk.issuer(persist())
    await desk.need(issuer, "a.example")
    await desk.settle(issuer)
    desk.restart()  # nobody asks for anything now: the certificate is good for two months
    moved = desk.issuer(persist(), url=TWO, key=OTHER_KEY)
    await desk.settle(moved)
    assert desk.shown == {value(TWO): ("Missing", False), value(ONE): ("Superseded", False)}
    assert desk.reason == "PersistentRecordsChanged"
    assert f'Before the next renewal at {OWNER} replace "{value(ONE)}" by "{value(TWO)}"' in desk.message
    desk.zone.values[OWNER] = [value(TWO)]
    await desk.settle(moved)
    await desk.settle(moved)
    assert desk.shown == {value(TWO): ("Published", False)}


async def test_a_key_change_matters_to_a_ca_that_hashes_accounts(desk: Desk) -> None:
    desk.meta = replace(desk.meta, account_hash_prefix="https://ca.example/hashed/")
    of_key = {
        key: hashed_account_uri(
            "https://ca.example/hashed/", domain="a.example", thumbprint=key.thumbprint, account_url=ONE
        )
        for key in (KEY, OTHER_KEY)
    }
    desk.zone.values[OWNER] = [value(of_key[KEY])]
    await desk.need(desk.issuer(persist()), "a.example")
    await desk.settle(desk.issuer(persist()))
    await desk.settle(desk.issuer(persist(), key=OTHER_KEY))
    assert desk.shown == {value(of_key[OTHER_KEY]): ("Missing", False), value(of_key[KEY]): ("Superseded", False)}


async def test_a_forged_status_has_nothing_published_and_nothing_removed(desk: Desk) -> None:
    desk.zone.values[OWNER] = [value(TWO), value(ONE)]
    desk.status = IssuerStatus(
        persistent_records=(
            PersistentRecordStatus(domain="a.example", name=OWNER, value=value(TWO), state="Published", written=True),
            PersistentRecordStatus(domain="b.example", name="b.b.example", value="x", state="Missing"),
        ),
        persistent_records_seal="forged",
    )
    await desk.settle(desk.issuer(persist(**PROVIDER)))
    assert desk.zone.written == []
    assert desk.zone.values == {OWNER: [value(TWO), value(ONE)]}


async def test_two_issuers_with_one_account_leave_each_other_their_record(desk: Desk) -> None:
    desk.zone.values = {}
    first, second = desk.issuer(persist(**PROVIDER)), desk.issuer(persist(**PROVIDER), name="second")
    other = Desk(desk.zone)
    other.records = desk.records
    for one, of in ((desk, first), (other, second)):
        with pytest.raises(PersistentRecordMissing):
            await one.need(of, "a.example")
        await one.tend(of)
        desk.zone.values[OWNER] = []  # as if both were written at the same time
    desk.zone.values[OWNER] = [value(ONE)]
    moved = desk.issuer(persist(**PROVIDER), url=TWO)
    with pytest.raises(PersistentRecordMissing):
        await desk.need(moved, "a.example")
    await desk.settle(moved)
    await desk.settle(moved)
    assert desk.zone.values[OWNER] == [value(ONE), value(TWO)]


async def test_a_cluster_issuer_writes_only_where_it_is_allowed(desk: Desk) -> None:
    desk.zone.cnames[OWNER] = "a.elsewhere.example"
    issuer = desk.issuer(persist(**PROVIDER), kind="ClusterIssuer")
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, "a.example")
    await desk.settle(issuer)
    assert (desk.zone.written, desk.reason) == ([], "CNAMENotAllowed")
    allowed = desk.issuer(persist(**PROVIDER, allowedTargets=["elsewhere.example"]), kind="ClusterIssuer")
    with pytest.raises(PersistentRecordMissing):
        await desk.need(allowed, "a.example")
    await desk.settle(allowed)
    assert desk.zone.written == [TxtRecord("a.elsewhere.example", value())]


async def test_a_provider_that_refuses_and_servers_that_are_silent_are_told(desk: Desk) -> None:
    issuer = desk.issuer(persist(**PROVIDER))
    desk.zone.refuses = True
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, "a.example")
    await desk.settle(issuer)
    assert "The last attempt to create them failed: the DNS server ns1.example cannot be reached" in desk.message
    desk.zone.silent = True
    desk.now += dt.timedelta(hours=7)
    await desk.tend(issuer)
    assert (desk.reason, set(desk.shown.values())) == ("DNSFailed", {("Unknown", True)})


async def test_a_ca_without_a_name_of_its_own_needs_the_solver_to_say_it(desk: Desk) -> None:
    desk.meta = DirectoryMeta()
    with pytest.raises(IssuanceError, match=r"Set dns01\.persist\.issuerDomainName"):
        await desk.need(desk.issuer(persist()), "a.example")
    desk.zone.values[OWNER] = ["other.example; accounturi=" + ONE]
    await desk.need(desk.issuer(persist(issuerDomainName="other.example")), "a.example")


async def test_lists_are_bounded_and_what_is_forgotten_is_asked_for_no_more(desk: Desk) -> None:
    issuer = desk.issuer(persist())
    for number in range(30):
        with pytest.raises(PersistentRecordMissing, match="and 35 more"):
            await desk.need(issuer, *(f"n{number}-{one}.example" for one in range(40)), uid=f"uid-{number}")
    await desk.tend(issuer)
    assert len(desk.status.persistent_records) == 64
    for number in range(30):
        desk.records.forget(f"uid-{number}")
    desk.status = IssuerStatus()
    desk.now += dt.timedelta(hours=7)
    await desk.tend(issuer)
    assert desk.status.persistent_records == ()


async def test_one_namespace_does_not_fill_the_list_of_a_cluster_issuer(desk: Desk) -> None:
    """As a tenant with a thousand domains; the list has room for 64."""
    issuer = desk.issuer(persist(**PROVIDER), kind="ClusterIssuer")
    for number in range(MAX_ASKED // 40 + 5):
        with pytest.raises(PersistentRecordMissing):
            await desk.need(
                issuer, *(f"n{number}-{one}.evil.example" for one in range(40)), uid=f"evil-{number}", namespace="evil"
            )
    await desk.tend(issuer)
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, "a.example", "b.example", namespace="good")
    await desk.tend(issuer)
    assert {TxtRecord(OWNER, value()), TxtRecord(OWNER.replace("a.", "b.", 1), value())} <= set(desk.zone.written)
    assert len(vars(desk.records)["_tended"][issuer.key].asked) == MAX_ASKED
    desk.zone.written.clear()
    await desk.need(issuer, "a.example", namespace="good")


async def test_a_domain_whose_servers_never_answer_holds_up_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ONE_LOOK_SECONDS", 0.5)
    issuer = desk.issuer(persist(**PROVIDER), kind="ClusterIssuer")
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, *(f"n{number}.evil.example" for number in range(30)), namespace="evil")
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, "a.example", namespace="good")
    desk.zone.endless = {"evil.example"}
    await desk.tend(issuer)
    assert desk.zone.written == [TxtRecord(OWNER, value())]
    assert "took longer than" in desk.message


@pytest.mark.parametrize("target", ["foo+bar.evil.example", r"\000.evil.example", r"\195\188.evil.example", "*.evil"])
async def test_a_cname_to_a_name_that_no_status_can_show_stops_no_other(desk: Desk, target: str) -> None:
    issuer = desk.issuer(persist(**PROVIDER), kind="ClusterIssuer")
    desk.zone.cnames["_validation-persist.evil.example"] = target
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, "evil.example", namespace="evil")
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, "a.example", namespace="good")
    await desk.tend(issuer)
    assert desk.zone.written == [TxtRecord(OWNER, value())]
    assert "which is no host name" in desk.message


async def test_a_zone_that_a_provider_does_not_have_keeps_no_other_solver_from_its_records(desk: Desk) -> None:
    issuer = desk.issuer(persist(**PROVIDER))
    second = persist(rfc2136={"nameserver": "ns2.example"})
    solvers = tuple(AcmeIssuerSpec.model_validate({**issuer.spec.to_json(), "solvers": [second]}).solvers)
    issuer = replace(issuer, spec=issuer.spec.replace(solvers=(*issuer.spec.solvers, *solvers)))
    desk.zone.foreign = {"evil.example"}
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, "www.evil.example", namespace="evil")
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, "a.example", namespace="good", solver=1)
    await desk.tend(issuer)
    assert desk.zone.written == [TxtRecord(OWNER, value())]
    await desk.tend(issuer)
    desk.now += dt.timedelta(minutes=10)
    await desk.tend(issuer)
    assert "The last attempt to create them failed" in desk.message


async def published(desk: Desk, **settings: Any) -> ReadyIssuer:
    """Return an issuer that has created the record of a domain which a Certificate needs."""
    issuer = desk.issuer(persist(**PROVIDER, **settings))
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, "a.example")
    await desk.settle(issuer)
    await desk.settle(issuer)
    assert desk.reason == "PersistentRecordsPublished"
    return issuer


async def test_a_record_that_somebody_deletes_is_created_again_when_a_certificate_misses_it(desk: Desk) -> None:
    """The next look of its own would be hours later."""
    issuer = await published(desk)
    desk.zone.values[OWNER].clear()
    woken = desk.woken
    desk.now += dt.timedelta(minutes=20)
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, "a.example")
    assert desk.woken == woken + 1
    await desk.tend(issuer)
    assert desk.zone.values[OWNER] == [value()]
    for _ in range(100):  # as many Certificates, or a server that answers now this, now that
        desk.zone.values[OWNER] = []
        with pytest.raises(PersistentRecordMissing):
            await desk.need(issuer, "a.example")
        desk.zone.values[OWNER] = [value()]
        await desk.tend(issuer)
    assert desk.woken <= woken + 2


@pytest.mark.parametrize(
    ("before", "after", "old", "new"),
    [
        (
            {"persistUntil": "2026-06-20T00:00:00Z"},
            {"persistUntil": "2027-06-20T00:00:00Z"},
            value(ONE, "persistUntil=1781913600"),
            value(ONE, "persistUntil=1813449600"),
        ),
        ({"policy": "wildcard"}, {}, value(ONE, "policy=wildcard"), value()),
    ],
)
async def test_a_record_that_the_solver_no_longer_asks_for_is_replaced_although_it_does_as_well(
    desk: Desk, before: dict[str, Any], after: dict[str, Any], old: str, new: str
) -> None:
    """One that expires soon, and one that allows more than it should; no Certificate has asked since the change."""
    await published(desk, **before)
    assert desk.zone.values[OWNER] == [old]
    desk.generation += 1
    issuer = desk.issuer(persist(**PROVIDER, **after))
    desk.zone.hidden = True  # its servers take their time
    await desk.settle(issuer)
    assert desk.zone.values[OWNER] == [old], "it stays until the new one is visible"
    assert desk.zone.written[-1] == TxtRecord(OWNER, new)
    desk.zone.values[OWNER].append(new)
    await desk.settle(issuer)
    await desk.settle(issuer)
    assert desk.zone.values[OWNER] == [new]
    assert desk.shown == {new: ("Published", True)}


async def test_a_record_that_was_replaced_is_removed_although_another_cannot_be_created(desk: Desk) -> None:
    await published(desk)
    moved = desk.issuer(persist(**PROVIDER), url=TWO)
    with pytest.raises(PersistentRecordMissing):
        await desk.need(moved, "a.example")
    await desk.tend(moved)
    assert desk.zone.values[OWNER] == [value(ONE), value(TWO)]
    desk.zone.foreign = {"evil.example"}
    with pytest.raises(PersistentRecordMissing):
        await desk.need(moved, "www.evil.example", namespace="evil")
    desk.now += dt.timedelta(seconds=2)
    await desk.tend(moved)
    assert desk.zone.values[OWNER] == [value(TWO)]


async def test_a_record_of_others_that_does_as_well_is_not_doubled(desk: Desk) -> None:
    desk.zone.values[OWNER] = [value(ONE, "policy=wildcard")]
    issuer = desk.issuer(persist(**PROVIDER))
    await desk.need(issuer, "a.example")
    await desk.settle(issuer)
    assert (desk.zone.written, desk.reason) == ([], "PersistentRecordsPublished")


async def test_without_a_provider_it_says_what_takes_the_place_of_a_record_that_expires(desk: Desk) -> None:
    desk.zone.values[OWNER] = [value(ONE, "persistUntil=1781913600")]
    issuer = desk.issuer(persist(persistUntil="2027-06-20T00:00:00Z"))
    await desk.need(issuer, "a.example")
    await desk.settle(issuer)
    assert f'Publish in their place: {OWNER} TXT "{value(ONE, "persistUntil=1813449600")}"' in desk.message


async def test_a_record_that_never_becomes_visible_is_not_sent_again_and_again(desk: Desk) -> None:
    desk.zone.hidden = True
    issuer = desk.issuer(persist(**PROVIDER))
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, "a.example")
    end = desk.now + dt.timedelta(hours=1)
    while desk.now < end:
        await desk.tend(issuer)
        desk.now = max(desk.now + dt.timedelta(seconds=1), desk.records.next_look(issuer.key) or desk.now)
    assert desk.zone.calls < 40


async def looks(desk: Desk, issuer: ReadyIssuer, hours: float) -> int:
    """Look whenever it is time; return how often."""
    end, count = desk.now + dt.timedelta(hours=hours), 0
    while desk.now < end:
        await desk.tend(issuer)
        count += 1
        desk.now = max(desk.now + dt.timedelta(seconds=1), desk.records.next_look(issuer.key) or desk.now)
    return count


async def test_more_domains_than_the_status_has_room_for_all_get_their_records(desk: Desk) -> None:
    issuer = desk.issuer(persist(**PROVIDER))
    names = [f"n{number}.example" for number in range(200)]
    for number, name in enumerate(names):
        with pytest.raises(PersistentRecordMissing):
            await desk.need(issuer, name, uid=f"uid-{number}")
    assert await looks(desk, issuer, 1) < 20
    assert {one.name for one in desk.zone.written} == {f"_validation-persist.{name}" for name in names}
    assert len(desk.zone.written) == 200, "each once"
    assert len(desk.status.persistent_records) == 64
    assert desk.message == "200 permanent records are published."
    for name in names:
        await desk.need(issuer, name)


async def test_domains_that_have_no_servers_do_not_keep_the_others_of_their_namespace_out(desk: Desk) -> None:
    issuer = desk.issuer(persist(**PROVIDER))
    desk.zone.foreign = {"evil.example"}
    for number in range(100):
        with pytest.raises(PersistentRecordMissing):
            await desk.need(issuer, f"n{number}.evil.example", uid=f"uid-{number}")
    second = persist(rfc2136={"nameserver": "ns2.example"})
    solvers = AcmeIssuerSpec.model_validate({**issuer.spec.to_json(), "solvers": [second]}).solvers
    issuer = replace(issuer, spec=issuer.spec.replace(solvers=(*issuer.spec.solvers, *solvers)))
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, "a.example", solver=1)
    assert await looks(desk, issuer, 1) < 40, "with growing pauses"
    assert desk.zone.values[OWNER] == [value()]


async def test_a_solver_that_cannot_be_used_keeps_no_other_from_its_records(desk: Desk) -> None:
    expired = {**persist(persistUntil="2020-01-01T00:00:00Z", **PROVIDER), "selector": {"dnsZones": ["b.example"]}}
    issuer = desk.issuer(expired)
    solvers = AcmeIssuerSpec.model_validate({**issuer.spec.to_json(), "solvers": [persist(**PROVIDER)]}).solvers
    issuer = replace(issuer, spec=issuer.spec.replace(solvers=(*issuer.spec.solvers, *solvers)))
    with pytest.raises(PersistentRecordMissing):
        await desk.need(issuer, "a.example", solver=1)
    await desk.settle(issuer)
    await desk.settle(issuer)
    assert desk.zone.values[OWNER] == [value()]
    assert desk.shown == {value(): ("Published", True)}
    assert "persistUntil of a solver of Issuer shop/ca has passed" in desk.message


async def test_an_issuer_without_such_a_solver_is_left_alone(desk: Desk) -> None:
    plain = desk.issuer({"dns01": PROVIDER})
    assert await desk.records.tend(plain, IssuerStatus(), 1) is None
    solver = {**persist(), "selector": {"dnsZones": ["a.example"]}}
    await desk.tend(desk.issuer(solver))
    assert desk.status.persistent_records
    await desk.tend(plain)
    assert desk.status == IssuerStatus()
