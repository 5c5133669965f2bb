from __future__ import annotations

from typing import Any

import pytest

from certwright.kube.cert_manager import LOOK_SECONDS, CertManagerPresence
from certwright.kube.errors import KubeError


class Leases:
    """Answers with one Lease of cert-manager's, or none."""

    def __init__(self) -> None:
        self.spec: Any = None
        self.asked = 0

    async def request(self, _method: str, path: str, *, query: dict[str, str], **_: Any) -> dict[str, Any]:
        self.asked += 1
        assert path == "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
        assert query["fieldSelector"] == "metadata.name=cert-manager-controller"
        return {"items": [] if self.spec is None else [{"spec": self.spec}]}


class World:
    def __init__(self) -> None:
        self.leases, self.now = Leases(), 1000.0
        self.presence = CertManagerPresence(self.leases, clock=lambda: self.now)  # type: ignore[arg-type]  # a stand-in

    async def live(self, *, after: float = 0.0) -> bool:
        self.now += after
        return await self.presence.is_live()


def held(renewed: str = "2026-06-01T12:00:00.000000Z", holder: str = "pod-1", duration: Any = 60) -> dict[str, Any]:
    return {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": duration}


@pytest.mark.parametrize("spec", [None, held(holder="")])
async def test_without_a_holder_nothing_runs(spec: Any) -> None:
    world = World()
    world.leases.spec = spec
    assert not await world.live()


async def test_a_lease_counts_until_it_was_seen_unchanged_for_as_long_as_it_lasts() -> None:
    world = World()
    world.leases.spec = held()
    assert await world.live()
    assert await world.live(after=60)
    world.leases.spec = held("2026-06-01T12:01:00.000000Z")
    assert await world.live(after=LOOK_SECONDS)
    assert await world.live(after=60 + LOOK_SECONDS - 1)
    assert not await world.live(after=2)
    world.leases.spec = held("2026-06-01T12:09:00.000000Z")
    assert await world.live(after=LOOK_SECONDS)


async def test_a_lease_that_lasts_for_ever_does_not_count_for_ever() -> None:
    world = World()
    world.leases.spec = held(duration=10**9)
    assert await world.live()
    assert not await world.live(after=3600)


async def test_it_is_looked_at_seldom_however_often_it_is_asked_for() -> None:
    world = World()
    for _ in range(100):
        await world.live(after=0.01)
    assert world.leases.asked == 1


async def test_one_that_has_just_come_back_is_seen_before_anything_is_created_in_its_place() -> None:
    world = World()
    assert not await world.presence.is_live_for(creating=False)
    world.leases.spec = held()
    assert not await world.presence.is_live_for(creating=False), "what is there can wait for the next look"
    assert world.leases.asked == 1
    assert await world.presence.is_live_for(creating=True)
    assert await world.presence.is_live_for(creating=False)
    for _ in range(100):
        assert await world.presence.is_live_for(creating=True)
    assert world.leases.asked == 2, "that it runs is believed: nothing is created then"


@pytest.mark.parametrize("spec", [7, "held", []])
async def test_a_lease_of_another_form_is_an_error_or_none_and_no_traceback(spec: Any) -> None:
    world = World()
    world.leases.spec = spec
    if spec:
        with pytest.raises(KubeError, match="its Lease cannot be read"):
            await world.live()
    else:
        assert not await world.live()
