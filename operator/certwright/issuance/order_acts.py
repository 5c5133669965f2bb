"""Acts against the CA: start or resume the order, answer, poll, finalize, find out why it failed."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from certwright.acme import Identifier, OrderNotReady
from certwright.dns import TxtRecord
from certwright.issuance.failures import IssuanceError
from certwright.issuance.observed import Flight
from certwright.issuance.private_keys import obtain_key
from certwright.issuance.proofs import must_be_held, objects_to_make, presented_proofs, proof_fields, proof_of
from certwright.issuance.saving import hold, save
from certwright.issuance.solver_choice import choose_solver
from certwright.pki import build_csr
from certwright.resources import AuthorizationStatus, ChallengeStatus, OrderStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.acme import Authorization, Challenge, Order
    from certwright.issuance.case import Case
    from certwright.issuance.steps import StartOrder
    from certwright.issuance.tools import Tools
    from certwright.resources import SolverObjectStatus
    from certwright.solvers.proof import Proof
    from certwright.solvers.solver import Solver

MAX_CONCURRENT_ANSWERS: Final = 10
FIRST_POLL_SECONDS: Final = 0.25
LONGEST_POLL_SECONDS: Final = 15.0
LONGEST_ORDER: Final = dt.timedelta(days=7)
"""How long an order is followed if it does not end before; that is how long Let's Encrypt keeps one."""
LONGEST_ASKED_SECONDS: Final = 3600.0
"""A longer Retry-After than this is not believed while an order is under way."""


async def start_order(case: Case, tools: Tools, step: StartOrder) -> None:
    """Order, and write down the order and every proof before any of them is put in place.

    What can fail without the CA (solvers, credentials, CNAMEs) comes first: a mistake there costs no order.
    """
    issuer, wanted, memory = case.ready_issuer, case.wanted, case.memory
    if wanted is None:
        raise AssertionError("an order was planned without knowing what is wanted")
    now = tools.clock()
    memory.end_flight()
    memory.started_at = now
    case.note("Ordering", f"Ordering a certificate from {issuer.spec.server}: {step.message}.")
    solvers = await solvers_for(case, tools, wanted.names)
    places = dict(
        zip(wanted.names, await asyncio.gather(*(solvers[name].place(name) for name in wanted.names)), strict=True)
    )
    if case.secret is None and case.status.revision:
        # It is often gone because its namespace is going. Nothing can be created there then: no order is placed.
        await obtain_key(case, tools.gateway)
    tools.recorder.record(case.subject, "Normal", "Issuing", f"Ordering a certificate ({step.reason}): {step.message}.")
    lifetime = wanted.duration_seconds
    order = await issuer.client.new_order(
        [Identifier.dns(name) for name in wanted.names],
        profile=wanted.profile,
        not_after=None if lifetime is None else now + dt.timedelta(seconds=lifetime),
    )
    authorizations = await issuer.client.fetch_authorizations(order)
    flight = Flight(order=order, next_look=now)
    for authorization in _unproved(authorizations):
        name = authorization.name
        if name not in places:
            raise IssuanceError(
                "ForeignAuthorization",
                f"The CA wants {name} proved, which is none of the certificate's names. A CA that wants the domain "
                "above them proved is not supported.",
                costly=True,
            )
        solver = solvers[name]
        challenge = _challenge(authorization, solver.challenge_type)
        token = challenge.token or ""
        flight.challenges[name] = challenge
        flight.proofs[name] = solver.proof(places[name], token, issuer.client.key_authorization(token))
    await _hold_records(case, tools, flight.proofs)
    memory.solvers = {name: solvers[name] for name in flight.proofs}
    made = objects_to_make(flight.proofs, memory.solvers)
    case.status = case.status.replace(
        order=OrderStatus(
            url=order.url,
            account_url=wanted.account_url,
            server=wanted.server,
            names=wanted.names,
            spec_hash=wanted.fingerprint,
            state=order.status.value,
            created_at=now,
            expires=order.expires,
            authorizations=_entries(authorizations, flight),
            solver_objects=made,
        )
    )
    if must_be_held(flight.proofs, made):
        await hold(case, tools)
    case.note("Presenting", f"Putting in place {_counted(flight.proofs, made)}: {step.message}.")
    await save(case, tools)
    memory.flight = flight


