"""From the order to the point where all of its names are proven: choose, present, wait, tell the CA, clean up."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.acme import AcmeError, AuthorizationStatus, ChallengeStatus
from certwright.challenges.proof import Proof
from certwright.challenges.solver import solvers_for
from certwright.client.clean_up import in_any_case
from certwright.client.errors import NoSolver, SolverFailed
from certwright.client.events import (
    AuthorizationReused,
    CleanedUp,
    CleanUpFailed,
    Presented,
    Presenting,
    Validating,
)
from certwright.dns import DnsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from certwright.acme import Client, Order
    from certwright.challenges.solver import Solver, Solvers
    from certwright.client.events import OnEvent

#: Seconds that a solver has to take its answers away.
CLEAN_UP_SECONDS: Final = 60.0

_MAX_CONCURRENT_ANSWERS: Final = 10

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assignment:
    """What one solver is to answer."""

    solver: Solver
    proofs: tuple[Proof, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names, as the order wrote them."""
        return tuple(proof.name for proof in self.proofs)


def assign(pending: Sequence[Proof], chosen: Sequence[Solver]) -> tuple[Assignment, ...]:
    """Group proofs by the solver that was chosen for each, in the order in which solvers appear."""
    grouped: dict[int, tuple[Solver, list[Proof]]] = {}
    for proof, solver in zip(pending, chosen, strict=True):
        grouped.setdefault(id(solver), (solver, []))[1].append(proof)
    return tuple(Assignment(solver, tuple(proofs)) for solver, proofs in grouped.values())


async def prepare(client: Client, order: Order, solvers: Solvers, notify: OnEvent) -> tuple[Assignment, ...]:
    """Find out what has to be proven, and by which solver: the first one that answers a challenge on offer.

    Raises:
        NoSolver: There is none for some name.
    """
    meta = (await client.server.directory()).meta
    proofs: list[Proof] = []
    chosen: list[Solver] = []
    unsolved: dict[str, tuple[str, ...]] = {}
    available: dict[str, None] = {}
    for authorization in await client.fetch_authorizations(order):
        if authorization.status is AuthorizationStatus.VALID:
            notify(AuthorizationReused(authorization.name))
            continue
        if authorization.status is not AuthorizationStatus.PENDING:
            # The order is lost; polling it says so and why.
            continue
        candidates = solvers_for(solvers, authorization.identifier)
        available |= dict.fromkeys(solver.challenge_type for solver in candidates)
        for solver in candidates:
            challenge = authorization.challenge(solver.challenge_type)
            if challenge is not None:
                proofs.append(Proof.of(client, meta, authorization, challenge))
                chosen.append(solver)
                break
        else:
            unsolved[authorization.name] = tuple(offer.type for offer in authorization.challenges)
    if unsolved:
        raise NoSolver(unsolved, tuple(available))
    return assign(proofs, chosen)


@asynccontextmanager
async def in_place(assignments: Sequence[Assignment], notify: OnEvent) -> AsyncIterator[None]:
    """Keep all answers in place, visible, for as long as the block runs; and take them away in any case.

    Raises:
        SolverFailed: An answer could not be put in place, or is not visible.
    """
    try:
        await _together([_present(assignment, notify) for assignment in assignments])
        yield
    finally:
        await in_any_case(_clean_up(assignments, notify), seconds=2 * CLEAN_UP_SECONDS)


async def tell(client: Client, assignments: Sequence[Assignment], notify: OnEvent) -> None:
    """Tell the CA to look at all answers (RFC 8555 section 7.5.1)."""
    proofs = tuple(proof for assignment in assignments for proof in assignment.proofs)
    if not proofs:
        return
    notify(Validating(proofs))
    slots = asyncio.Semaphore(_MAX_CONCURRENT_ANSWERS)

    async def answer(proof: Proof) -> None:
        # One that is processing was answered before, and a second answer may count as another attempt.
        if proof.challenge.status is ChallengeStatus.PENDING:
            async with slots:
                await client.answer_challenge(proof.challenge)

    await _together([answer(proof) for proof in proofs])


async def _present(assignment: Assignment, notify: OnEvent) -> None:
    notify(Presenting(assignment.proofs))
    await _guarded(assignment, "present its answers", assignment.solver.present(assignment.proofs))
    notify(Presented(assignment.proofs))
    await _guarded(assignment, "make its answers visible", assignment.solver.wait(assignment.proofs))


async def _clean_up(assignments: Sequence[Assignment], notify: OnEvent) -> None:
    await asyncio.gather(*(_clean_up_one(assignment, notify) for assignment in assignments))


async def _clean_up_one(assignment: Assignment, notify: OnEvent) -> None:
    try:
        async with asyncio.timeout(CLEAN_UP_SECONDS):
            await _guarded(assignment, "clean up", assignment.solver.clean_up(assignment.proofs))
    except (AcmeError, TimeoutError) as error:
        failure = error if isinstance(error, AcmeError) else _too_slow(assignment)
        logger.warning("%s", failure)
        notify(CleanUpFailed(assignment.proofs, failure))
    else:
        notify(CleanedUp(assignment.proofs))


async def _guarded(assignment: Assignment, doing: str, work: Awaitable[None]) -> None:
    try:
        await work
    except Exception as error:
        raise _failure(assignment, doing, error) from error


def _failure(assignment: Assignment, doing: str, error: Exception) -> SolverFailed:
    # Our own errors are made to be read. The text of others might hold anything, so their kind has to do.
    reason = str(error) if isinstance(error, AcmeError | DnsError) else type(error).__name__
    return SolverFailed(doing, challenge_type=assignment.solver.challenge_type, names=assignment.names, reason=reason)


def _too_slow(assignment: Assignment) -> SolverFailed:
    kind, reason = assignment.solver.challenge_type, f"it took longer than {CLEAN_UP_SECONDS:g} s"
    return SolverFailed("clean up", challenge_type=kind, names=assignment.names, reason=reason)


async def _together(work: Sequence[Awaitable[None]]) -> None:
    async def one(item: Awaitable[None]) -> None:
        await item

    try:
        async with asyncio.TaskGroup() as group:
            for item in work:
                group.create_task(one(item))
    except ExceptionGroup as failures:
        # The first failure cancelled the rest: there is one thing to report, and callers catch AcmeError.
        raise failures.exceptions[0] from failures.exceptions[0].__cause__
