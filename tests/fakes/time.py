"""A clock that only moves when told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from certwright.acme import Clock


@dataclass
class FakeTime:
    """Time that passes by sleeping."""

    start: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    elapsed: float = 0.0
    slept: list[float] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.elapsed)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.elapsed += seconds

    def clock(self) -> Clock:
        return Clock(now=lambda: self.now, monotonic=lambda: self.elapsed, sleep=self.sleep)
