"""Remove the challenge responses of an order."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from certwright.certificates.order.responses import (
    clean_up_all,
    files_of,
    presented_objects,
    presented_responses,
    presenters_for,
    records_of,
)
from certwright.certificates.orphans import left_records
from certwright.certificates.secret.beside import pending_key_name
from certwright.certificates.steps.step import Act
from certwright.concurrency import gather_all
from certwright.dns import DnsError
from certwright.failures import IssuanceError
from certwright.http01.errors import SolverError
from certwright.kube.errors import KubeError
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
    from certwright.challenges.presenter import Presenter
    from certwright.challenges.response import ChallengeResponse
    from certwright.issuers.left_records import Cause
    from certwright.issuers.registry import SolverSource

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CleanUp(Act):
    """Remove responses; then, unless a failed order is kept to be read, the pending key and the order too.

    Attributes:
        keep_order: Leave the (failed) order in the status, where people read why it failed.
        last_try: A new order waits for this: go on without responses that still cannot be removed, and say so.
    """

    cleans_up: ClassVar[bool] = True

    keep_order: bool = False
    last_try: bool = False

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Remove the responses that no other Certificate needs, then the rest."""
        responses = presented_responses(observation.status)
        try:
            await remove_responses(observation, tools, responses)
        except (DnsError, IssuanceError, SolverError, KubeError) as error:
            if not self.last_try:
                raise
            await leave_behind(observation, tools, f"The last of many attempts failed: {error}", "RemovalFailed")
        observation = without_responses(observation, keep_url=self.keep_order)
        yield observation
        if not self.keep_order:
            await tools.kube_api.delete_secret(observation.namespace, pending_key_name(observation.certificate))
            observation = observation.with_status(order=None).remember(open_order=None, presenters={})
        yield observation.remember(cleaning_up=Backoff())


async def leave_behind(observation: Observation, tools: Tools, why: str, cause: Cause) -> None:
    """Go on without the responses that are still outside, and say so; records are on the list of the sweep before.

    Raises:
        KubeError: The list cannot be written now.
    """
    left = left_records(observation, tools.registry, cause, tools.clock())
    await tools.left.write_down(left, observation.memory.presenters)
    shown = [f"the TXT record {name}" for name in sorted({one.record.name for one in left})]
    shown += [f"{one.kind} {one.name}" for one in presented_objects(observation.status)]
    goes_on = f" The operator keeps trying to remove it: see the Events of {left[0].issuer}." if left else ""
    message = f"Could not be removed and is left behind: {', '.join(shown)}. {why}{goes_on}"
    logger.warning("%s: %s", observation.certificate.display_name, message)
    tools.recorder.record(observation.subject, "Warning", "LeftBehind", message)
    tools.ledger.forget(observation.uid)


def without_responses(observation: Observation, *, keep_url: bool) -> Observation:
    """Say in the draft that nothing of the order is outside any more.

    An order whose responses are gone must not be resumed, whatever becomes of the spec meanwhile: what was taken away
    would be put back without having been written down. So it loses its URL, see `abandon_order`.
    """
    order = observation.status.order
    if order is None:
        return observation
    entries = tuple(entry.replace(presented=False) if entry.presented else entry for entry in order.authorizations)
    changes: dict[str, Any] = {"authorizations": entries, "solver_objects": ()}
    return observation.with_order(**changes, url=order.url if keep_url else None)


async def remove_responses(observation: Observation, tools: Tools, responses: Mapping[str, ChallengeResponse]) -> None:
    """Remove responses from where they are, but for those that other Certificates need.

    Raises:
        DnsError: A record could not be removed.
        IssuanceError: The credentials are missing.
        SolverError: Rules could not be taken out of an Ingress that others change all the time.
        KubeError: An object could not be removed.
    """
    await gather_all((_remove_records(observation, tools, responses), _remove_files(observation, tools, responses)))


async def _remove_records(observation: Observation, tools: Tools, responses: Mapping[str, ChallengeResponse]) -> None:
    """Remove DNS records with the presenters that put them there, but for those that other Certificates need."""
    async with tools.ledger.releasing(observation.uid, records_of(responses.values())) as removable:
        needed = {name: response for name, response in responses.items() if response in removable}
        if needed:
            presenters = await _presenters_of(observation, tools, needed)
            await clean_up_all(needed, presenters)


async def _remove_files(observation: Observation, tools: Tools, responses: Mapping[str, ChallengeResponse]) -> None:
    """Remove what answers for files. It is found by its labels and by the status: no issuer is needed for it."""
    files = files_of(responses.values())
    if files:
        await tools.presenters.remove_http01(observation.certificate, presented_objects(observation.status), files)


async def _presenters_of(
    observation: Observation, tools: Tools, responses: Mapping[str, ChallengeResponse]
) -> Mapping[str, Presenter]:
    """Return what presented the records: as it was kept, else, and after a failure, made again from the issuer."""
    kept = observation.memory.presenters
    unknown = [name for name in responses if name not in kept]
    issuer = _issuer_of_order(observation)
    again = observation.memory.cleaning_up.failures > 0 and issuer is not None
    if not unknown and not again:
        return kept
    if issuer is None:
        view = observation.order_view or observation.issuer_view
        raise IssuanceError(
            "CleanUpBlocked",
            f"The record for {unknown[0]} cannot be removed, because the issuer with the credentials is not ready: "
            f"{view.message or 'it is not loaded yet'}",
        )
    try:
        types = {name: (response.challenge_type,) for name, response in responses.items()}
        made = await presenters_for(observation, tools, responses if again else unknown, issuer, types=types)
    except (IssuanceError, DnsError):
        if unknown:
            raise
        return kept  # the issuer has no solver for the name any more
    fitting = {name: one for name, one in made.items() if one.challenge_type == responses[name].challenge_type}
    presenters = {**kept, **fitting}
    if left := [name for name in unknown if name not in presenters]:
        raise IssuanceError(
            "CleanUpBlocked",
            f"The record for {left[0]} cannot be removed: the issuer no longer has a solver for it that "
            "creates such records.",
        )
    return presenters


def _issuer_of_order(observation: Observation) -> SolverSource | None:
    """Return the issuer that the order belongs to, which has the credentials; its CA is not needed to clean up."""
    return observation.issuer if observation.order_view is None else observation.order_issuer
