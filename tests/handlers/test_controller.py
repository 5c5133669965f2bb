from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from certwright.certificates.observation import Memory
from certwright.handlers import workers as module
from certwright.handlers.controller import Controller
from certwright.handlers.errors import OperatorFailed
from certwright.handlers.options import Options
from certwright.kube.errors import Unavailable
from certwright.kube.resource import CERTIFICATES, ISSUERS
from certwright.resources import Certificate
from certwright.runtime.key import Key
from certwright.runtime.result import Result
from certwright.shim.annotations import Defaults
from certwright.shim.reconciler import Options as ShimOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

Body = dict[str, Any]

WEB = Key("Certificate", "shop", "web")
OTHER = Key("Certificate", "shop", "other")
CA = Key("Issuer", "shop", "ca")


class Reconciler:
    """Stands in for both reconcilers."""

    def __init__(self) -> None:
        self.looked_at: list[Key] = []
        self.outcomes: dict[Key, list[float | Exception | None]] = {}
        self.gate: asyncio.Event | None = None
        self.during: Callable[[], Awaitable[None]] | None = None
        self.forgotten: list[str] = []
        self.woken: list[Key] = []

    async def reconcile(self, key: Key) -> Result:
        self.looked_at.append(key)
        if self.gate is not None:
            await self.gate.wait()
        if self.during is not None:
            await self.during()
        outcomes = self.outcomes.get(key) or [None]
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return Result.ON_EVENT if outcome is None else Result.again_in(outcome)

    def forget(self, _key: Key, uid: str) -> None:
        self.forgotten.append(uid)

    def issuer_changed(self, key: Key) -> None:
        self.woken.append(key)

    account_lost = issuer_changed


