"""Free ports on loopback.

Ports are taken from below the range that the kernel uses for outgoing connections, so that a part that is
stopped finds its port free when it starts again. Processes that allocate side by side, such as the workers of a
test run, take them from blocks of their own. Another program may bind a port first: the part that loses the race is
given new ports.
"""

from __future__ import annotations

import random
import socket
import threading
from typing import TYPE_CHECKING

from .errors import BedError

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPBACK = "127.0.0.1"
FIRST, LAST = 20_000, 31_999
BLOCK = 200
ATTEMPTS = 200

_random = random.SystemRandom()


def is_free(port: int) -> bool:
    """Tell whether no program listens on `port` of 127.0.0.1, neither TCP nor UDP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return False
    return True


def claim_block() -> list[int]:
    """Return ports, in no order, that no other process of this network namespace claims until this one ends.

    Returns:
        A block of them, empty if other processes hold all.
    """
    blocks = list(range(FIRST, LAST + 1, BLOCK))
    _random.shuffle(blocks)
    for first in blocks:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(f"\0certwright-testbed-ports-{first}")
        except OSError:
            claim.close()
            continue
        # A name without a file, which the kernel releases when the process ends, however it ends.
        claim.detach()
        ports = list(range(first, first + BLOCK))
        _random.shuffle(ports)
        return ports
    return []


class PortAllocator:
    """Hands out ports that are free now and that it has not handed out before."""

    def __init__(self, *, free: Callable[[int], bool] = is_free, claim: Callable[[], list[int]] = claim_block) -> None:
        self._free = free
        self._claim = claim
        self._ports: list[int] = []
        self._lock = threading.Lock()

    def take(self) -> int:
        """Return a free port.

        Raises:
            BedError: no free port was found in a bounded number of attempts.
        """
        with self._lock:
            for _ in range(ATTEMPTS):
                if not self._ports:
                    self._ports = self._claim()
                if not self._ports:
                    break
                port = self._ports.pop()
                if self._free(port):
                    return port
        raise BedError(
            f"No free port between {FIRST} and {LAST} on {LOOPBACK} in {ATTEMPTS} attempts",
            remedy="see what listens there with `ss -ltnup`, and stop test beds that are no longer needed",
        )


allocator = PortAllocator()
