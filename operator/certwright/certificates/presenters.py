"""Which solver answers for which name, and what they do together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.challenges.response import RecordResponse
from certwright.concurrency import gather_all
from certwright.failures import IssuanceError
from certwright.issuers.solver_choice import choose_solver

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from certwright.certificates.observation import Case
    from certwright.certificates.tools import Tools
    from certwright.challenges.presenter import Presenter
    from certwright.challenges.response import ChallengeResponse


async def solvers_for(case: Case, tools: Tools, names: Iterable[str]) -> dict[str, Presenter]:
    """Choose and make the solver for each name; names with the same solver of the issuer share one."""
    solvers = case.ready_issuer.spec.solvers
    labels = case.certificate.metadata.labels
    made: dict[int, Presenter] = {}
    by_name: dict[str, Presenter] = {}
    for name in names:
        chosen = choose_solver(solvers, name, labels)
        if id(chosen) not in made:
            made[id(chosen)] = await tools.solvers.make(case.ready_issuer, chosen, case.certificate)
        by_name[name] = made[id(chosen)]
    return by_name


async def same_solvers(case: Case, tools: Tools, proofs: Mapping[str, ChallengeResponse]) -> dict[str, Presenter]:
    """The solvers for proofs that were chosen earlier, made anew.

    Raises:
        IssuanceError: The issuer has a solver of another kind for a name by now: another order is made.
    """
    solvers = await solvers_for(case, tools, proofs)
    for name, proof in proofs.items():
        if (solvers[name].challenge_type == "dns-01") != isinstance(proof, RecordResponse):
            # No order has this digest, so the plan gives this one up: proofs first, then a new order.
            case.change_order(spec_hash="gone")
            raise IssuanceError(
                "SolverChanged",
                f"The issuer's solver for {name} is {solvers[name].challenge_type} by now, and the order was begun "
                "with another: a new one is made.",
            )
    return solvers


async def present_all(proofs: Mapping[str, ChallengeResponse], solvers: Mapping[str, Presenter]) -> None:
    """Put all proofs in place together; those of different solvers side by side."""
    await gather_all(solver.present(group) for solver, group in by_solver(proofs, solvers))


def by_solver(
    proofs: Mapping[str, ChallengeResponse], solvers: Mapping[str, Presenter]
) -> list[tuple[Presenter, list[ChallengeResponse]]]:
    """Group proofs by the solver of their name, each solver once."""
    groups: dict[int, tuple[Presenter, list[ChallengeResponse]]] = {}
    for name, proof in proofs.items():
        solver = solvers[name]
        groups.setdefault(id(solver), (solver, []))[1].append(proof)
    return list(groups.values())
