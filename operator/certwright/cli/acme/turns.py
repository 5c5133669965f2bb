"""Ports are listened at by one run at a time: the next one waits until this one has cleaned up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.cli.acme.lock import Busy
from certwright.client import CannotListen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from certwright.cli.acme.lock import Lock
    from certwright.client import Proof, Solver


class InTurn:
    """A solver that holds a lock from before it presents until it has cleaned up.

    Args:
        solver: Listens at a port.
        lock: Makes the lock of that port.
    """

    def __init__(self, solver: Solver, lock: Callable[[], Lock]) -> None:
        self._solver = solver
        self._make_lock = lock
        self._held: Lock | None = None

    @property
    def challenge_type(self) -> str:
        """The type of challenge."""
        return self._solver.challenge_type

    async def present(self, proofs: Sequence[Proof]) -> None:
        """As the solver does, when it is its turn.

        Raises:
            CannotListen: Another run listened all the time.
        """
        if self._held is None:
            lock = self._make_lock()
            try:
                await lock.take()
            except BaseException as error:
                lock.release()
                if isinstance(error, Busy):
                    raise CannotListen(str(error)) from None
                raise
            self._held = lock
        await self._solver.present(proofs)

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """As the solver does."""
        await self._solver.wait(proofs)

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """As the solver does, and then it is the next one's turn."""
        try:
            await self._solver.clean_up(proofs)
        finally:
            if self._held is not None:
                self._held.release()
                self._held = None
