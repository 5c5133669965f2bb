"""Terms of service that change: what a person agrees to is sent to the CA, whenever that was, and refused or not."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import pytest

from certwright.acme import ConnectionFailed
from certwright.issuers.upkeep import DIRECTORY_INTERVAL
from tests.fakes.issuers import CA, ORIGIN, Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.acme import Response

ACCOUNT: Final = "/account/1"
AGREEMENT: Final = {"termsOfServiceAgreed": True}
OLD, NEW = f"{ORIGIN}/terms", f"{ORIGIN}/terms/2"


async def registered(**acme: Any) -> Bench:
    bench = Bench()
    bench.write(**acme)
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("True", "AccountRegistered")
    return bench


def said(bench: Bench, kind: str = "TermsAccepted") -> str | None:
    return next((one["message"] for one in bench.status()["conditions"] if one["type"] == kind), None)


def agreements(bench: Bench) -> int:
    return bench.ca.asked(ACCOUNT).count(AGREEMENT)


async def test_terms_that_were_accepted_before_they_came_are_agreed_to_when_they_come() -> None:
    """The CA announces its terms by e-mail, and whoever runs the issuer sets them at once."""
    bench = await registered()
    bench.write(acceptedTerms=NEW)
    await bench.reconciler.reconcile(CA)
    assert agreements(bench) == 0
    bench.ca.meta["termsOfService"] = NEW
    bench.now += DIRECTORY_INTERVAL
    await bench.reconciler.reconcile(CA)
    assert agreements(bench) == 1
    assert said(bench) is None, "it must not ask for what is done"
    assert bench.status()["acme"]["termsOfService"] == NEW
    bench.now += DIRECTORY_INTERVAL
    await bench.reconciler.reconcile(CA)
    assert agreements(bench) == 1


async def test_terms_that_are_younger_than_the_known_directory_are_agreed_to_at_once() -> None:
    """The CA refused an order just now, and the directory of half an hour ago knows nothing of it."""
    bench = await registered()
    bench.ca.meta["termsOfService"] = NEW
    bench.now += dt.timedelta(minutes=30)
    bench.write(acceptedTerms=NEW)
    await bench.reconciler.reconcile(CA)
    assert agreements(bench) == 1
    assert bench.status()["acme"]["termsOfService"] == NEW


async def test_a_registration_goes_by_the_terms_of_now() -> None:
    bench = Bench()
    bench.write(acceptedTerms=NEW)
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", "TermsNotAccepted")
    bench.ca.meta["termsOfService"] = NEW
    bench.now += dt.timedelta(minutes=10)
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("True", "AccountRegistered")


@pytest.mark.parametrize(
    "answer",
    [
        lambda ca: ca.problem("malformed", 400),
        lambda ca: ca.problem("userActionRequired", 403, instance="https://ca.test/agree"),
        lambda ca: ca.problem("serverInternal", 500),
        lambda ca: ca.problem("unauthorized", 403),
    ],
    ids=["malformed", "on a page only", "broken", "unauthorized"],
)
async def test_an_agreement_that_the_ca_refuses_is_told_and_the_issuer_works_on(
    answer: Callable[[Any], Response],
) -> None:
    bench = await registered()
    bench.ca.meta["termsOfService"] = NEW

    def refuse() -> Response:
        bench.ca.unheard.clear()  # the account itself can be read
        return answer(bench.ca)

    bench.ca.unheard[ACCOUNT] = refuse
    bench.write(acceptedTerms=NEW)
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("True", "AccountRegistered"), "the CA issues by the terms of before"
    message = said(bench) or ""
    assert "the CA says" in message
    assert f"{NEW} now" in message
    assert bench.status()["acme"]["termsOfService"] == OLD
    assert ("Warning", "TermsChanged") in [event[:2] for event in bench.events]
    bench.now += DIRECTORY_INTERVAL
    await bench.reconciler.reconcile(CA)
    assert bench.status()["acme"]["termsOfService"] == NEW, "tried again with the next directory"
    assert said(bench) is None


async def test_an_agreement_that_does_not_reach_the_ca_keeps_nobody_from_ordering() -> None:
    bench = await registered()
    bench.ca.meta["termsOfService"] = NEW

    def gone() -> Response:
        raise ConnectionFailed("The connection broke", host="ca.test", request_sent=True)

    bench.ca.unheard[ACCOUNT] = gone
    bench.write(acceptedTerms=NEW)
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("True", "AccountRegistered")
    assert "The connection broke" in (said(bench) or "")


async def test_an_agreement_by_an_account_that_is_closed_says_that_it_is() -> None:
    bench = await registered()
    bench.ca.meta["termsOfService"] = NEW
    bench.ca.unheard[ACCOUNT] = lambda: bench.ca.problem("unauthorized", 403)
    bench.write(acceptedTerms=NEW)
    await bench.reconciler.reconcile(CA)
    assert bench.ready()[0] == "False"


async def test_a_refusal_of_an_order_shows_the_new_terms_at_once_and_asks_no_more_than_once_an_hour() -> None:
    bench = await registered()
    bench.now += dt.timedelta(hours=2)
    bench.ca.meta["termsOfService"] = NEW
    bench.ca.requests.clear()
    for _ in range(50):
        bench.reconciler.action_required(CA)
        await bench.reconciler.reconcile(CA)
        bench.now += dt.timedelta(minutes=1)
    assert NEW in (said(bench) or "")
    assert len(bench.ca.asked("/directory")) == 1
    assert bench.ready() == ("True", "AccountRegistered")
