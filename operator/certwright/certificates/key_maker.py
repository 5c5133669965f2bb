"""Generates private keys; slow ones one at a time, in a low-priority thread, without blocking a step.

An RSA key of 8192 bits takes half a minute of CPU time, and ten Certificates may want one at once. A step has two
minutes, and a worker waits for it, so a step only starts the work and comes back for the key.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Final, TypeAlias

from certwright.failures import IssuanceError
from certwright.pki import generate_private_key
from certwright.runtime.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.certificates.observation import Observation
    from certwright.pki import KeyAlgorithm, PrivateKey

    Generate: TypeAlias = Callable[[KeyAlgorithm, int | None], PrivateKey]

SLOW_BITS: Final = 3072
"""RSA keys from here on are slow: one of 2048 bits takes 0.1 s, of 4096 a second, of 8192 half a minute."""
PATIENCE_SECONDS: Final = 1.0
"""So long a step waits for a slow key, which spares the smaller ones a second look."""
MAX_KEPT: Final = 64
"""Keys that are made and not fetched: of Certificates that were deleted or changed meanwhile."""
LOW_PRIORITY: Final = 10
"""As with nice(1): what else the process does comes first."""


class KeyNotReady(IssuanceError):
    """A private key takes long to make: the step that needs it is to be taken again a little later."""

    def __init__(self, algorithm: str, size: int | None) -> None:
        super().__init__("GeneratingKey", f"An {algorithm} key of {size} bits is being generated, which takes a while.")


class KeyMaker:
    """Makes private keys.

    Args:
        generate: Makes one; called in threads.
        patience: Seconds that `make` waits for a slow one.
    """

    def __init__(self, generate: Generate = generate_private_key, *, patience: float = PATIENCE_SECONDS) -> None:
        self._generate = generate
        self._patience = patience
        self._turns = Turns(1, kept=0)
        self._making: dict[str, tuple[tuple[KeyAlgorithm, int | None], asyncio.Task[PrivateKey]]] = {}

    async def make(self, observation: Observation, algorithm: KeyAlgorithm, size: int | None) -> PrivateKey:
        """Return a new key for a Certificate.

        Raises:
            KeyNotReady: It is being made: ask again.
        """
        if algorithm != "RSA" or (size or 0) < SLOW_BITS:
            return await asyncio.to_thread(self._generate, algorithm, size)
        uid, kind = observation.uid, (algorithm, size)
        known = self._making.get(uid)
        if known is None or known[0] != kind:
            self.forget(uid)
            task = asyncio.create_task(self._make_slowly(observation.namespace, algorithm, size))
            self._making[uid] = known = (kind, task)
            self._drop_unfetched()
        done, _ = await asyncio.wait({known[1]}, timeout=self._patience)
        if not done or known[1].cancelled():  # the Certificate may be forgotten meanwhile
            raise KeyNotReady(algorithm, size)
        self._making.pop(uid, None)
        return known[1].result()

    def forget(self, uid: str) -> None:
        """Drop the key of a Certificate, which is gone or wants another one."""
        known = self._making.pop(uid, None)
        if known is not None:
            known[1].cancel()

    async def _make_slowly(self, namespace: str, algorithm: KeyAlgorithm, size: int | None) -> PrivateKey:
        async with self._turns.place(namespace):
            return await _in_background(lambda: self._generate(algorithm, size))

    def _drop_unfetched(self) -> None:
        made = [uid for uid, (_, task) in self._making.items() if task.done()]
        for uid in made[: max(len(made) - MAX_KEPT, 0)]:
            self.forget(uid)


async def _in_background(work: Callable[[], PrivateKey]) -> PrivateKey:
    """Do work in a thread of low priority, which does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    made: asyncio.Future[PrivateKey] = loop.create_future()

    def settle(key: PrivateKey | None, error: BaseException | None) -> None:
        if made.done():
            return
        if key is None:
            made.set_exception(error or RuntimeError("no key was made"))
        else:
            made.set_result(key)

    def run() -> None:
        if sys.platform == "linux":  # elsewhere a number like this may be another process
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOW_PRIORITY)
        key, error = None, None
        try:
            key = work()
        except BaseException as caught:  # noqa: BLE001 - it is raised where the key is waited for
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
            loop.call_soon_threadsafe(settle, key, error)

    threading.Thread(target=run, name="private-key", daemon=True).start()
    return await made
