"""Applies a CA's published limits to one Certificate, so that no order is placed that the CA would refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.acme import OrderFailed, RateLimited
from certwright.certificates.order.applicant import applicant
from certwright.certificates.order_request import certified_identifiers
from certwright.certificates.seal import IssuanceSeals
from certwright.certificates.steps.resting import AwaitRoom
from certwright.certificates.steps.start_order import StartOrder
from certwright.issuers.rate_limits import is_about_names
from certwright.text import rfc3339

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

    from certwright.acme import Identifier
    from certwright.certificates.observation import Observation
    from certwright.certificates.secret.facts import SecretFacts
    from certwright.certificates.steps.step import Act
    from certwright.issuers.budgets import Shortage
    from certwright.issuers.registry import ReadyIssuer


def await_room(step: Act, observation: Observation) -> AwaitRoom | None:
    """Return the rest that a limit asks for before an order; None if the step may be taken now."""
    if not isinstance(step, StartOrder) or observation.issuer is None:
        return None
    shortage = observation.issuer.budget.ask(applicant(observation))
    return None if shortage is None else rest_until_room(shortage, observation)


def rest_until_room(shortage: Shortage, observation: Observation) -> AwaitRoom:
    """Return the rest until there is room, which says what is used up and when it is this one's turn."""
    issuer = observation.ready_issuer
    used = f" ({shortage.used})" if shortage.used else ""
    ahead = (
        f" {shortage.ahead} other{'s' * (shortage.ahead != 1)} waiting for this limit come first."
        if shortage.ahead
        else ""
    )
    return AwaitRoom(
        shortage.until,
        f"{issuer.spec.server} would refuse this order: {shortage.limit} is used up{used}. Nothing was sent.{ahead} "
        f"The order is placed at about {rfc3339(shortage.until)}.",
    )


def keep_account(observation: Observation) -> None:
    """Have the budget follow the order of a Certificate, whatever has just become of it."""
    issuer, order, open_order = observation.issuer, observation.status.order, observation.memory.open_order
    if issuer is None:
        return
    ca = issuer.budget.ca
    if order is None or order.url is None or order.state == "invalid" or order.account_url != issuer.account_url:
        ca.given_up(observation.uid)
        return
    if open_order is None:
        return  # it is looked at again before anything is done with it
    issuer.budget.opened(applicant(observation), order.url)
    if open_order.finalized or order.state in ("processing", "valid"):
        ca.finalized(observation.uid)


def count_failure(error: BaseException, observation: Observation) -> None:
    """Count the validations that an order failed for, and what the CA said of its limits."""
    issuer = observation.issuer
    if issuer is None:
        return
    if isinstance(error, OrderFailed):
        known = {name.value: name for name in observation.identifiers}
        issuer.budget.failed(known[name] for name in error.by_identifier if name in known)
    elif isinstance(error, RateLimited) and is_about_names(error, observation.identifiers):
        issuer.budget.learn(error, observation.identifiers)


def recount(issuer: ReadyIssuer, secrets: Iterable[SecretFacts], now: dt.datetime) -> None:
    """Count what Secrets show an earlier process to have obtained with an issuer's account."""
    issuer.budget.ca.recount(_issued(issuer, secrets, now))


def _issued(
    issuer: ReadyIssuer, secrets: Iterable[SecretFacts], now: dt.datetime
) -> Iterator[tuple[dt.datetime, tuple[Identifier, ...]]]:
    limits = issuer.budget.ca.limits
    counted = (limits.certificates_per_registered_domain, limits.certificates_per_exact_set)
    since = min((now - limit.period for limit in counted if limit is not None), default=now)
    seals, seen = IssuanceSeals(issuer.client.key), set()
    for secret in secrets:
        facts = secret.certificate
        if facts is None or facts.not_before < since or secret.server != issuer.spec.server or secret.seal in seen:
            continue
        if seals.holds_for(secret):
            seen.add(secret.seal)
            yield min(facts.not_before, now), certified_identifiers(facts)
