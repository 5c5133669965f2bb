"""The protocol of what answers challenges: present, wait until it can be seen, clean up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from certwright.acme import Identifier

if TYPE_CHECKING:
    from certwright.challenges.proof import Proof


class Solver(Protocol):
    """Puts the responses to one type of challenge where the CA looks for them, for many domains at a time.

    Write your own by having these four members; nothing has to be inherited. Errors of any kind become a
    `SolverFailed` with the error as its cause. A method that is not asynchronous is called all the same; nothing else
    happens while it runs.
    """

    @property
    def challenge_type(self) -> str:
        """The type of challenge: `http-01`, `dns-01`, `tls-alpn-01`, `dns-account-01`, `dns-persist-01`."""
        ...

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Put all responses in place. Those that are there already are fine."""
        ...

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """Return once the CA can be expected to see all of them, or raise if it never will."""
        ...

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """Remove the responses, also after `present` failed halfway or was cancelled.

        It is no error if nothing is left to remove.
        """
        ...


Solvers: TypeAlias = Sequence[Solver] | Callable[[Identifier], Sequence[Solver]]
"""Solvers in the order of preference, or a function that returns those for one identifier: by name, zone or type."""


_MEMBERS: Final = ("challenge_type", "present", "wait", "clean_up")


def check_solvers(solvers: Solvers) -> None:
    """Check the form of solvers before anything is ordered for them, except of those that a function returns.

    Raises:
        TypeError: It is one solver rather than several, or one of them lacks a member of `Solver`.
    """
    if callable(solvers):
        return
    given: object = solvers
    if not isinstance(given, Collection):
        kind = type(given).__name__
        raise TypeError(f"solvers is a list of solvers, or a function that returns one, and no {kind}")
    for solver in given:
        if isinstance(solver, type):
            raise TypeError(f"{solver.__name__} is a class: make a solver of it")
        missing = [name for name in _MEMBERS if not hasattr(solver, name)]
        if missing:
            raise TypeError(f"{type(solver).__name__} is no solver: it has no {', '.join(missing)}")


def solvers_for(solvers: Solvers, identifier: Identifier) -> Sequence[Solver]:
    """Return the solvers for one identifier, in the order of preference."""
    return solvers(identifier) if callable(solvers) else solvers
