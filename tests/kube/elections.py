"""What tests of elections share: a Lease at a pretended API server, and an event loop whose time passes at once."""

from __future__ import annotations

import asyncio
import itertools
import selectors
from typing import TYPE_CHECKING, Any

from certwright.kube.errors import Conflict, NotFound
from certwright.kube.lease import Lease, LeaseRecord

if TYPE_CHECKING:
    from collections.abc import Coroutine

STAMPS = itertools.count(1)


def stamp() -> str:
    return f"stamp {next(STAMPS)}"


class LeaseServer:
    """The Lease as an API server keeps it, with optimistic concurrency by uid and resourceVersion."""

    def __init__(self) -> None:
        self.spec: dict[str, Any] | None = None
        self.version = 0
        self.uid = 0
        self.writes = 0

    @property
    def record(self) -> LeaseRecord | None:
        return None if self.spec is None else LeaseRecord.of(self.spec)

    def read(self) -> Lease | None:
        return None if self.spec is None else self._lease()

    def create(self, record: LeaseRecord) -> Lease:
        if self.spec is not None:
            raise Conflict("create Lease", status=409, reason="AlreadyExists")
        self.uid += 1
        return self._write(record.to_spec())

    def replace(self, lease: Lease, record: LeaseRecord) -> Lease:
        if self.spec is None:
            raise NotFound("write Lease", status=404)
        if lease.body["metadata"] != self._metadata():
            raise Conflict("write Lease", status=409, reason="Conflict")
        return self._write(record.to_spec())

    def edit(self, **changes: Any) -> None:
        """As somebody with kubectl would."""
        assert self.spec is not None
        self._write({**self.spec, **changes})

    def delete(self) -> None:
        self.spec = None

    def _write(self, spec: dict[str, Any]) -> Lease:
        self.spec = spec
        self.version += 1
        self.writes += 1
        return self._lease()

    def _metadata(self) -> dict[str, Any]:
        return {"uid": self.uid, "resourceVersion": self.version}

    def _lease(self) -> Lease:
        assert self.spec is not None
        return Lease(LeaseRecord.of(self.spec), {"metadata": self._metadata(), "spec": dict(self.spec)})


class _Selector(selectors.DefaultSelector):
    """Sleeps never, but tells how long it would have."""

    slept = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found:
            assert timeout is not None, "everybody waits for something that nobody does"
            self.slept += timeout
        return found


class TravellingLoop(asyncio.SelectorEventLoop):
    """An event loop in which an hour takes no time."""

    def __init__(self) -> None:
        self._travelling = _Selector()
        super().__init__(self._travelling)

    def time(self) -> float:
        return self._travelling.slept


def travel(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine in a `TravellingLoop`."""
    with asyncio.Runner(loop_factory=TravellingLoop) as runner:
        runner.run(coroutine)
