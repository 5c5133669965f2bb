"""How long a look may take, and how often a CA is asked that does not come to an end."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from certwright import acme
from certwright.certificates import reconciler as module
from certwright.resources import ISSUING
from certwright.runtime import aside

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.runtime.result import Result

    from .bench import Bench


async def never(*_: Any, **__: Any) -> Any:
    await asyncio.Event().wait()


async def test_a_step_that_takes_too_long_is_interrupted_and_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.ca.undecided = True
    await bench.run(10)
    bench.now += dt.timedelta(minutes=1)
    monkeypatch.setattr(bench.ca, "fetch_order", never)
    monkeypatch.setattr(module, "LONGEST_STEP_SECONDS", 0.25)
    result = await bench.look()
    assert bench.condition().reason == "DeadlineExceeded"
    assert "PollOrder took longer than 0.25 s" in bench.condition().message
    assert "https://ca.example.test/directory" in bench.condition().message
    assert result.seconds is not None
    assert 1 < result.seconds < 3
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (1, 0), "the order is not given up"


async def test_an_order_that_may_have_been_placed_unseen_is_not_placed_again_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_STEP_SECONDS", 1.0)
    asked = []

    async def slow(*_: Any, **__: Any) -> Any:
        asked.append(bench.now)
        await never()

    monkeypatch.setattr(bench.ca, "new_order", slow)
    await bench.run(3600)
    assert len(asked) == 3, "after 0, 1 and 11 minutes"
    assert bench.condition(ISSUING).reason == "DeadlineExceeded"


@pytest.mark.parametrize(
    "waits",
    [
        ("ca", "new_order"),
        ("ca", "fetch_order"),
        ("ca", "finalize"),
        ("dns", "place"),
        ("dns", "expect"),
        ("dns", "present"),
        ("dns", "check"),
        ("dns", "clean_up"),
    ],
    ids=lambda waits: waits[1],
)
async def test_a_step_that_waits_for_somebody_outside_holds_no_worker(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, waits: tuple[str, str]
) -> None:
    monkeypatch.setattr(aside, "SLOW_SECONDS", 0.01)
    monkeypatch.setattr(module, "SLOW_CA_SECONDS", 0.01)
    left = asyncio.Event()
    whose, what = getattr(bench, waits[0]), waits[1]
    really = getattr(whose, what)
    looked = bench.look

    def leave() -> bool:
        left.set()
        return True

    async def slow(*arguments: Any, **options: Any) -> Any:
        async with asyncio.timeout(60):
            await left.wait()
        return await really(*arguments, **options)

    async def look() -> Result:
        aside.LOOK.set(aside.Look(leave))  # of this test's context
        return await looked()

    monkeypatch.setattr(whose, what, slow)
    monkeypatch.setattr(bench, "look", look)
    await bench.run(60)
    assert left.is_set()
    assert bench.condition().status == "True"


async def test_a_look_that_has_had_its_turn_is_put_back_between_two_steps(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TURN_SECONDS", -1.0)
    assert (await bench.look()).seconds == 0
    assert bench.ca.orders == {}
    monkeypatch.setattr(module, "TURN_SECONDS", 15.0)
    await bench.run(60)
    assert bench.condition().status == "True"


@pytest.mark.parametrize("retry_after", [0.0, 0.001, None])
async def test_a_ca_that_does_not_come_to_an_end_is_asked_less_and_less_often(
    bench: Bench, retry_after: float | None
) -> None:
    asked = _counted(bench, lambda order: replace(order, retry_after=retry_after))
    bench.ca.undecided = True
    await bench.run(60)
    assert len(asked) < 25
    await bench.run(3600)
    assert len(asked) < 300
    await bench.run(0.9 * 86400)
    assert all(pause >= dt.timedelta(minutes=4) for pause in _pauses(asked)[-200:])
    bench.now += 6 * dt.timedelta(days=1)  # of the same
    await bench.run(0.1 * 86400)
    assert "OrderExpired" in bench.events


async def test_a_ca_is_asked_no_sooner_than_it_says(bench: Bench) -> None:
    asked = _counted(bench, lambda order: replace(order, retry_after=240.0))
    bench.ca.undecided = True
    await bench.run(1800)
    pauses = _pauses(asked)
    assert len(pauses) > 3
    assert all(pause >= dt.timedelta(minutes=4) for pause in pauses[1:]), pauses


async def test_an_order_that_moves_to_and_fro_makes_no_progress(bench: Bench) -> None:
    states = [acme.OrderStatus.PROCESSING, acme.OrderStatus.PENDING]
    turns = itertools.cycle(states)
    asked = _counted(bench, lambda order: replace(order, status=next(turns), retry_after=0.0))
    bench.ca.undecided = True
    await bench.run(3600)
    assert len(asked) < 60, "every turn counted as progress, and was followed by a look at once"
    await bench.run(86400)
    assert len(asked) < 420
    bench.now += 6 * dt.timedelta(days=1)  # of the same
    await bench.run(3600)
    assert "OrderExpired" in bench.events


def _counted(bench: Bench, seen: Callable[[acme.Order], acme.Order]) -> list[dt.datetime]:
    """Have the CA show its orders otherwise once they are answered; return the times at which it is asked."""
    asked: list[dt.datetime] = []
    really = bench.ca.fetch_order

    async def fetch(url: str, **options: Any) -> acme.Order:
        asked.append(bench.now)
        return seen(await really(url, **options))

    bench.ca.fetch_order = fetch  # type: ignore[method-assign]
    return asked


def _pauses(times: list[dt.datetime]) -> list[dt.timedelta]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]
