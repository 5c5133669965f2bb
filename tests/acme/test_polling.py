from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme import Clock, Pace, PollTimedOut, ServiceUnavailable
from certwright.acme.polling import GROWTH, LAST_PAUSE, SHORTEST_PAUSE, poll

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.fakes.time import FakeTime


@dataclass(frozen=True)
class Thing:
    status: str
    retry_after: float | None = None
    url: str = "https://ca.test/thing"


async def _poll(states: Iterable[Thing], time: FakeTime, timeout: float = 60.0) -> Thing:  # noqa: ASYNC109 - passed on
    row = iter(states)

    async def look(_last: Thing) -> Thing:
        return next(row)

    return await poll(next(row), look, until=frozenset({"valid"}), timeout=timeout, clock=time.clock())


async def test_what_is_there_already_is_not_asked_for(time: FakeTime) -> None:
    assert (await _poll([Thing("valid", 99)], time)).status == "valid"
    assert time.slept == []


async def test_it_waits_as_long_as_the_server_asks(time: FakeTime) -> None:
    await _poll([Thing("processing", 3), Thing("processing", 0), Thing("processing", 7.5), Thing("valid")], time)
    assert time.slept == [3, SHORTEST_PAUSE * GROWTH, 7.5]


async def test_a_server_that_asks_for_no_pause_is_asked_less_and_less_often(time: FakeTime) -> None:
    with pytest.raises(PollTimedOut):
        await _poll([Thing("processing", 0)] * 1000, time, timeout=60)
    assert len(time.slept) < 25
    assert time.slept[0] == SHORTEST_PAUSE


async def test_without_a_word_of_the_server_it_waits_longer_each_time(time: FakeTime) -> None:
    await _poll([*[Thing("processing")] * 7, Thing("valid")], time)
    assert time.slept == [0.5, 1, 2, 4, LAST_PAUSE, LAST_PAUSE, LAST_PAUSE]


async def test_it_gives_up_at_the_time_out_and_says_what_it_saw(time: FakeTime) -> None:
    with pytest.raises(PollTimedOut, match="still processing") as caught:
        await _poll([Thing("processing", 4)] * 100, time, timeout=10)
    assert time.elapsed == 10
    assert (caught.value.status, caught.value.url, caught.value.retry_after) == ("processing", Thing("").url, 4)


async def test_of_a_wait_beyond_the_time_out_the_rest_is_waited_and_the_whole_is_told(time: FakeTime) -> None:
    with pytest.raises(PollTimedOut, match=r"after 60 s, not valid; the server asks to look again in 3600 s") as caught:
        await _poll([Thing("processing", 3600)] * 2, time)
    assert time.slept == [60]
    assert caught.value.retry_after == 3600


async def test_what_is_done_before_the_server_expects_it_is_found_at_the_time_out(time: FakeTime) -> None:
    """ZeroSSL asks for a day while it needs seconds."""
    assert (await _poll([Thing("processing", 86_400), Thing("valid")], time)).status == "valid"


async def test_a_look_that_the_server_puts_off_is_no_end(time: FakeTime) -> None:
    looks = 0

    async def look(_last: Thing) -> Thing:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise ServiceUnavailable("busy", url="u", status=503, retry_after=20.0)
        return Thing("valid")

    found = await poll(Thing("pending", 1), look, until=frozenset({"valid"}), timeout=60, clock=time.clock())
    assert (found.status, time.slept) == ("valid", [1, 20])


@pytest.mark.parametrize("retry_after", [None, 100.0])
async def test_a_look_that_fails_for_longer_ends_the_poll(time: FakeTime, retry_after: float | None) -> None:
    async def look(_last: Thing) -> Thing:
        raise ServiceUnavailable("busy", url="u", status=503, retry_after=retry_after)

    with pytest.raises(ServiceUnavailable):
        await poll(Thing("pending"), look, until=frozenset({"valid"}), timeout=60, clock=time.clock())


@given(st.lists(st.none() | st.floats(0, 100), max_size=20), st.floats(0, 60))
async def test_it_never_waits_longer_than_it_may(waits: list[float | None], timeout: float) -> None:  # noqa: ASYNC109 - passed on
    elapsed = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal elapsed
        assert seconds > 0
        elapsed += seconds

    row = iter([*(Thing("processing", wait) for wait in waits), Thing("valid")])

    async def look(_last: Thing) -> Thing:
        return next(row)

    clock = Clock(monotonic=lambda: elapsed, sleep=sleep)
    try:
        found = await poll(next(row), look, until=frozenset({"valid"}), timeout=timeout, clock=clock)
    except PollTimedOut as error:
        gave_up_before = error.retry_after
    else:
        gave_up_before = None
        assert found.status == "valid"
    assert elapsed <= timeout
    assert gave_up_before is None or elapsed + gave_up_before > timeout


async def test_a_caller_may_choose_the_pace_where_the_server_does_not_say(time: FakeTime) -> None:
    row = iter([Thing("processing")] * 4 + [Thing("processing", 1.5), Thing("valid")])

    async def look(_last: Thing) -> Thing:
        return next(row)

    pace = Pace(first=2.0, longest=5.0)
    await poll(next(row), look, until=frozenset({"valid"}), timeout=60.0, clock=time.clock(), pace=pace)
    assert time.slept == [2.0, 4.0, 5.0, 5.0, 1.5]


@pytest.mark.parametrize(("first", "longest"), [(0.0, 1.0), (0.1, 1.0), (2.0, 1.0)])
def test_a_pace_that_would_flood_the_server_is_refused(first: float, longest: float) -> None:
    with pytest.raises(ValueError, match="pause"):
        Pace(first, longest)


async def test_the_message_names_what_was_waited_for(time: FakeTime) -> None:
    async def look(last: Thing) -> Thing:
        return last

    until = frozenset({"ready", "valid", "invalid"})
    with pytest.raises(PollTimedOut, match=r"not ready or valid$"):
        await poll(Thing("pending"), look, until=until, timeout=1, clock=time.clock())
