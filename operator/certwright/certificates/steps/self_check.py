"""Acts of the solvers: put the proofs in place, see whether they are served, take them away."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Final

from certwright.certificates.presenters import by_solver, present_all, same_solvers, solvers_for
from certwright.certificates.responses import presented_proofs, solver_objects
from certwright.certificates.secret import pending_key_name
from certwright.certificates.steps.present import exchange_objects, leave_other_places
from certwright.challenges.response import ChallengeResponse, FileResponse, RecordResponse
from certwright.concurrency import gather_all
from certwright.dns import DnsError
from certwright.failures import IssuanceError
from certwright.http01.errors import SolverError
from certwright.kube.errors import KubeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.certificates.observation import Case
    from certwright.certificates.steps.resting import CleanUp
    from certwright.certificates.tools import Tools
    from certwright.challenges.presenter import Presenter
    from certwright.challenges.response import Sighting

logger = logging.getLogger(__name__)

DNS01: Final = "dns-01"
FIRST_CHECK_SECONDS: Final = 0.2
GROWTH_OF_CHECKS: Final = 1.25
LONGEST_CHECK_SECONDS: Final = 5.0
MAX_WARNINGS: Final = 10
"""Of one order: what changes to and fro is told once."""


async def present(case: Case, tools: Tools) -> None:
    """Put all proofs in place together; those of different solvers side by side."""
    flight, now = case.flight, tools.clock()
    # Made anew, because the credentials that failed at the last try may have been corrected meanwhile.
    before, case.memory.solvers = case.memory.solvers, await same_solvers(case, tools, flight.proofs)
    await leave_other_places(case, tools, before)
    await exchange_objects(case, tools)
    await present_all(flight.proofs, case.memory.solvers)
    flight.presented_at = now
    flight.propagated = False
    flight.checks = 0
    flight.next_look = now
    _say_waiting(case, "The proofs are in place; waiting until they can be seen.")


async def self_check(case: Case, tools: Tools) -> None:
    """Look once for every proof; set the time of the next look if some are not to be seen yet.

    Raises:
        IssuanceError: Some that are required are not to be seen after their solver's patience.
    """
    flight, now = case.flight, tools.clock()
    presented_at = flight.presented_at or now
    seen = await _look(flight.proofs, case.memory.solvers)
    # What is answered already is the CA's to look for.
    missing = sorted(name for name in flight.challenges if not seen[name].complete)
    flight.checks += 1
    waited = tools.clock() - presented_at
    advisory = [name for name in missing if case.memory.solvers[name].self_check == "advisory"]
    given_up = [name for name in advisory if waited >= case.memory.solvers[name].patience]
    blocking = [name for name in missing if name not in given_up]
    words = {name: seen[name].describe() for name in missing}
    if words:
        case.change_authorizations(
            **{name: {"last_seen": text[:4000], "last_look_time": now} for name, text in words.items()}
        )
    if not blocking:
        flight.propagated = True
        if given_up:
            what = _describe_missing(flight.proofs, words, given_up)
            message = f"{what}. The CA is asked all the same (selfCheck: advisory)."
            tools.recorder.record(case.subject, "Warning", "SelfCheckSkipped", message)
        return
    what = _describe_missing(flight.proofs, words, blocking)
    patience = max(case.memory.solvers[name].patience for name in blocking)
    if waited >= patience:
        flight.presented_at = None  # the next try puts them in place again
        raise IssuanceError(
            flight.proofs[blocking[0]].failure_reason,
            f"After {waited.total_seconds():.0f} s {what}. {flight.proofs[blocking[0]].advice}",
            by_name=words,
        )
    pause = min(FIRST_CHECK_SECONDS * GROWTH_OF_CHECKS ** min(flight.checks - 1, 20), LONGEST_CHECK_SECONDS)
    flight.next_look = tools.clock() + min(dt.timedelta(seconds=pause), patience - waited)
    late = [name for name in blocking if waited >= flight.proofs[name].warn_after]
    if late:
        _warn(case, tools, {name: seen[name] for name in late}, words)
    _say_waiting(case, f"{what}.")


def _warn(case: Case, tools: Tools, late: Mapping[str, Sighting], words: Mapping[str, str]) -> None:
    """Tell by an Event, well before the patience is over, that proofs are not to be seen, and every new cause of it."""
    known, proofs = case.flight.warned, case.flight.proofs
    new = [name for name, sighting in late.items() if (proofs[name].waiting_reason, sighting.cause) not in known]
    if not new or len(known) >= MAX_WARNINGS:
        return
    known |= {(proofs[name].waiting_reason, late[name].cause) for name in new}
    message = f"{_describe_missing(proofs, words, new)}."
    tools.recorder.record(case.subject, "Warning", proofs[new[0]].waiting_reason, message)
    case.memory.saved_at = None  # the status is to say it too, at once


async def clean_up(case: Case, tools: Tools, step: CleanUp) -> None:
    """Remove the proofs that nobody else needs; then the pending key and the order, unless it is kept to be read."""
    proofs = presented_proofs(case.status)
    try:
        await gather_all((_remove_records(case, tools, proofs), _remove_resources(case, tools, proofs)))
    except (DnsError, IssuanceError, SolverError, KubeError) as error:
        if not step.last_try:
            raise
        leave_behind(case, tools, f"The last of many tries failed: {error}")
    case.change_authorizations(**{name: {"presented": False} for name in proofs})
    case.change_order(solver_objects=())
    if not step.keep_order:
        namespace = case.certificate.metadata.namespace or ""
        await tools.kube_api.delete_secret(namespace, pending_key_name(case.certificate))
        case.status = case.status.replace(order=None)
        case.memory.end_flight()
    case.memory.tidied_up()


def leave_behind(case: Case, tools: Tools, why: str) -> None:
    """Give up on the proofs that are still outside, and say so."""
    proofs = presented_proofs(case.status).values()
    records = sorted({proof.name for proof in proofs if isinstance(proof, RecordResponse)})
    objects = [f"{one.kind} {one.name}" for one in solver_objects(case.status)]
    left = [*(f"the TXT record {name}" for name in records), *objects]
    message = f"What could not be removed stays behind: {', '.join(left)}. {why}"
    logger.warning("%s: %s", case.certificate.display_name, message)
    tools.recorder.record(case.subject, "Warning", "LeftBehind", message)
    tools.ledger.forget(case.certificate.metadata.uid)


async def _look(proofs: Mapping[str, ChallengeResponse], solvers: Mapping[str, Presenter]) -> dict[str, Sighting]:
    """What was seen, by authorization name."""
    groups = by_solver(proofs, solvers)
    answers = await gather_all(solver.check(group) for solver, group in groups)
    by_proof = {
        proof: sighting
        for (_, group), sightings in zip(groups, answers, strict=True)
        for proof, sighting in zip(group, sightings, strict=True)
    }
    return {name: by_proof[proof] for name, proof in proofs.items()}


async def _remove_records(case: Case, tools: Tools, proofs: Mapping[str, ChallengeResponse]) -> None:
    """Remove TXT records with the solvers that presented them, but for those that other Certificates need."""
    records = {name: proof for name, proof in proofs.items() if isinstance(proof, RecordResponse)}
    async with tools.ledger.releasing(case.certificate.metadata.uid, records.values()) as removable:
        needed: dict[str, ChallengeResponse] = {name: record for name, record in records.items() if record in removable}
        if needed:
            solvers = await _solvers_of(case, tools, needed)
            await gather_all(solver.clean_up(group) for solver, group in by_solver(needed, solvers))


async def _remove_resources(case: Case, tools: Tools, proofs: Mapping[str, ChallengeResponse]) -> None:
    """Remove what answers for files. It is found by its labels and by the status: no issuer is needed for it."""
    resources = [proof for proof in proofs.values() if isinstance(proof, FileResponse)]
    if resources:
        await tools.solvers.remove_http01(case.certificate, solver_objects(case.status), resources)


async def _solvers_of(case: Case, tools: Tools, proofs: Mapping[str, ChallengeResponse]) -> dict[str, Presenter]:
    """The solvers that presented the records: kept ones, else, and after a failure, made anew from the issuer."""
    kept = case.memory.solvers
    unknown = [name for name in proofs if name not in kept]
    again = case.memory.clean_up_failures > 0 and case.issuer is not None
    if not unknown and not again:
        return kept
    if case.issuer is None:
        raise IssuanceError(
            "CleanUpBlocked",
            f"The record for {unknown[0]} cannot be removed, because the issuer with the credentials is not ready: "
            f"{case.issuer_view.message or 'it is not loaded yet'}",
        )
    try:
        made = await solvers_for(case, tools, proofs if again else unknown)
    except (IssuanceError, DnsError):
        if unknown:
            raise
        return kept  # the issuer has no solver for the name any more
    solvers = {**kept, **{name: solver for name, solver in made.items() if solver.challenge_type == DNS01}}
    if left := [name for name in unknown if name not in solvers]:
        raise IssuanceError(
            "CleanUpBlocked",
            f"The record for {left[0]} cannot be removed: the issuer has no dns01 solver for it any more.",
        )
    return solvers


def _say_waiting(case: Case, message: str) -> None:
    case.note(min(proof.waiting_reason for proof in case.flight.proofs.values()), message)


def _describe_missing(proofs: Mapping[str, ChallengeResponse], words: Mapping[str, str], names: list[str]) -> str:
    first = names[0]
    others = len(names) - 1
    what = proofs[first].describe_missing(first, words[first])
    return what + (f" ({others} more name{'s wait' if others > 1 else ' waits'} as well)" if others else "")
