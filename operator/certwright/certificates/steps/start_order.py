"""Place an order, and record it with all responses before any of them is presented."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from certwright.acme import MalformedResponse, ResponseTooLarge, UnsafeUrl
from certwright.certificates.finalizer import hold
from certwright.certificates.key_maker import KeyNotReady
from certwright.certificates.open_order import OpenOrder
from certwright.certificates.order.applicant import applicant
from certwright.certificates.order.authorizations import authorization_entries
from certwright.certificates.order.budget import with_order
from certwright.certificates.order.preparation import adapted, prepare, with_responses
from certwright.certificates.order.replacement import replaced_by
from certwright.certificates.order.responses import files_of, must_be_held, objects_to_make, records_of
from certwright.certificates.private_keys import obtain_key
from certwright.certificates.progress import OURS
from certwright.certificates.status import save
from certwright.certificates.steps.step import Act
from certwright.challenges.persistent_record import PersistentRecordResponse
from certwright.failures import IssuanceError
from certwright.resources import OrderStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from certwright.acme import AcmeError, Order
    from certwright.certificates.observation import Observation
    from certwright.certificates.order_request import OrderRequest
    from certwright.certificates.tools import Tools
    from certwright.challenges.response import ChallengeResponse
    from certwright.reasons import NeedReason, Reason
    from certwright.resources import SolverObjectStatus

logger = logging.getLogger(__name__)

QUICK_TRIES: Final = 5
"""How often a CA whose answer to an order cannot be used is asked again within a minute; then as after refusals."""


@dataclass(frozen=True)
class StartOrder(Act):
    """Order a certificate.

    Attributes:
        reason: For the Event.
        message: Why, for people.
        is_scheduled: Whether it does not count, see `order_budget.is_scheduled`.
    """

    asks_ca: ClassVar[bool] = True

    reason: NeedReason
    message: str
    is_scheduled: bool = False

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Order; what can fail without the CA comes first, and an order that exists is known whatever fails then."""
        issuer, request = observation.ready_issuer, observation.request
        if request is None:
            raise AssertionError("an order was planned without a request")
        now = tools.clock()
        observation = observation.remember(open_order=None, presenters={})
        prepared = await prepare(observation, tools, request.names)
        # A Secret is often gone because its namespace is going. Nothing can be created there then: no order is placed.
        key_first = observation.secret is None and observation.status.revision
        key = None
        if key_first:
            with contextlib.suppress(KeyNotReady):
                key = await obtain_key(observation, tools)
        message = f"Ordering a certificate ({self.reason}): {self.message}."
        reason: Reason = "Issuing" if observation.rehearsed_from is None else "Rehearsing"
        tools.recorder.record(observation.subject, "Normal", reason, message)
        self._tell_fallback(observation, tools)
        asker = observation.asker
        async with issuer.limits.placing(asker, tools.clock()):
            issuer.budget.place(applicant(observation))
            order, observation = await _place(observation, request, now)
        issuer.limits.orders.went_well(asker, tools.clock())
        placed = _order_status(request, order, now).replace(issuer=observation.used_issuer)
        observation = observation.with_status(order=placed).remember(voucher=OURS, ordered_at=now, doubts=0)
        if not self.is_scheduled:
            observation = observation.with_status(recent_orders=with_order(observation.status.recent_orders, now))
        observation = observation.after_progress()
        yield observation  # the order is placed: the next try resumes it, and nothing is ordered twice
        authorizations = await issuer.client.fetch_authorizations(order)
        prepared = await adapted(prepared, observation, tools, authorizations)
        open_order = OpenOrder(order=order, started_at=now, next_look=now, key=key)
        open_order = with_responses(open_order, authorizations, prepared, issuer.client.key)
        responses = open_order.responses
        await tools.ledger.hold(observation.uid, records_of(responses.values()))
        presenters = {name: prepared.presenters[name] for name in responses}
        made = objects_to_make(responses, presenters)
        entries = authorization_entries(authorizations, open_order)
        observation = observation.remember(presenters=presenters)
        observation = observation.with_order(authorizations=entries, solver_objects=made)
        observation = observation.noting("Presenting", f"Presenting {_counted(responses, made)}: {self.message}.")
        yield observation  # with its records, whatever becomes of writing them down
        if must_be_held(responses, made) or observation.certificate.spec.revoke_on_delete:
            observation = await hold(observation, tools)
        observation = await save(observation, tools)
        yield observation.remember(open_order=open_order).after_progress()

    def _tell_fallback(self, observation: Observation, tools: Tools) -> None:
        """Say so if the order is placed at an issuer because those that are preferred cannot issue."""
        choice = observation.choice
        if choice is None or not choice.instead_of:
            return
        why = "; ".join(f"{one.key}: {one.why_not}" for one in choice.instead_of)
        message = (
            f"The certificate is ordered from {choice.candidate.key}, because the issuers listed before it cannot "
            f"issue: {why}. The first issuer that works is used again at the next renewal."
        )
        tools.recorder.record(observation.subject, "Warning", "FallingBack", message)
        tools.metrics.fell_back(choice.candidate.reference)


