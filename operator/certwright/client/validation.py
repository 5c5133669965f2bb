"""Validate an order's domains: choose challenges, present responses, wait, answer, clean up."""

from __future__ import annotations

import asyncio
import inspect
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.acme import AcmeError, AuthorizationStatus, ChallengeStatus, OrderFailed
from certwright.acme.validation import Review
from certwright.challenges.proof import Proof
from certwright.challenges.solver import solvers_for
from certwright.client.errors import NoSolver, SolverFailed
from certwright.client.events import (
    AuthorizationReused,
    CleanedUp,
    CleanUpFailed,
    Presented,
    Presenting,
    Validating,
)
from certwright.concurrency import gather_all, run_shielded
from certwright.dns import DnsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from certwright.acme import Authorization, Challenge, Client, Order
    from certwright.challenges.solver import Solver, Solvers
    from certwright.client.events import OnEvent

CLEAN_UP_SECONDS: Final = 60.0
"""How long a solver may take to clean up, in seconds."""

_MAX_CONCURRENT_ANSWERS: Final = 10

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assignment:
    """The challenges that one solver answers."""

    solver: Solver
    proofs: tuple[Proof, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names as they appear in the order."""
        return tuple(proof.name for proof in self.proofs)


def assign(pending: Sequence[Proof], chosen: Sequence[Solver]) -> tuple[Assignment, ...]:
    """Group challenge responses by their solver, in the order in which the solvers appear."""
    grouped: dict[int, tuple[Solver, list[Proof]]] = {}
    for proof, solver in zip(pending, chosen, strict=True):
        grouped.setdefault(id(solver), (solver, []))[1].append(proof)
    return tuple(Assignment(solver, tuple(proofs)) for solver, proofs in grouped.values())


async def select(
    client: Client,
    order: Order,
    solvers: Solvers,
    notify: OnEvent,
    authorizations: Sequence[Authorization] | None = None,
) -> tuple[Assignment, ...]:
    """Choose a challenge and a solver for each domain: the first solver whose challenge the CA offers.

    Args:
        client: The account.
        order: A pending order.
        solvers: The available solvers.
        notify: Called for domains that are already validated.
        authorizations: The order's authorizations, if they have just been fetched.

    Raises:
        NoSolver: A domain has no suitable solver.
        OrderFailed: An authorization has already failed, so the order cannot become ready.
    """
    if authorizations is None:
        authorizations = await client.fetch_authorizations(order)
    if failed := Review.of(authorizations, ()).failed:
        raise OrderFailed(order, dict(failed))
    meta = (await client.server.directory()).meta
    proofs: list[Proof] = []
    chosen: list[Solver] = []
    unsolved: dict[str, tuple[str, ...]] = {}
    available: dict[str, None] = {}
    for authorization in authorizations:
        if authorization.status is AuthorizationStatus.VALID:
            notify(AuthorizationReused(authorization.name))
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
async def presented(assignments: Sequence[Assignment], notify: OnEvent) -> AsyncIterator[None]:
    """Present all responses and wait until they are visible; remove them at the end of the block in any case.

    Raises:
        SolverFailed: A response could not be put in place, or is not visible.
    """
    try:
        await _together([_present(assignment, notify) for assignment in assignments])
        yield
    finally:
        await run_shielded(_clean_up(assignments, notify), seconds=2 * CLEAN_UP_SECONDS)


async def answer(client: Client, assignments: Sequence[Assignment], notify: OnEvent) -> tuple[Challenge, ...]:
    """Answer all challenges: ask the CA to validate (RFC 8555 section 7.5.1).

    Returns:
        The challenges as last seen.
    """
    proofs = tuple(proof for assignment in assignments for proof in assignment.proofs)
    if not proofs:
        return ()
    notify(Validating(proofs))
    slots = asyncio.Semaphore(_MAX_CONCURRENT_ANSWERS)
    answered = [proof.challenge for proof in proofs]

    async def one(index: int, challenge: Challenge) -> None:
        # A challenge that is processing was answered before, and a second answer may count as another attempt.
        if challenge.status is ChallengeStatus.PENDING:
            async with slots:
                answered[index] = await client.answer_challenge(challenge)

    await _together([one(index, challenge) for index, challenge in enumerate(answered)])
    return tuple(answered)


async def _present(assignment: Assignment, notify: OnEvent) -> None:
    notify(Presenting(assignment.proofs))
    await _guarded(assignment, "present its answers", assignment.solver.present)
    notify(Presented(assignment.proofs))
    await _guarded(assignment, "make its answers visible", assignment.solver.wait)


async def _clean_up(assignments: Sequence[Assignment], notify: OnEvent) -> None:
    await gather_all(_clean_up_one(assignment, notify) for assignment in assignments)


async def _clean_up_one(assignment: Assignment, notify: OnEvent) -> None:
    try:
        async with asyncio.timeout(CLEAN_UP_SECONDS):
            await _guarded(assignment, "clean up", assignment.solver.clean_up)
    except (AcmeError, TimeoutError) as error:
        failure = error if isinstance(error, AcmeError) else _too_slow(assignment)
        logger.warning("%s", failure)
        notify(CleanUpFailed(assignment.proofs, failure))
    else:
        notify(CleanedUp(assignment.proofs))


async def _guarded(assignment: Assignment, doing: str, method: Callable[[Sequence[Proof]], Awaitable[None]]) -> None:
    """Call a method of a solver, whatever it is that somebody wrote."""
    try:
        work = method(assignment.proofs)
        # One that is not asynchronous has done its work by now.
        if inspect.isawaitable(work):
            await work
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Nobody cancelled this task: something in the solver was, and a group of tasks would take that for success.
        raise _failure(assignment, doing, error) from error
    except Exception as error:
        raise _failure(assignment, doing, error) from error


def _failure(assignment: Assignment, doing: str, error: BaseException) -> SolverFailed:
    # Our own errors are written for users. Other messages may contain anything, so only their type is shown.
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
        # The first failure cancelled the rest, so there is one error to report, and callers catch AcmeError.
        raise failures.exceptions[0] from failures.exceptions[0].__cause__
