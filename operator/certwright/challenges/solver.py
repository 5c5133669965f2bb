"""The protocol of what answers challenges: present, wait until it can be seen, clean up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from certwright.acme import Identifier

if TYPE_CHECKING:
    from certwright.challenges.proof import Proof


class Solver(Protocol):
    """Puts the responses to one type of challenge where the CA looks for them, for many domains at a time.

    Write your own by having these four members; nothing has to be inherited. Errors of any kind become a
    `SolverFailed` with the error as its cause.
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


def solvers_for(solvers: Solvers, identifier: Identifier) -> Sequence[Solver]:
    """Return the solvers for one identifier, in the order of preference."""
    return solvers(identifier) if callable(solvers) else solvers
