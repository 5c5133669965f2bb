"""The protocol of solvers: present responses, wait until they are visible, clean up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from certwright.acme import Identifier

if TYPE_CHECKING:
    from certwright.challenges.proof import Proof


class Solver(Protocol):
    """Presents the responses for one type of challenge, for many domains at a time.

    To write your own, implement these four members; no base class is needed. Any exception becomes a `SolverFailed`
    with that exception as its cause. A method that is not asynchronous is called all the same; nothing else
    happens while it runs.
    """

    @property
    def challenge_type(self) -> str:
        """The type of challenge: `http-01`, `dns-01`, `tls-alpn-01`, `dns-account-01`, `dns-persist-01`."""
        ...

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Put all responses where the CA looks for them. Some may already be in place."""
        ...

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """Return once the CA can be expected to see all responses; raise an exception if it never will."""
        ...

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """Remove the responses, also if `present` failed or was cancelled halfway.

        Responses that no longer exist are not an error.
        """
        ...


Solvers: TypeAlias = Sequence[Solver] | Callable[[Identifier], Sequence[Solver]]
"""Solvers in order of preference, or a function that returns the solvers for an identifier."""


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
    """Return the solvers for one identifier, in order of preference."""
    return solvers(identifier) if callable(solvers) else solvers
