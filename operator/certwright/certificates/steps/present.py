"""Present the challenge responses."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.certificates.finalizer import hold
from certwright.certificates.order.responses import (
    as_objects,
    clean_up_all,
    files_of,
    must_be_held,
    objects_to_make,
    present_all,
    records_of,
    same_presenters,
    waiting_reason,
)
from certwright.certificates.orphans import left_records
from certwright.certificates.status import save
from certwright.certificates.steps.step import Act
from certwright.concurrency import gather_all
from certwright.dns import DnsError
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
    from certwright.challenges.presenter import Presenter
    from certwright.challenges.response import ChallengeResponse

logger = logging.getLogger(__name__)

MAX_CAA_WARNINGS: Final = 3
"""Domains that one Event names."""


@dataclass(frozen=True)
class Present(Act):
    """Put the responses for every name in place, those of different presenters in parallel.

    The issuer may have changed since the order was placed. What it asks for now is written down before it is made, and
    what it no longer asks for is removed.
    """

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Present.

        Raises:
            KubeError: Something could not be written or removed; the next try does it again.
            SolverError: Rules could not be taken out of an Ingress that others change all the time.
        """
        now = tools.clock()
        responses = observation.open_order.responses
        # Made again, because the credentials that failed at the last try may have been corrected meanwhile.
        presenters = await same_presenters(observation, tools, responses)
        await _leave_other_places(observation, tools, presenters)
        observation = observation.remember(presenters=presenters)
        yield observation
        order, made = observation.status.order, objects_to_make(responses, presenters)
        if order is not None and set(made) != set(order.solver_objects):
            known = order.solver_objects
            if set(made) - set(known):
                observation = observation.with_order(solver_objects=tuple(dict.fromkeys([*known, *made])))
                if must_be_held(responses, made):
                    observation = await hold(observation, tools)
                observation = await save(observation, tools)
                yield observation
            files = files_of(responses.values())
            await tools.presenters.remove_superseded(
                observation.certificate, as_objects(known), as_objects(made), files
            )
            observation = observation.with_order(solver_objects=made)
            yield observation
        await gather_all([present_all(responses, presenters), _warn_of_caa(observation, tools, presenters)])
        settling = max(presenter.settling for presenter in presenters.values())
        observation = observation.with_open_order(presented_at=now, propagated=False, checks=0, next_look=now)
        what = "waiting until they are visible"
        if settling:
            observation = observation.remember(open_order=observation.open_order.resting(settling, tools.clock()))
            observation = observation.remember(saved_at=None)  # the status is to say it now: nothing is looked at
            what = f"waiting {settling.total_seconds():g} s for them to be published (propagationWait)"
        yield observation.noting(waiting_reason(responses), f"The challenge responses are in place; {what}.")


async def _warn_of_caa(observation: Observation, tools: Tools, presenters: Mapping[str, Presenter]) -> None:
    """Say by an Event which domains the CA will probably refuse because of their CAA records; it is asked anyway."""
    if tools.caa is None:
        return
    methods = {name: presenter.challenge_type for name, presenter in presenters.items()}
    labels = observation.certificate.metadata.labels
    objections = await tools.caa.objections(observation.ready_issuer, methods, labels)
    if not objections:
        return
    listed = "; ".join(f"{name}: {why}" for name, why in sorted(objections.items())[:MAX_CAA_WARNINGS])
    more = len(objections) - MAX_CAA_WARNINGS
    message = (
        f"{listed}{f' ({more} more domains)' if more > 0 else ''}. The operator asks the CA anyway, but the CA will "
        "probably refuse. Add the record, or use an issuer whose CA the records name."
    )
    tools.recorder.record(observation.subject, "Warning", "CAAWarning", message)


async def _leave_other_places(observation: Observation, tools: Tools, presenters: Mapping[str, Presenter]) -> None:
    """Remove the records from where an issuer that changed meanwhile had them put; what fails there is told, once."""
    before = observation.memory.presenters
    moved: dict[str, ChallengeResponse] = {}
    for name, response in observation.open_order.responses.items():
        old, new = before.get(name), presenters[name]
        if old is not None and old.challenge_type == new.challenge_type and old.destination != new.destination:
            moved[name] = response
    records = set(records_of(moved.values()))
    if not records:
        return
    async with tools.ledger.releasing(observation.uid, records) as removable:
        gone = {name: response for name, response in moved.items() if response in removable}
        try:
            await clean_up_all(gone, before)
        except DnsError as error:
            left = left_records(observation, tools.registry, "ProviderChanged", tools.clock(), gone)
            await tools.left.write_down(left, before)
            names = sorted({record.name for record in removable})
            message = (
                "The issuer's DNS provider was changed; these records are left at the previous one: "
                f"{listed(names)}. {error}. The operator removes them there later, if it can."
            )
            logger.warning("%s: %s", observation.certificate.display_name, message)
            tools.recorder.record(observation.subject, "Warning", "LeftBehind", message)
    await tools.ledger.hold(observation.uid, records)
