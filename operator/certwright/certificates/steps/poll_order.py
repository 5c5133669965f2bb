"""Acts against the CA once an order is open: answer, poll, finalize, find out why it failed."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Final

from certwright.acme import OrderNotReady
from certwright.certificates.private_keys import obtain_key
from certwright.concurrency import gather_all
from certwright.failures import IssuanceError
from certwright.pki import build_csr

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from certwright.acme import Challenge
    from certwright.certificates.observation import Case
    from certwright.certificates.open_order import Flight
    from certwright.certificates.tools import Tools

MAX_CONCURRENT_ANSWERS: Final = 10
FIRST_POLL_SECONDS: Final = 0.25
LONGEST_POLL_SECONDS: Final = 15.0
LONGEST_ORDER: Final = dt.timedelta(days=7)
"""How long an order is followed if it does not end before; that is how long Let's Encrypt keeps one."""
LONGEST_ASKED_SECONDS: Final = 3600.0
"""A longer Retry-After than this is not believed while an order is under way."""


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
    calls: list[Awaitable[object]] = [obtain_key(case, tools.kube_api)]
    calls += [answer(name, flight.challenges[name]) for name in names]
    await gather_all(calls)
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
    case.show_order_state(flight.order)
    _wait(flight, flight.order.retry_after, now)


async def finalize(case: Case, tools: Tools) -> None:
    """Send the CSR for the key that is in a Secret by now."""
    flight, certificate = case.flight, case.certificate
    key = await obtain_key(case, tools.kube_api)
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
    case.show_order_state(flight.order)
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


def _wait(flight: Flight, asked: float | None, now: dt.datetime) -> None:
    """Set the next look: when the CA asked for it, else a little later each time."""
    if asked is None:
        asked = min(FIRST_POLL_SECONDS * 2**flight.polls, LONGEST_POLL_SECONDS)
    flight.next_look = now + dt.timedelta(seconds=min(max(asked, 0.1), LONGEST_ASKED_SECONDS))


def _listed(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
