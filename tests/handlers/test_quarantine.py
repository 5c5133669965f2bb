"""An object that held up everything is left alone, by this process and by the next."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from certwright.handlers import quarantine as module
from certwright.handlers.quarantine import PAUSE, REASON, Quarantine
from certwright.handlers.registrations import SECRETS
from certwright.kube.errors import Conflict
from certwright.kube.resource import CERTIFICATES
from certwright.metrics import Metrics
from certwright.resources import MANAGED_LABEL, Certificate
from certwright.runtime.key import Key
from certwright.runtime.labour import make_task
from certwright.runtime.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.handlers.controller import Controller

Body = dict[str, Any]
NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
WEB, OTHER = Key("Certificate", "shop", "web"), Key("Certificate", "shop", "other")


class FakeApi:
    """Keeps one object."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.requests: list[str] = []
        self.conflicts = 0

    async def request(self, method: str, path: str, *, action: str, body: Body | None = None, **_: Any) -> Body:
        self.requests.append(f"{method} {path}")
        if method == "PATCH":
            assert body is not None
            assert body["metadata"]["resourceVersion"] == self.body["metadata"]["resourceVersion"]
            if self.conflicts:
                self.conflicts -= 1
                raise Conflict(action)
            self.body.setdefault("status", {}).update(body["status"])
        return self.body


class Recorder:
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def record(self, subject: Any, kind: str, reason: str, message: str) -> None:
        assert (subject.kind, kind) == ("Certificate", "Warning")
        self.events.append((reason, message))


class Ward:
    """A quarantine and what is around it."""

    def __init__(self, body: Body) -> None:
        self.now = NOW
        self.api = FakeApi(body)
        self.recorder = Recorder()
        self.metrics = Metrics()
        self.quarantine = self.another()

    def another(self) -> Quarantine:
        """That of another process."""
        return Quarantine(
            self.api,  # type: ignore[arg-type]  # as far as it is needed
            recorder=self.recorder,  # type: ignore[arg-type]
            metrics=Metrics(),
            clock=lambda: self.now,
        )

    async def hold(self, seconds: float = 13.4) -> None:
        self.quarantine.meter(CERTIFICATES, WEB)(seconds)
        await asyncio.sleep(0)
        await self.quarantine.flush()


@pytest.fixture
def ward(certificate: Callable[..., Body]) -> Ward:
    return Ward(certificate(version=3))


def _condition(body: Mapping[str, Any]) -> Body:
    (found,) = (one for one in body["status"]["conditions"] if one["type"] == "Ready")
    return dict(found)


async def test_a_long_step_puts_an_object_into_quarantine_and_its_condition_says_so(ward: Ward) -> None:
    conditions = [{"type": kind, "status": "True"} for kind in ("Ready", "Other")]
    ward.api.body["status"] = {"revision": 4, "conditions": conditions}
    await ward.hold()
    assert ward.quarantine.until(WEB, 1) == NOW + PAUSE
    condition = _condition(ward.api.body)
    assert (condition["status"], condition["reason"], condition["observedGeneration"]) == ("False", REASON, 1)
    assert condition["message"].startswith("Reconciling it took 13.4 s of CPU without a pause")
    assert "until 2026-06-01T13:00:00Z" in condition["message"]
    assert ward.api.body["status"]["revision"] == 4
    assert {one["type"] for one in ward.api.body["status"]["conditions"]} == {"Ready", "Other"}
    assert [reason for reason, _ in ward.recorder.events] == [REASON]
    Certificate.parse(ward.api.body)


async def test_a_short_step_does_not(ward: Ward) -> None:
    await ward.hold(0.5)
    assert ward.quarantine.until(WEB, 1) is None
    assert ward.api.requests == []


async def test_others_are_not_held(ward: Ward) -> None:
    await ward.hold()
    assert ward.quarantine.until(OTHER, 1) is None


async def test_the_pause_ends(ward: Ward) -> None:
    await ward.hold()
    ward.now += PAUSE
    assert ward.quarantine.until(WEB, 1) is None


async def test_a_changed_spec_ends_it(ward: Ward) -> None:
    await ward.hold()
    assert ward.quarantine.until(WEB, 2) is None


async def test_the_next_leader_finds_the_mark(ward: Ward) -> None:
    await ward.hold()
    following = ward.another()
    following.see(WEB, ward.api.body)
    assert following.until(WEB, 1) == NOW + PAUSE
    following.release(WEB)
    following.see(WEB, ward.api.body)  # the same mark again
    assert following.until(WEB, 1) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"observedGeneration": 2},
        {"reason": "Issuing"},
        {"lastTransitionTime": "9999-01-01T00:00:00Z"},
        {"lastTransitionTime": "2026-06-01T10:59:59Z"},
        {"lastTransitionTime": "2026-06-01T12:00:00"},
        {"lastTransitionTime": None},
        {"lastTransitionTime": "soon"},
    ],
    ids=str,
)
async def test_a_mark_of_another_time_or_spec_is_not_believed(ward: Ward, changes: Body) -> None:
    await ward.hold()
    following = ward.another()
    ward.api.body["status"]["conditions"] = [{**_condition(ward.api.body), **changes}]
    following.see(WEB, ward.api.body)
    assert following.until(WEB, 1) is None


async def test_a_write_of_the_next_leader_is_not_undone(ward: Ward) -> None:
    ward.api.conflicts = 1
    await ward.hold()
    assert [request.partition(" ")[0] for request in ward.api.requests] == ["GET", "PATCH", "GET", "PATCH"]
    assert _condition(ward.api.body)["reason"] == REASON


async def test_the_manager_leaves_it_alone_and_works_for_the_others(
    controller: Controller, certificate: Callable[..., Body], monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.get_running_loop().set_task_factory(make_task)
    monkeypatch.setattr(module, "STEP_SECONDS", 0.05)
    manager, looked = controller.manager, []
    api = FakeApi(certificate(version=3))
    monkeypatch.setattr(manager.quarantine, "_client", api)

    async def reconcile(key: Key) -> Result:
        looked.append(key)
        if key == WEB:
            await asyncio.gather(asyncio.sleep(0), toil())
        return Result.ON_EVENT

    async def toil() -> None:
        end = time.thread_time() + 0.1
        while time.thread_time() < end:
            pass

    kinds = manager.kinds._kinds
    monkeypatch.setitem(kinds, "Certificate", replace(kinds["Certificate"], reconcile=reconcile))
    await manager.take_event(CERTIFICATES, None, certificate(version=3))
    await manager.take_event(CERTIFICATES, None, certificate("other", version=4, target="other-tls"))
    for _ in range(3):
        for key in (WEB, OTHER):
            result = await manager._look(key)
            await asyncio.sleep(0)
    assert looked == [WEB, OTHER, OTHER, OTHER]
    result = await manager._look(WEB)
    assert result.seconds == pytest.approx(3600, abs=60)
    await manager.quarantine.flush()
    assert _condition(api.body)["reason"] == REASON

    # Its Secret changes: it is looked at again.
    metadata = {"namespace": "shop", "name": "web-tls", "uid": "s", "resourceVersion": "9"}
    await manager.take_event(SECRETS, "MODIFIED", {"metadata": {**metadata, "labels": {MANAGED_LABEL: "true"}}})
    await manager._look(WEB)
    assert looked[-1] == WEB
    # Its spec changes: it is, too.
    await asyncio.sleep(0)
    assert len(looked) == 5
    await manager.take_event(CERTIFICATES, "MODIFIED", certificate(version=10, generation=2))
    await manager._look(WEB)
    assert len(looked) == 6
