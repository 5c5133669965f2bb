"""Free ports on loopback.

Ports are taken from below the range that the kernel gives to outgoing connections, so that a part that is
stopped finds its port free when it starts again. Whoever binds a port first has it: a part that loses the
race is given new ports.
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
ATTEMPTS = 200


def is_free(port: int) -> bool:
    """Tell whether nobody listens on `port` of 127.0.0.1, on TCP as on UDP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return False
    return True


class PortAllocator:
    """Hands out ports that are free now and that it has not handed out before."""

    def __init__(self, *, free: Callable[[int], bool] = is_free) -> None:
        self._free = free
        self._given: set[int] = set()
        self._lock = threading.Lock()
        self._random = random.SystemRandom()

    def take(self) -> int:
        """Return a free port.

        Raises:
            BedError: no free port was found in a bounded number of attempts.
        """
        with self._lock:
            for _ in range(ATTEMPTS):
                port = self._random.randint(FIRST, LAST)
                if port not in self._given and self._free(port):
                    self._given.add(port)
                    return port
        raise BedError(
            f"No free port between {FIRST} and {LAST} on {LOOPBACK} in {ATTEMPTS} attempts",
            remedy="see what listens there with `ss -ltnup`, and end test beds that are no longer needed",
        )


allocator = PortAllocator()
