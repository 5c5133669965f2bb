"""Beside cert-manager: what its Certificates claim while its controller runs is left to it, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from certwright.cert_manager.api import BESIDE
from certwright.certificates import guard as module
from certwright.certificates.guard import (
    THEIR_CERTIFICATES,
    UNKNOWN,
    CertManagerGuard,
    Rival,
    TheirCertificates,
)
from certwright.certificates.store import Certificates
from certwright.kube.errors import Forbidden, KubeError
from certwright.runtime.key import Key
from tests.certificates.bench import Bench

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import AsyncIterator

    from certwright.resources import Certificate
    from tests.fakes.operator import Build, FakeKubeApi

LEASE = "kube-system/cert-manager-controller"


def theirs(name: str = "web", secret: Any = "web-tls", *, namespace: str = "team", uid: str = "") -> dict[str, Any]:  # noqa: S107 - a name
    return {
        "metadata": {"namespace": namespace, "name": name, "uid": uid or f"uid-{name}"},
        "spec": {"secretName": secret},
    }


class World:
    """A Lease, cert-manager's Certificates and ours; stands in for the presence and the list-watches."""

    def __init__(self, certificates: Certificates) -> None:
        self.certificates = certificates
        self.live: bool | KubeError = False
        self.objects: list[dict[str, Any]] = []
        self.lease = LEASE
        self.looks = self.lists = 0
        self.running = False
        self.woken: list[Key] = []
        self.sink: Any = None
        self.trouble: str | None = None
        self.listed = asyncio.Event()
        self.guard = CertManagerGuard(self, certificates, self._wake)  # type: ignore[arg-type]  # a stand-in

    def is_watched(self) -> bool:
        return self.running

    def _wake(self, *keys: Key) -> None:
        self.woken += keys

    async def is_live(self, *, within: float) -> bool:
        assert within > 0
        self.looks += 1
        if isinstance(self.live, KubeError):
            raise self.live
        return self.live

    def watches(self, sink: Any) -> World:
        self.sink = sink
        self.listed.clear()
        return self

    async def run(self) -> None:
        self.running = True
        try:
            await self.send()
            self.listed.set()
            await asyncio.Event().wait()
        finally:
            self.running = False

    async def settled(self) -> None:
        await self.listed.wait()

    async def send(self) -> None:
        self.lists += 1
        for one in self.objects:
            if self.sink.wants(THEIR_CERTIFICATES, one):
                await self.sink.take_event(THEIR_CERTIFICATES, None, one)
        await self.sink.take_list(THEIR_CERTIFICATES, None, {one["metadata"]["uid"] for one in self.objects}, 7)

    async def after_looks(self, number: int = 2) -> None:
        """Wait until the guard has looked so often since."""
        wanted = self.looks + number
        async with asyncio.timeout(10):
            while self.looks < wanted:  # noqa: ASYNC110 - of a stand-in
                await asyncio.sleep(0.001)


def ours(build: Build, name: str = "web", **metadata: Any) -> Certificate:
    return build.certificate(metadata={"name": name, **metadata}, secretName="web-tls")


@pytest.fixture
def world(build: Build, monkeypatch: pytest.MonkeyPatch) -> World:
    for name in ("LOOK_SECONDS", "HURRY_SECONDS", "UNSETTLED_SECONDS"):
        monkeypatch.setattr(module, name, 0.001)
    certificates = Certificates()
    body = ours(build).model_dump(mode="json", by_alias=True, exclude_none=True)
    certificates.put({**body, "metadata": {**body["metadata"], "resourceVersion": "1"}})
    return World(certificates)


@contextlib.asynccontextmanager
async def guarding(world: World) -> AsyncIterator[CertManagerGuard]:
    task = asyncio.create_task(world.guard.run(world.watches))  # type: ignore[arg-type]  # a stand-in
    try:
        yield world.guard
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


async def test_before_the_first_look_nothing_is_known_and_those_who_asked_are_woken_after_it(
    world: World, build: Build
) -> None:
    assert world.guard.rival_of(ours(build)) is UNKNOWN
    async with guarding(world):
        await world.after_looks()
        assert world.woken == [Key("Certificate", "team", "web")]
        assert world.guard.rival_of(ours(build)) is None
        assert not world.is_watched()
    assert world.lists == 0


async def test_a_certificate_of_a_running_cert_manager_for_the_same_secret_is_a_rival_until_either_ends(
    world: World, build: Build
) -> None:
    world.live, world.objects = True, [theirs("theirs"), theirs("other", "other-tls"), theirs(namespace="elsewhere")]
    async with guarding(world):
        await world.after_looks()
        assert world.guard.rival_of(ours(build)) == Rival("theirs", LEASE)
        assert world.guard.has_claim("team", "web-tls")
        # Its Certificate goes: ours is woken.
        world.woken.clear()
        await world.sink.take_event(THEIR_CERTIFICATES, "DELETED", theirs("theirs"))
        assert world.guard.rival_of(ours(build)) is None
        assert world.woken == [Key("Certificate", "team", "web")]
        await world.sink.take_event(THEIR_CERTIFICATES, "ADDED", theirs("theirs"))
        assert world.guard.rival_of(ours(build)) == Rival("theirs", LEASE)
        # Its controller ends: nothing is watched any more.
        world.woken.clear()
        world.live = False
        await world.after_looks()
        assert world.guard.rival_of(ours(build)) is None
        assert not world.guard.has_claim("team", "web-tls")
        assert world.woken == [Key("Certificate", "team", "web")]
        assert not world.is_watched()
        world.live, world.objects = True, []
        await world.after_looks()
        assert world.is_watched()
        assert world.guard.rival_of(ours(build)) is None