@pytest.fixture
def reconciler(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> Reconciler:
    stand_in = Reconciler()
    for name in ("reconcile", "forget", "issuer_changed"):
        monkeypatch.setattr(controller._certificate_reconciler, name, getattr(stand_in, name))
    for name in ("reconcile", "account_lost"):
        monkeypatch.setattr(controller._issuer_reconciler, name, getattr(stand_in, name))
    return stand_in


@pytest.fixture
def stop() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def running(
    controller: Controller, reconciler: Reconciler, stop: asyncio.Event
) -> AsyncIterator[asyncio.Task[None]]:
    assert reconciler.looked_at == []
    task = asyncio.create_task(controller.run(stop))
    yield task
    stop.set()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nothing tells when it is so
            await asyncio.sleep(0.001)


@pytest.mark.usefixtures("running")
async def test_the_pause_goes_to_the_scheduler_and_the_key_comes_back(
    controller: Controller, reconciler: Reconciler
) -> None:
    controller.certificates.put(certificate_body())
    reconciler.outcomes[WEB] = [0.01, None]
    controller.manager.queue.add(WEB)
    await until(lambda: reconciler.looked_at == [WEB, WEB] and not controller.manager.queue.held)
    assert len(controller.manager.scheduler) == 0, "no pause, no further look"


@pytest.mark.usefixtures("running")
async def test_a_worker_survives_a_defect(
    controller: Controller, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    controller.certificates.put(certificate_body())
    reconciler.outcomes[WEB] = [ZeroDivisionError("a defect")]
    for key in (WEB, *(Key("Issuer", "shop", str(number)) for number in range(5))):
        controller.manager.queue.add(key)
    await until(lambda: len(reconciler.looked_at) == 6 and not controller.manager.queue.held)
    assert len(controller.manager.scheduler) == 1, "it is tried again"
    [record] = [record for record in caplog.records if record.exc_info]
    assert record.message == "Certificate shop/web: unexpected error; retrying in 10 s"


@pytest.mark.usefixtures("running")
async def test_an_issuer_is_looked_at_again_when_the_api_server_was_away(
    controller: Controller, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    reconciler.outcomes[CA] = [Unavailable("read Secret shop/account", status=503)]
    controller.manager.queue.add(CA)
    await until(lambda: len(controller.manager.scheduler) == 1)
    assert "Issuer shop/ca: could not read Secret shop/account: HTTP 503" in caplog.text
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.usefixtures("running")
async def test_a_certificate_that_goes_while_it_is_looked_at_leaves_no_metrics_behind(
    controller: Controller, reconciler: Reconciler
) -> None:
    body = certificate_body()
    controller.certificates.put(body)

    async def goes() -> None:
        last = {"metadata": {**body["metadata"], "resourceVersion": "9"}}
        await controller.manager.take_event(CERTIFICATES, "DELETED", last)
        controller.metrics.show(Certificate.parse(body))  # as the end of a pass does

    reconciler.during = goes
    reconciler.outcomes[WEB] = [60.0]
    controller.manager.queue.add(WEB)
    await until(lambda: reconciler.looked_at and not controller.manager.queue.held)
    assert b'certificate_ready{name="web"' not in controller.metrics.render()
    assert len(controller.manager.scheduler) == 0
    assert reconciler.forgotten == ["uid-web"]


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(("missing", "shown"), [(False, True), (True, False)], ids=["not ready", "missing"])
async def test_the_readiness_of_an_issuer_is_shown_while_there_is_one(
    controller: Controller, reconciler: Reconciler, *, missing: bool, shown: bool
) -> None:
    controller.metrics.show_issuer(*CA, ready=True)

    async def change() -> None:
        if missing:
            controller.registry.set_missing(CA)
        else:
            controller.registry.set_not_ready(CA, "why")

    reconciler.during = change
    controller.manager.queue.add(CA)
    await until(lambda: reconciler.looked_at and not controller.manager.queue.held)
    line = b'certwright_issuer_ready{kind="Issuer",name="ca",namespace="shop"} 0.0'
    assert (line in controller.metrics.render()) is shown


async def test_stopping_lets_what_is_under_way_come_to_its_end(
    controller: Controller, reconciler: Reconciler, running: asyncio.Task[None], stop: asyncio.Event
) -> None:
    reconciler.gate = asyncio.Event()
    for key in (CA, WEB, OTHER):
        controller.certificates.put(certificate_body(key.name))
        controller.manager.queue.add(key)
    await until(lambda: controller.manager.queue.held == 3)
    stop.set()
    await asyncio.sleep(0.02)
    assert not running.done()
    controller.manager.queue.add(Key("Certificate", "shop", "late"))
    reconciler.gate.set()
    async with asyncio.timeout(60):
        await running
    assert sorted(reconciler.looked_at) == sorted([CA, WEB, OTHER])


async def test_stopping_waits_only_so_long(
    controller: Controller,
    reconciler: Reconciler,
    stop: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.05)
    reconciler.gate = asyncio.Event()
    controller.manager.queue.add(CA)
    stopped = asyncio.create_task(controller.run(stop))
    await until(lambda: controller.manager.queue.held)
    stop.set()
    async with asyncio.timeout(60):
        await stopped
    assert "1 objects took longer than 0.05 s" in caplog.text


@pytest.mark.parametrize("victim", ["scheduler", "events", "worker-1"])
async def test_no_part_dies_in_silence(
    controller: Controller,
    running: asyncio.Task[None],
    monkeypatch: pytest.MonkeyPatch,
    victim: str,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    match victim:
        case "scheduler":
            controller.manager.scheduler._due = fail
            controller.manager.scheduler.at(WEB, 0)
        case "events":
            await until(lambda: "events" in {task.get_name() for task in asyncio.all_tasks()})
            next(task for task in asyncio.all_tasks() if task.get_name() == "events").cancel()
        case _:
            monkeypatch.setattr(controller.manager.queue, "done", fail)
            controller.manager.queue.add(WEB)
    with pytest.raises(OperatorFailed, match=r"^(scheduler|events|worker-\d) ended unexpectedly$") as caught:
        async with asyncio.timeout(60):
            await running
    assert victim == "events" or isinstance(caught.value.__cause__, ZeroDivisionError)
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith(("worker", "scheduler", "events"))]


async def test_a_change_that_came_with_the_answer_to_our_own_write_is_looked_at(
    controller: Controller, reconciler: Reconciler, certificate: Callable[..., Body], caplog: pytest.LogCaptureFixture
) -> None:
    """Its own event is older than what is stored then, and no news."""
    caplog.set_level(logging.DEBUG)
    controller.certificates.put(certificate(version=1))
    controller.certificates.put(certificate("other", version=1))
    controller._put_certificate(certificate(version=5))
    await asyncio.sleep(0)
    assert len(controller.manager.queue) == 0, "only the status changed"
    controller._put_certificate(certificate(version=7, generation=2, target="elsewhere"))
    await asyncio.sleep(0)
    assert controller.manager.queue._queued == {WEB, OTHER}, "the one that changed, and who waited for its Secret"
    assert reconciler.looked_at == []


async def test_so_is_the_ingress_that_the_changed_certificate_was_made_for(certificate: Callable[..., Body]) -> None:
    options = Options("certwright", "test", workers=4, shim=ShimOptions(Defaults()))
    controller = Controller(None, options)  # type: ignore[arg-type]  # no client is needed
    owner = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web", "uid": "u", "controller": True}

    def made(**fields: Any) -> Body:
        body = certificate(**fields)
        body["metadata"]["ownerReferences"] = [owner]
        return body

    controller.certificates.put(made(version=1))
    controller._put_certificate(made(version=5))
    await asyncio.sleep(0)
    assert len(controller.manager.queue) == 0
    controller._put_certificate(made(version=7, generation=2, target="elsewhere"))
    await asyncio.sleep(0)
    assert Key("Ingress", "shop", "web") in controller.manager.queue._queued


async def test_a_change_of_an_issuer_wakes_its_certificates(controller: Controller, reconciler: Reconciler) -> None:
    controller.certificates.put(certificate_body())
    controller._wake_certificates_of(CA)
    controller._account_lost(CA)
    await asyncio.sleep(0)
    assert reconciler.woken == [WEB, CA]
    assert controller.manager.queue._queued == {WEB, CA}


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        ("pending", "Validating", True),
        ("pending", "WaitingForDNS", False),
        ("pending", "WaitingForHTTP", False),
        ("pending", "WaitingForTLS", False),
        ("pending", None, True),
        ("ready", "Validating", False),
    ],
)
def test_an_order_whose_responses_are_not_visible_yet_is_not_validated(
    controller: Controller, state: str, reason: str | None, *, expected: bool
) -> None:
    order = {
        "url": "https://ca.test/order/1",
        "accountURL": "https://ca.test/account/1",
        "server": "https://ca.test/dir",
        "names": ["web.example"],
        "specHash": "hash",
        "state": state,
        "createdAt": "2026-01-01T00:00:00Z",
    }
    issuing = {"type": "Issuing", "status": "True", "reason": reason, "message": "", "lastTransitionTime": None}
    body = certificate_body() | {"status": {"order": order, "conditions": [issuing] if reason else []}}
    controller.certificates.put(body)
    assert controller._is_validating(CA) is expected


def certificate_body(name: str = "web") -> Body:
    return {
        "metadata": {
            "namespace": "shop",
            "name": name,
            "uid": f"uid-{name}",
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": {"dnsNames": [f"{name}.example"], "secretName": "web-tls", "issuerRef": {"name": "ca"}},
    }


async def test_when_versions_go_back_what_is_listed_counts_and_what_was_remembered_is_forgotten(
    controller: Controller, certificate: Callable[..., Body]
) -> None:
    manager = controller.manager
    await manager.take_event(CERTIFICATES, "ADDED", certificate(version=900, generation=5))
    controller._certificate_reconciler._memories["uid-web"] = Memory()
    assert manager.latest(CERTIFICATES, None) == 900
    await manager.take_event(CERTIFICATES, None, certificate(version=100, generation=2))
    found = controller.certificates.get(WEB)
    assert found is not None
    assert found.metadata.generation == 5, "late news, as far as can be known"
    manager.take_rewind(CERTIFICATES, None)
    await manager.take_event(CERTIFICATES, None, certificate(version=100, generation=2))
    found = controller.certificates.get(WEB)
    assert found is not None
    assert found.metadata.generation == 2
    assert controller._certificate_reconciler._memories == {}


async def test_after_a_step_of_the_clock_everything_that_is_known_is_looked_at(
    controller: Controller,
    certificate: Callable[..., Body],
    issuer: Callable[..., Body],
    waiting: Callable[[], Iterator[Key]],
) -> None:
    await controller.manager.take_event(CERTIFICATES, "ADDED", certificate())
    await controller.manager.take_event(ISSUERS, "ADDED", issuer())
    assert set(waiting()) == {WEB, CA}
    controller.manager.wake_all()
    assert set(waiting()) == {WEB, CA}
