"""An issuer that changed in the middle of an order: what it asks for now, and what it does not ask for any more."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from certwright.certificates.presenters import by_solver
from certwright.certificates.responses import as_objects, must_be_held, objects_to_make
from certwright.certificates.save import hold, save
from certwright.challenges.response import FileResponse, RecordResponse
from certwright.concurrency import gather_all
from certwright.dns import DnsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.certificates.observation import Case
    from certwright.certificates.tools import Tools
    from certwright.challenges.presenter import Presenter
    from certwright.challenges.response import ChallengeResponse

logger = logging.getLogger(__name__)


async def leave_other_places(case: Case, tools: Tools, before: Mapping[str, Presenter]) -> None:
    """Remove the records from where an issuer that changed meanwhile had them put; what fails there is told, once."""
    moved: dict[str, ChallengeResponse] = {}
    for name, proof in case.flight.proofs.items():
        old, new = before.get(name), case.memory.solvers[name]
        if old is not None and old.challenge_type == new.challenge_type and old.destination != new.destination:
            moved[name] = proof
    records = {proof for proof in moved.values() if isinstance(proof, RecordResponse)}
    if not records:
        return
    holder = case.certificate.metadata.uid
    async with tools.ledger.releasing(holder, records) as removable:
        gone = {name: proof for name, proof in moved.items() if proof in removable}
        try:
            await gather_all(solver.clean_up(group) for solver, group in by_solver(gone, before))
        except DnsError as error:
            names = sorted({record.name for record in removable})
            left = f"{', '.join(names[:3])}{' and more' if len(names) > 3 else ''}"  # noqa: PLR2004 - a line to be read
            message = f"The issuer's DNS provider was changed, and at the one before stay behind: {left}. {error}."
            logger.warning("%s: %s", case.certificate.display_name, message)
            tools.recorder.record(case.subject, "Warning", "LeftBehind", message)
    await tools.ledger.hold(holder, records)


async def exchange_objects(case: Case, tools: Tools) -> None:
    """Write down what the issuer asks for by now, before it is made, and remove what it does not ask for any more.

    Raises:
        KubeError: Something could not be written or removed; the next try does it again.
        SolverError: Rules could not be taken out of an Ingress that others change all the time.
    """
    order = case.status.order
    made = objects_to_make(case.flight.proofs, case.memory.solvers)
    if order is None or set(made) == set(order.solver_objects):
        return
    known = order.solver_objects
    if set(made) - set(order.solver_objects):
        case.change_order(solver_objects=tuple(dict.fromkeys([*order.solver_objects, *made])))
        if must_be_held(case.flight.proofs, made):
            await hold(case, tools)
        await save(case, tools)
    resources = [proof for proof in case.flight.proofs.values() if isinstance(proof, FileResponse)]
    await tools.solvers.remove_superseded(case.certificate, as_objects(known), as_objects(made), resources)
    case.change_order(solver_objects=made)