async def test_one_that_the_migration_knows_to_issue_nothing_is_no_rival_and_another_of_its_name_is(
    world: World, build: Build
) -> None:
    world.live, world.objects = True, [theirs()]
    async with guarding(world):
        await world.after_looks()
        assert world.guard.rival_of(ours(build, annotations={BESIDE: "uid-web"})) is None
        assert world.guard.rival_of(ours(build, annotations={BESIDE: "uid-before"})) == Rival("web", LEASE)


async def test_an_api_server_that_does_not_answer_changes_nothing_and_lets_nothing_begin(
    world: World, build: Build
) -> None:
    world.live = KubeError("see whether cert-manager runs", message="no answer")
    async with guarding(world):
        await world.after_looks()
        assert world.guard.rival_of(ours(build)) is UNKNOWN
        world.live, world.objects = True, [theirs()]
        await world.after_looks()
        assert world.guard.rival_of(ours(build)) == Rival("web", LEASE)
        world.live = KubeError("see whether cert-manager runs", message="no answer")
        await world.after_looks()
        assert world.guard.rival_of(ours(build)) == Rival("web", LEASE)


async def test_without_the_right_to_see_the_lease_nothing_is_left_to_cert_manager_and_the_log_says_so(
    world: World, build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    world.live = Forbidden("see whether cert-manager runs", status=403, reason="Forbidden", message="no right")
    async with guarding(world):
        await world.after_looks(5)
        assert world.guard.rival_of(ours(build)) is None
    assert caplog.text.count("The service account needs list for leases") == 1


async def test_a_list_that_does_not_come_does_not_stop_everything(
    world: World, build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LISTING_SECONDS", 0.01)

    async def never() -> None:
        await asyncio.Event().wait()

    world.live, world.settled, world.trouble = True, never, "the list has not arrived"  # type: ignore[method-assign]
    async with guarding(world) as guard:
        await world.after_looks()
        assert guard.rival_of(ours(build)) is None
        assert guard.trouble == "the list has not arrived"
    assert "could not be listed" in caplog.text


@pytest.mark.parametrize("secret", [None, 7, "", "x" * 254, ["web-tls"], {"a": 1}])
async def test_what_names_no_secret_is_not_kept(secret: Any) -> None:
    known = TheirCertificates(lambda *_: None)
    body = theirs(secret=secret)
    assert not known.wants(THEIR_CERTIFICATES, body)
    await known.take_event(THEIR_CERTIFICATES, "ADDED", body)
    assert known.secrets == []
    specs: list[Any] = [None, 7, []]
    for spec in specs:
        assert not known.wants(THEIR_CERTIFICATES, {**body, "spec": spec})


async def test_news_without_a_change_wakes_nobody_and_a_list_takes_out_what_it_lacks_in_its_namespace() -> None:
    told: list[tuple[str, str]] = []
    known = TheirCertificates(lambda *place: told.append(place))
    for _ in range(3):
        await known.take_event(THEIR_CERTIFICATES, "MODIFIED", theirs())
    await known.take_event(THEIR_CERTIFICATES, "ADDED", theirs(namespace="elsewhere"))
    assert told == [("team", "web-tls"), ("elsewhere", "web-tls")]
    await known.take_list(THEIR_CERTIFICATES, "team", set(), 9)
    assert known.secrets == [("elsewhere", "web-tls")]
    await known.take_event(THEIR_CERTIFICATES, "MODIFIED", theirs(secret="new", namespace="elsewhere"))
    assert told[2:] == [("team", "web-tls"), ("elsewhere", "web-tls"), ("elsewhere", "new")]
    known.clear()
    assert known.secrets == []


async def test_ours_orders_nothing_while_it_is_held_says_why_and_goes_on_by_itself(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime
) -> None:
    bench = Bench(build, kube_api, now)
    bench.write()
    bench.rival = UNKNOWN
    await bench.run(60)
    assert "status" not in bench.cluster.body or not bench.status.conditions
    bench.rival = Rival("theirs", LEASE)
    await bench.run(3600)
    assert not bench.ca.orders
    held = bench.condition()
    assert (held.status, held.reason) == ("False", "ClaimedByCertManager")
    assert f"theirs names Secret web-tls too, and its controller is running: it holds the Lease {LEASE}" in held.message
    assert bench.events.count("ClaimedByCertManager") == 1
    bench.rival = None
    await bench.run()
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1


async def test_an_open_order_is_given_up_cleanly_and_the_certificate_in_the_secret_stays(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime
) -> None:
    bench = Bench(build, kube_api, now)
    bench.write()
    await bench.run()
    before = dict(bench.cluster.secrets.secrets)
    bench.write("a.example.test", "b.example.test", metadata={"generation": 2})
    bench.dns.hidden = True
    await bench.run(10)
    assert bench.dns.records
    bench.rival = Rival("theirs", LEASE)
    await bench.run(3600)
    assert bench.condition().reason == "ClaimedByCertManager"
    assert not bench.dns.records
    assert bench.finalizers == []
    assert bench.cluster.secrets.secrets["team", "web-tls"] == before["team", "web-tls"]
