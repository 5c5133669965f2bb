from __future__ import annotations

import logging

import pytest

from certwright.runtime.clock_watch import ClockWatch


class Clocks:
    """The clocks of a machine."""

    def __init__(self) -> None:
        self.wall, self.timer, self.boot = 1_800_000_000.0, 50.0, 60.0
        self.steps = 0
        self.watch = ClockWatch(self.stepped, wall=lambda: self.wall, timer=lambda: self.timer, boot=lambda: self.boot)

    def stepped(self) -> None:
        self.steps += 1

    def run(self, seconds: float, *, drift: float = 0.0) -> None:
        self.wall += seconds + drift
        self.timer += seconds
        self.boot += seconds

    def suspend(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds

    def look(self) -> int:
        self.watch.look()
        steps, self.steps = self.steps, 0
        return steps


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def test_time_that_passes_is_no_step(clocks: Clocks) -> None:
    for _ in range(100):
        clocks.run(5.0, drift=0.002)
        assert clocks.look() == 0


@pytest.mark.parametrize("seconds", [-365 * 86400.0, -3.0, 3.0, 86400.0])
def test_a_clock_that_is_set_is_noticed_once(clocks: Clocks, caplog: pytest.LogCaptureFixture, seconds: float) -> None:
    clocks.wall += seconds
    clocks.run(5.0)
    assert (clocks.look(), clocks.look()) == (1, 0)
    assert f"the wall clock was set (it is {seconds:+.0f} s from where it was expected)" in caplog.text


def test_a_suspended_machine_is_noticed(clocks: Clocks, caplog: pytest.LogCaptureFixture) -> None:
    """Its timers stood still: what was due in an hour would come seven hours late."""
    clocks.suspend(8 * 3600)
    clocks.run(5.0)
    assert (clocks.look(), clocks.look()) == (1, 0)
    assert "the machine was suspended for 28800 s" in caplog.text


def test_a_clock_that_is_slewed_for_long_is_noticed_in_the_end(
    clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    noticed = 0
    for _ in range(1000):
        clocks.run(5.0, drift=0.01)
        noticed += clocks.look()
    assert noticed in {4, 5}