async def resume_order(case: Case, tools: Tools) -> None:
    """Fetch the order of an earlier process and go on where it was."""
    issuer, kept = case.ready_issuer, case.status.order
    if kept is None or kept.url is None:
        raise AssertionError("there is no order to resume")
    if urlsplit(kept.url).netloc != urlsplit(issuer.account_url).netloc:
        raise IssuanceError(
            "OrderElsewhere",
            f"status.order.url, {kept.url[:200]}, is not at the host of the account. Somebody changed it; the order is "
            "given up.",
            costly=True,
        )
    order = await issuer.client.fetch_order(kept.url)
    flight = Flight(order=order, next_look=tools.clock())
    if order.status == "pending":
        authorizations = await issuer.client.fetch_authorizations(order)
        kept_proofs = {entry.name: proof_of(entry) for entry in kept.authorizations}
        for authorization in _unproved(authorizations):
            proof = kept_proofs.get(authorization.name)
            if proof is None:
                raise IssuanceError(
                    "OrderChanged",
                    f"The order {kept.url} asks for {authorization.name}, which it did not before.",
                    costly=True,
                )
            challenge = _challenge(authorization, "dns-01" if isinstance(proof, TxtRecord) else "http-01")
            if challenge.status == "pending":
                flight.challenges[authorization.name] = challenge
                flight.proofs[authorization.name] = proof
        case.memory.solvers = await same_solvers(case, tools, flight.proofs)
        case.change_order(authorizations=_entries(authorizations, flight, kept.authorizations))
        if flight.proofs:
            made = objects_to_make(flight.proofs, case.memory.solvers)
            known = (case.status.order or kept).solver_objects
            case.change_order(solver_objects=tuple(dict.fromkeys([*known, *made])))
    outside = presented_proofs(case.status)
    await _hold_records(case, tools, outside)
    if must_be_held(outside, (case.status.order or kept).solver_objects):
        await hold(case, tools)  # an earlier try may have failed between the order and this
    case.memory.resumed = True
    case.memory.flight = flight
    case.memory.started_at = kept.created_at
    _show_state(case, order)
    case.note("Resuming", f"Going on with the order {kept.url}, which is {order.status.value}.")


async def answer_challenges(case: Case, tools: Tools) -> None:
    """Tell the CA to look at every proof, and persist the private key meanwhile."""
    flight, client = case.flight, case.ready_issuer.client
    places = asyncio.Semaphore(MAX_CONCURRENT_ANSWERS)
    asked: list[float] = []

    async def answer(name: str, challenge: Challenge) -> None:
        async with places:
            answered = await client.answer_challenge(challenge)
        # One that was answered is not answered again when another one fails: some CAs hang at a second answer.
        del flight.challenges[name]
        if answered.retry_after is not None:
            asked.append(answered.retry_after)

    names = sorted(flight.challenges)
    case.note("Validating", f"{case.ready_issuer.spec.server} is validating {_listed(names)}.")
    results = await asyncio.gather(
        obtain_key(case, tools.gateway),
        *(answer(name, flight.challenges[name]) for name in names),
        return_exceptions=True,
    )
    for result in results:
        if isinstance(result, BaseException):
            raise result
    flight.polls = 0
    _wait(flight, max(asked, default=None), tools.clock())


async def poll_order(case: Case, tools: Tools) -> None:
    """Ask the CA once how far the order is.

    Raises:
        IssuanceError: It is nowhere, although its time is over: it would be asked about for ever.
    """
    flight = case.flight
    before = flight.order.status
    flight.order = await case.ready_issuer.client.fetch_order(flight.order.url)
    flight.polls = flight.polls + 1 if flight.order.status is before else 0
    now = tools.clock()
    latest = (case.memory.started_at or now) + LONGEST_ORDER
    end = latest if flight.order.expires is None else min(flight.order.expires, latest)
    if flight.order.status in ("pending", "processing") and now > end:
        raise IssuanceError(
            "OrderExpired",
            f"The order {flight.order.url} is still {flight.order.status.value}, and its time was over at "
            f"{end:%Y-%m-%dT%H:%M:%SZ}. Another one is made.",
            costly=True,
        )
    _show_state(case, flight.order)
    _wait(flight, flight.order.retry_after, now)


async def finalize(case: Case, tools: Tools) -> None:
    """Send the CSR for the key that is in a Secret by now."""
    flight, certificate = case.flight, case.certificate
    key = await obtain_key(case, tools.gateway)
    csr = await asyncio.to_thread(
        build_csr,
        key,
        dns_names=[identifier.value for identifier in flight.order.identifiers],
        common_name=certificate.spec.common_name,
    )
    case.note("Finalizing", f"{case.ready_issuer.spec.server} is issuing the certificate.")
    try:
        flight.order = await case.ready_issuer.client.finalize(flight.order, csr)
    except OrderNotReady:
        # An earlier process sent the CSR and was ended before it heard of it: the order itself tells.
        flight.order = await case.ready_issuer.client.fetch_order(flight.order.url)
        if flight.order.status == "ready":
            raise IssuanceError(
                "OrderNotReady", f"{case.ready_issuer.spec.server} says that the order is ready, and that it is not."
            ) from None
    flight.finalized = True
    flight.polls = 0
    _show_state(case, flight.order)
    _wait(flight, flight.order.retry_after, tools.clock())


