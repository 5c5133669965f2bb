"""Pebble, as a CA that misbehaves."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from testbed.proxy import RecordingProxy

from .misbehaviour import Misbehaviour

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from testbed.parts.pebble import Pebble

    from .fault import Fault


class FaultProxy(RecordingProxy):
    """A proxy in front of Pebble that applies faults, which may be changed at any time."""

    _misbehaviour = Misbehaviour()

    @classmethod
    def of(cls, pebble: Pebble, *faults: Fault) -> Self:
        """Return a proxy for this Pebble with these faults; see `Misbehaviour` for several of them."""
        proxy = cls.for_pebble(pebble)
        proxy.misbehave(*faults)
        return proxy

    def misbehave(self, *faults: Fault) -> None:
        """Apply these faults from now on, in place of those before; with none, behave."""
        self._misbehaviour = Misbehaviour(*faults)
        self.on_request = self._misbehaviour.on_request
        self.on_response = self._misbehaviour.on_response

    @property
    def struck(self) -> Counter[str]:
        """How often each of the present faults was applied, by its name."""
        return self._misbehaviour.struck


@contextmanager
def faulty(pebble: Pebble, *faults: Fault) -> Iterator[str]:
    """Put faults between a Pebble and its clients; gives the directory URL that leads through them."""
    with FaultProxy.of(pebble, *faults) as proxy:
        yield proxy.directory_url
