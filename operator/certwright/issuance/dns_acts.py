"""Acts against the DNS: present the records, see whether they are served, take them away."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from typing import TYPE_CHECKING, Final, TypeVar

from certwright.dns import DnsError
from certwright.issuance.case import presented_records
from certwright.issuance.failures import IssuanceError
from certwright.issuance.order_acts import solvers_for
from certwright.issuance.secret_manifest import pending_key_name
from certwright.issuance.solver_choice import choose_solver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from certwright.dns import TxtRecord
    from certwright.issuance.case import Case
    from certwright.issuance.steps import CleanUp
    from certwright.issuance.tools import Tools
    from certwright.solvers.dns01 import Dns01Solver

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_CHECK_SECONDS: Final = 0.2
LONGEST_CHECK_SECONDS: Final = 5.0


async def present(case: Case, tools: Tools) -> None:
    """Put all records into the DNS together; those of different providers side by side."""
    flight, now = case.flight, tools.clock()
    # Made anew, because the credentials that failed at the last try may have been corrected meanwhile.
    case.memory.solvers = await solvers_for(case, tools, flight.records)
    await _side_by_side(solver.present(records) for solver, records in _by_solver(flight.records, case.memory.solvers))
    flight.presented_at = now
    flight.propagated = False
    flight.checks = 0
    flight.next_look = now
    case.note("WaitingForDNS", "Waiting until the authoritative servers show the DNS records.")


async def check_propagation(case: Case, tools: Tools) -> None:
    """Ask the authoritative servers once; set the time of the next look if some do not have the records yet.

    Raises:
        IssuanceError: The servers still lack them after the solver's ``propagationTimeout``.
    """
    flight, now = case.flight, tools.clock()
    presented_at = flight.presented_at or now
    groups = _by_solver(flight.records, case.memory.solvers)
    answers = await _side_by_side(solver.check(records) for solver, records in groups)
    seen = {propagation.record: propagation for propagations in answers for propagation in propagations}
    missing = [name for name, record in flight.records.items() if not seen[record].complete]
    flight.checks += 1
    if not missing:
        flight.propagated = True
        return
    words = {name: seen[flight.records[name]].describe() for name in missing}
    case.change_authorizations(
        **{name: {"last_seen": text[:4000], "last_look_time": now} for name, text in words.items()}
    )
    first = missing[0]
    record = flight.records[first]
    what = f"{record.name} TXT {record.value} for {first} is not visible: {words[first]}"
    more = f" ({len(missing) - 1} more names wait as well)" if len(missing) > 1 else ""
    waited = tools.clock() - presented_at
    patience = _patience(case, missing)
    if waited >= patience:
        flight.presented_at = None  # the next try writes them again
        raise IssuanceError(
            "RecordNotVisible",
            f"After {waited.total_seconds():.0f} s {what}{more}. Check the zone's servers, or the solver's "
            "authoritativeNameservers and nameservers.",
            by_name=words,
        )
    pause = min(FIRST_CHECK_SECONDS * 2 ** (flight.checks - 1), LONGEST_CHECK_SECONDS)
    flight.next_look = tools.clock() + min(dt.timedelta(seconds=pause), patience - waited)
    case.note("WaitingForDNS", f"{what}{more}.")


async def clean_up(case: Case, tools: Tools, step: CleanUp) -> None:
    """Remove the records that nobody else needs; then the pending key and the order, unless it is kept to be read."""
    records = presented_records(case.status)
    try:
        await _remove(case, tools, records)
    except (DnsError, IssuanceError) as error:
        if not step.last_try:
            raise
        leave_behind(case, tools, f"The last of many tries failed: {error}")
    case.change_authorizations(**{name: {"presented": False} for name in records})
    if not step.keep_order:
        namespace = case.certificate.metadata.namespace or ""
        await tools.gateway.delete_secret(namespace, pending_key_name(case.certificate))
        case.status = case.status.replace(order=None)
        case.memory.end_flight()
    case.memory.tidied_up()


def leave_behind(case: Case, tools: Tools, why: str) -> None:
    """Give up on the records that are still outside, and say so."""
    left = presented_records(case.status).values()
    names = ", ".join(sorted({record.name for record in left}))
    message = f"TXT records stay behind that could not be removed: {names}. {why}"
    logger.warning("%s: %s", case.certificate.display_name, message)
    tools.recorder.record(case.subject, "Warning", "RecordsLeftBehind", message)
    tools.ledger.forget(case.certificate.metadata.uid)


async def _remove(case: Case, tools: Tools, records: dict[str, TxtRecord]) -> None:
    async with tools.ledger.releasing(case.certificate.metadata.uid, records.values()) as removable:
        needed = {name: record for name, record in records.items() if record in removable}
        if needed:
            solvers = await _solvers_of(case, tools, needed)
            await _side_by_side(solver.clean_up(group) for solver, group in _by_solver(needed, solvers))


async def _solvers_of(case: Case, tools: Tools, records: dict[str, TxtRecord]) -> dict[str, Dns01Solver]:
    """The solvers that presented the records: kept ones, else, and after a failure, made anew from the issuer."""
    kept = case.memory.solvers
    unknown = [name for name in records if name not in kept]
    again = case.memory.clean_up_failures > 0 and case.issuer is not None
    if not unknown and not again:
        return kept
    if case.issuer is None:
        raise IssuanceError(
            "CleanUpBlocked",
            f"The record {records[unknown[0]].name} cannot be removed, because the issuer with the credentials is not "
            f"ready: {case.issuer_view.message or 'it is not loaded yet'}",
        )
    try:
        return {**kept, **await solvers_for(case, tools, records if again else unknown)}
    except (IssuanceError, DnsError):
        if unknown:
            raise
        return kept  # the issuer has no solver for the name any more


def _by_solver(
    records: dict[str, TxtRecord], solvers: dict[str, Dns01Solver]
) -> list[tuple[Dns01Solver, list[TxtRecord]]]:
    groups: dict[int, tuple[Dns01Solver, list[TxtRecord]]] = {}
    for name, record in records.items():
        solver = solvers[name]
        groups.setdefault(id(solver), (solver, []))[1].append(record)
    return list(groups.values())


def _patience(case: Case, names: Iterable[str]) -> dt.timedelta:
    """The longest of the time-outs that the solvers of these names have."""
    issuer, labels = case.ready_issuer, case.certificate.metadata.labels
    chosen = (choose_solver(issuer.spec.solvers, name, labels).dns01 for name in names)
    return max((dns01.propagation_timeout for dns01 in chosen if dns01 is not None), default=dt.timedelta())


async def _side_by_side(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for every one, also when one fails: none may go on behind the back of the next step."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
