"""Acts that begin an order, or take up one that an earlier process began."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from certwright.acme import Identifier
from certwright.certificates.open_order import Flight
from certwright.certificates.presenters import same_solvers, solvers_for
from certwright.certificates.private_keys import obtain_key
from certwright.certificates.responses import must_be_held, objects_to_make, presented_proofs, proof_fields, proof_of
from certwright.certificates.save import hold, save
from certwright.challenges.response import FileResponse, RecordResponse
from certwright.concurrency import gather_all
from certwright.failures import IssuanceError
from certwright.resources import AuthorizationStatus, ChallengeStatus, OrderStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.acme import Authorization, Challenge
    from certwright.certificates.observation import Case
    from certwright.certificates.steps.resting import StartOrder
    from certwright.certificates.tools import Tools
    from certwright.challenges.response import ChallengeResponse
    from certwright.resources import SolverObjectStatus


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
    found = await gather_all(solvers[name].place(name) for name in wanted.names)
    places = dict(zip(wanted.names, found, strict=True))
    if case.secret is None and case.status.revision:
        # It is often gone because its namespace is going. Nothing can be created there then: no order is placed.
        await obtain_key(case, tools.kube_api)
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
        flight.proofs[name] = solver.respond(places[name], token, issuer.client.key_authorization(token))
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
        kept_proofs = {entry.name: proof for entry in kept.authorizations if (proof := proof_of(entry)) is not None}
        unproved = _unproved(authorizations)
        for authorization in unproved:
            proof = kept_proofs.get(authorization.name)
            if proof is None:
                raise IssuanceError(
                    "OrderChanged",
                    f"The order {kept.url} asks for {authorization.name}, which it did not before.",
                    costly=True,
                )
            challenge = _challenge(authorization, "dns-01" if isinstance(proof, RecordResponse) else "http-01")
            if challenge.status == "pending":
                flight.challenges[authorization.name] = challenge
        # Of those that are answered the CA may ask once more, and what answered may have gone with the earlier process.
        # Files that are proved by now stay with the others: those that answer for fewer would be other objects.
        names = {authorization.name for authorization in unproved}
        if names:
            names |= {name for name, proof in kept_proofs.items() if isinstance(proof, FileResponse)}
        flight.proofs = {name: proof for name, proof in kept_proofs.items() if name in names}
        case.memory.solvers = await same_solvers(case, tools, flight.proofs)
        case.change_order(authorizations=_entries(authorizations, flight, kept.authorizations))
    outside = presented_proofs(case.status)
    await _hold_records(case, tools, outside)
    if must_be_held(outside, (case.status.order or kept).solver_objects):
        await hold(case, tools)  # an earlier try may have failed between the order and this
    case.memory.resumed = True
    case.memory.flight = flight
    case.memory.started_at = kept.created_at
    case.show_order_state(order)
    case.note("Resuming", f"Going on with the order {kept.url}, which is {order.status.value}.")


async def _hold_records(case: Case, tools: Tools, proofs: dict[str, ChallengeResponse]) -> None:
    records = [proof for proof in proofs.values() if isinstance(proof, RecordResponse)]
    await tools.ledger.hold(case.certificate.metadata.uid, records)


def _counted(proofs: dict[str, ChallengeResponse], made: tuple[SolverObjectStatus, ...]) -> str:
    records = sum(isinstance(proof, RecordResponse) for proof in proofs.values())
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
