"""A namespace that asks for the renewal of all its Certificates at once: a neighbour's first one is not held up."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from certwright.resources import READY, Certificate
from tests.simulation.life import Scenario, Simulation
from tests.simulation.loop import VirtualLoop
from tests.simulation.operator import simulated

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR: Final = 3600.0
MINUTE: Final = 60.0
CROWD: Final = int(os.environ.get("CERTWRIGHT_TEST_CROWD", "70"))
"""2,000 take minutes."""
APPLIED, ASKED, NEIGHBOUR = 60.0, 60 * HOUR, 60 * HOUR + 10
LIMITED, UNLIMITED = 1, 2
"""The CA that takes 60 orders an hour, and the one that takes any number."""


class Crowd(Simulation):
    """A namespace with many Certificates, and one with one.

    Args:
        loop: Whose time passes.
        issuer: Of all of them.
    """

    def __init__(self, loop: VirtualLoop, issuer: int) -> None:
        scenario = Scenario(certificates=CROWD + 1, days=4, faults=0, issuers=(issuer,), falling_back=0, busy=0)
        super().__init__(scenario, loop)
        for ca in self.cas:
            ca.refuses_validation = 0.0
        self.waiting: list[tuple[str, str]] = []
        self.ready_at: float | None = None
        self.renewed_first = 0

    def _happenings(self) -> list[tuple[float, Callable[[], Any]]]:
        crowd = [(APPLIED, self._in("crowd", number)) for number in range(CROWD)]
        return [
            *crowd,
            (ASKED, self._ask),
            (NEIGHBOUR, self._in("neighbour", CROWD)),
            (NEIGHBOUR + MINUTE, self._look),
        ]

    def _in(self, namespace: str, number: int) -> Callable[[], Any]:
        apply = self._apply(number)

        async def applied() -> None:
            put = self.cluster.put

            def moved(plural: str, body: Any) -> Any:
                return put(plural, {**body, "metadata": {**body["metadata"], "namespace": namespace}})

            self.cluster.put = moved  # type: ignore[method-assign]
            try:
                await apply()
            finally:
                self.cluster.put = put  # type: ignore[method-assign]

        return applied

    async def _ask(self) -> None:
        """Somebody asks for the renewal of everything in his namespace."""
        assert self._operator is not None
        assert all(self._is_ready(body) for body in self._applied)
        for known in self._applied:
            metadata = known["metadata"]
            body = self.cluster.objects[Certificate.PLURAL, metadata["namespace"], metadata["name"]]
            spec = {**body["spec"], "request": {"id": "all-at-once", "action": "Renew"}}
            changed = {**body, "spec": spec, "metadata": {**body["metadata"], "generation": 2}}
            await self._operator.tell(Certificate.PLURAL, self.cluster.put(Certificate.PLURAL, changed), "MODIFIED")

    def _is_ready(self, body: dict[str, Any]) -> bool:
        return any(one["type"] == READY and one["status"] == "True" for one in self._status(body).get("conditions", ()))

    def _look(self) -> None:
        for body in self._applied[:-1]:
            for one in self._status(body).get("conditions", ()):
                if one["type"] == "Issuing":
                    self.waiting.append((one["reason"], one["message"]))

    def _written(self, secret: dict[str, Any]) -> None:
        super()._written(secret)
        if "tls.crt" not in secret.get("data", {}):
            return
        if secret["metadata"]["namespace"] == "neighbour":
            self.ready_at = self.world.loop.time()
        elif self.world.loop.time() > ASKED and self.ready_at is None:
            self.renewed_first += 1


@pytest.fixture
def crowd(request: pytest.FixtureRequest) -> Crowd:
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        made = Crowd(loop, request.param)
        with simulated(made.world, made.cluster, made.cas):
            loop.run_until_complete(made.run())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return made


@pytest.mark.parametrize("crowd", [UNLIMITED], indirect=True)
def test_requested_renewals_of_a_whole_namespace_do_not_hold_up_a_neighbours_first_certificate(
    crowd: Crowd,
) -> None:
    assert crowd.ready_at is not None
    assert crowd.ready_at - NEIGHBOUR < MINUTE
    assert len(crowd.cas[UNLIMITED].placed_at) == 2 * CROWD + 1, "each once"


@pytest.mark.parametrize("crowd", [LIMITED], indirect=True)
def test_where_the_ca_has_a_limit_the_neighbour_is_the_first_for_whom_there_is_room_again(crowd: Crowd) -> None:
    assert crowd.ready_at is not None
    assert crowd.ready_at - NEIGHBOUR < HOUR + 2 * MINUTE, "the limit is of an hour"
    assert crowd.renewed_first <= 60 + 8, "those who were ahead of it within the limit, and who were let in with it"
    assert crowd.cas[LIMITED].exceeded == []
    told = {reason for reason, _ in crowd.waiting}
    assert "OrderLimitReached" in told
    assert any("come first" in message for _, message in crowd.waiting), "each says how many are ahead of it"