async def record_failure(case: Case, tools: Tools) -> None:  # noqa: ARG001 - every act has the same form
    """Find out which names failed and why.

    Raises:
        IssuanceError: Always; it carries what was found.
    """
    error = await case.ready_issuer.client.order_failure(case.flight.order)
    by_name = {name: str(problem) for name, problem in error.by_identifier.items()}
    reason = "ValidationFailed" if by_name else "OrderFailed"
    raise IssuanceError(reason, f"{error}. The last good certificate, if any, stays.", costly=True, by_name=by_name)


async def solvers_for(case: Case, tools: Tools, names: Iterable[str]) -> dict[str, Solver]:
    """Choose and make the solver for each name; names with the same solver of the issuer share one."""
    solvers = case.ready_issuer.spec.solvers
    labels = case.certificate.metadata.labels
    made: dict[int, Solver] = {}
    by_name: dict[str, Solver] = {}
    for name in names:
        chosen = choose_solver(solvers, name, labels)
        if id(chosen) not in made:
            made[id(chosen)] = await tools.solvers.make(case.ready_issuer, chosen, case.certificate)
        by_name[name] = made[id(chosen)]
    return by_name


async def same_solvers(case: Case, tools: Tools, proofs: dict[str, Proof]) -> dict[str, Solver]:
    """The solvers for proofs that were chosen earlier, made anew.

    Raises:
        IssuanceError: The issuer has a solver of another kind for a name by now: another order is made.
    """
    solvers = await solvers_for(case, tools, proofs)
    for name, proof in proofs.items():
        if (solvers[name].challenge_type == "dns-01") != isinstance(proof, TxtRecord):
            # No order has this digest, so the plan gives this one up: proofs first, then a new order.
            case.change_order(spec_hash="gone")
            raise IssuanceError(
                "SolverChanged",
                f"The issuer's solver for {name} is {solvers[name].challenge_type} by now, and the order was begun "
                "with another: a new one is made.",
            )
    return solvers


async def _hold_records(case: Case, tools: Tools, proofs: dict[str, Proof]) -> None:
    records = [proof for proof in proofs.values() if isinstance(proof, TxtRecord)]
    await tools.ledger.hold(case.certificate.metadata.uid, records)


def _counted(proofs: dict[str, Proof], made: tuple[SolverObjectStatus, ...]) -> str:
    records = sum(isinstance(proof, TxtRecord) for proof in proofs.values())
    files = len(proofs) - records
    parts = []
    if records or not files:
        parts.append(f"{records} DNS record{'s' * (records != 1)}")
    if files:
        kinds = ", ".join(f"{one.kind} {one.name}" for one in made[:4])
        parts.append(f"{files} file{'s' * (files != 1)} ({kinds})")
    return " and ".join(parts)


def _unproved(authorizations: Iterable[Authorization]) -> list[Authorization]:
    return [authorization for authorization in authorizations if authorization.status == "pending"]


def _challenge(authorization: Authorization, challenge_type: str) -> Challenge:
    challenge = authorization.challenge(challenge_type)
    if challenge is None or challenge.token is None:
        offered = ", ".join(challenge.type for challenge in authorization.challenges) or "nothing"
        raise IssuanceError(
            "NoChallenge",
            f"The CA offers no {challenge_type} challenge for {authorization.name}; it offers {offered}.",
            costly=True,
        )
    return challenge


def _entries(
    authorizations: Iterable[Authorization], flight: Flight, kept: Iterable[AuthorizationStatus] = ()
) -> tuple[AuthorizationStatus, ...]:
    known = {entry.name: entry for entry in kept}
    entries = []
    for authorization in sorted(authorizations, key=lambda one: one.name):
        proof = flight.proofs.get(authorization.name)
        challenge = flight.challenges.get(authorization.name)
        entry = known.get(authorization.name) or AuthorizationStatus(name=authorization.name, state="pending")
        changes: dict[str, object] = {"url": authorization.url, "state": authorization.status.value}
        if proof is not None and challenge is not None:
            shown = ChallengeStatus(type=challenge.type, url=challenge.url)
            changes |= {"challenge": shown, **proof_fields(proof), "presented": True}
        entries.append(entry.replace(**changes))
    return tuple(entries)


def _show_state(case: Case, order: Order) -> None:
    """Put the state into the draft. ``invalid`` follows with its reasons: written alone, it would look dealt with."""
    if order.status != "invalid":
        case.change_order(state=order.status.value)


def _wait(flight: Flight, asked: float | None, now: dt.datetime) -> None:
    """Set the next look: when the CA asked for it, else a little later each time."""
    if asked is None:
        asked = min(FIRST_POLL_SECONDS * 2**flight.polls, LONGEST_POLL_SECONDS)
    flight.next_look = now + dt.timedelta(seconds=min(max(asked, 0.1), LONGEST_ASKED_SECONDS))


def _listed(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