async def _place(observation: Observation, request: OrderRequest, now: dt.datetime) -> tuple[Order, Observation]:
    """Place the order; say which certificate it replaces, if the CA wants to know (RFC 9773 section 5).

    A CA that does not accept that gets the same order without it, and is not told again: it is no failure.

    Raises:
        IssuanceError: The CA has answered several times in a row as if there were an order, but what is no order.
        AcmeError: It did not answer, or refused.
    """
    lifetime, client, replaced = request.duration_seconds, observation.ready_issuer.client, replaced_by(observation)
    not_after = None if lifetime is None else now + dt.timedelta(seconds=lifetime)
    refusals: list[AcmeError] = []
    try:
        if replaced is None:
            order = await client.new_order(request.identifiers, profile=request.profile, not_after=not_after)
        else:
            order = await client.new_replacement_order(
                request.identifiers,
                replaces=replaced,
                profile=request.profile,
                not_after=not_after,
                on_refusal=refusals.append,
            )
    except (MalformedResponse, ResponseTooLarge, UnsafeUrl) as error:
        # Each such answer may be an order that nobody can continue: they must not go on like that for ever.
        if observation.memory.issuing.failures < QUICK_TRIES:
            raise
        raise IssuanceError("CAMalformedResponse", f"{error}. An order may have been placed.", costly=True) from error
    finally:
        if refusals:
            name, server = observation.certificate.display_name, request.server
            logger.info("%s: %s did not accept what the order replaces: %s", name, server, refusals[0])
    return order, observation.remember(not_replaced=replaced) if refusals else observation


def _order_status(request: OrderRequest, order: Order, now: dt.datetime) -> OrderStatus:
    return OrderStatus(
        url=order.url,
        account_url=request.account_url,
        server=request.server,
        names=request.names,
        spec_hash=request.fingerprint,
        state=order.status.value,
        created_at=now,
        expires=order.expires,
    )


def _counted(responses: Mapping[str, ChallengeResponse], made: tuple[SolverObjectStatus, ...]) -> str:
    records, files = len(records_of(responses.values())), len(files_of(responses.values()))
    parts = []
    permanent = sum(isinstance(response, PersistentRecordResponse) for response in responses.values())
    if permanent:
        parts.append(f"{permanent} permanent DNS record{'s' * (permanent != 1)}")
    if records or not (files or permanent):
        parts.append(f"{records} DNS record{'s' * (records != 1)}")
    if files:
        kinds = ", ".join(f"{one.kind} {one.name}" for one in made[:4])
        parts.append(f"{files} file{'s' * (files != 1)} ({kinds})")
    return " and ".join(parts)
