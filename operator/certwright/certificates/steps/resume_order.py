"""Resume an order that an earlier process placed, or that could not be recorded completely."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from certwright.acme import MalformedResponse
from certwright.acme.order import check_identifiers
from certwright.certificates.finalizer import hold
from certwright.certificates.open_order import OpenOrder
from certwright.certificates.order.authorizations import authorization_entries
from certwright.certificates.order.preparation import adapted, prepare, with_responses
from certwright.certificates.order.responses import files_of, must_be_held, presented_responses, records_of
from certwright.certificates.status import save
from certwright.certificates.steps.step import Act
from certwright.failures import IssuanceError
from certwright.http.url import same_origin
from certwright.issuers.solver_choice import choose_solver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
    from certwright.challenges.response import ChallengeResponse
    from certwright.issuers.registry import ReadyIssuer


@dataclass(frozen=True)
class ResumeOrder(Act):
    """Fetch the order that the status names, and derive from it what is to be done, as if it had just been placed."""

    asks_ca: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Fetch it, and go on where it is.

        Raises:
            IssuanceError: It is not the order that would be placed now: it is abandoned.
        """
        issuer, request, kept = observation.ready_issuer, observation.request, observation.status.order
        if kept is None or kept.url is None or request is None:
            raise AssertionError("there is no order to resume")
        _check_place(kept.url, issuer)
        for name in request.names:
            choose_solver(issuer.spec.solvers, name, observation.certificate.metadata.labels)
        order = await issuer.client.fetch_order(kept.url)
        try:
            check_identifiers(order, request.identifiers)
        except MalformedResponse as error:
            message = f"{error}. The order is abandoned."
            raise IssuanceError("OrderChanged", message, abandons_order=True, answered=True) from error
        started_at = min(kept.created_at, tools.clock())
        open_order = OpenOrder(order=order, started_at=started_at, next_look=tools.clock(), resumed=True)
        outside = presented_responses(observation.status)
        if order.status == "pending":
            prepared = await prepare(observation, tools, request.names)
            authorizations = await issuer.client.fetch_authorizations(order)
            prepared = await adapted(prepared, observation, tools, authorizations)
            files = files_of(outside.values())
            open_order = with_responses(open_order, authorizations, prepared, issuer.client.key, kept=files)
            former = issuer.former_key
            if former is not None and _is_by(with_responses(open_order, authorizations, prepared, former), outside):
                # The account key was replaced meanwhile: `ReplaceResponses` is next.
                kept_responses = {name: outside.get(name, one) for name, one in open_order.responses.items()}
                open_order = replace(open_order, responses=kept_responses, account_key=former.thumbprint)
            else:
                _check_same(open_order.responses, outside)
            presenters = {name: prepared.presenters[name] for name in open_order.responses}
            entries = authorization_entries(authorizations, open_order, kept.authorizations)
            observation = observation.remember(presenters=presenters).with_order(authorizations=entries)
            yield observation
        responses = presented_responses(observation.status)
        await tools.ledger.hold(observation.uid, records_of(responses.values()))
        if must_be_held(responses, kept.solver_objects):
            observation = await hold(observation, tools)  # an earlier try may have failed between the order and this
        message = f"Resuming the order {kept.url}, which is {order.status.value}."
        observation = observation.with_order_state(order).noting("Resuming", message)
        if responses.items() - presented_responses(observation.certificate.status).items():
            observation = await save(observation, tools)  # for nothing is presented that is not written down
        # Reading is no progress: what failed before may fail again, and its tries are counted on.
        yield observation.remember(open_order=open_order).with_status(next_attempt_time=None)


def _check_place(url: str, issuer: ReadyIssuer) -> None:
    """Check that an order is at the issuer's CA: nobody else is to be sent requests that the account key signed."""
    if same_origin(url, issuer.spec.server) or same_origin(url, issuer.account_url):
        return
    raise IssuanceError(
        "OrderElsewhere",
        f"status.order.url, {url[:200]}, is not at the issuer's CA. The order is abandoned.",
        abandons_order=True,
    )


def _is_by(derived: OpenOrder, outside: Mapping[str, ChallengeResponse]) -> bool:
    """Whether what was put in place is what another account key derives."""
    known = {name: response for name, response in derived.responses.items() if name in outside}
    return bool(known) and all(outside[name] == response for name, response in known.items())


def _check_same(responses: Mapping[str, ChallengeResponse], outside: Mapping[str, ChallengeResponse]) -> None:
    """Check that what was put in place for a name is what would be now; if not, all of it is removed first."""
    for name, response in responses.items():
        if name in outside and outside[name] != response:
            raise IssuanceError(
                "SolverChanged",
                f"The response for {name} is now different, or belongs elsewhere: the issuer's solver or a CNAME has "
                "changed. Placing a new order.",
                abandons_order=True,
                answered=True,
            )
