"""Requests that the CA refuses as unauthorized: the account may have been closed there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright import acme
from certwright.resources import ISSUING
from tests.fakes.acme_client import unauthorized

from .bench import CA, WEB, Bench

if TYPE_CHECKING:
    import datetime as dt


def refuse(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, action: str) -> list[dt.datetime]:
    """Have the CA refuse what a method asks for; return the times at which it is asked."""
    asked: list[dt.datetime] = []

    async def refused(*_: Any, **__: Any) -> Any:
        asked.append(bench.now)
        raise unauthorized(action)

    monkeypatch.setattr(bench.ca, name, refused)
    return asked


@pytest.mark.parametrize(
    ("name", "action"),
    [("new_order", "newOrder"), ("answer_challenge", "challenge"), ("fetch_order", "order"), ("finalize", "finalize")],
)
async def test_when_the_account_was_closed_no_attempt_is_burned_and_the_issuer_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, action: str
) -> None:
    bench.ca.undecided = name == "fetch_order"
    refuse(bench, monkeypatch, name, action)
    bench.ca.account_status = acme.AccountStatus.DEACTIVATED
    while not bench.refused:
        result = await bench.look()
        assert result.after is not None
        bench.now += result.after
    assert bench.refused[0][0] == CA
    assert "account is deactivated" in bench.refused[0][1]
    assert bench.status.failed_attempts == 0
    assert bench.condition(ISSUING).reason == "IssuerNotReady"
    assert "account is deactivated" in bench.condition(ISSUING).message
    assert bench.lost == []


async def test_it_goes_on_when_the_issuer_is_ready_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        asked = refuse(bench, patch, "new_order", "newOrder")
        bench.ca.account_status = acme.AccountStatus.DEACTIVATED
        await bench.look()
        bench.registry.set_not_ready(CA, "the account is closed")
        await bench.run(3600)
        assert len(asked) == 1
    bench.ca.account_status = acme.AccountStatus.VALID
    bench.ready()
    bench.reconciler.issuer_changed(WEB)
    await bench.run(60)
    assert bench.condition().status == "True"


async def test_when_the_account_is_usable_the_refusal_counts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = refuse(bench, monkeypatch, "new_order", "newOrder")
    await bench.run(3600)
    assert len(asked) == 3, "after 0, 1 and 11 minutes"
    assert bench.refused == []
    assert bench.condition(ISSUING).reason == "Unauthorized"


async def test_when_the_account_cannot_be_read_the_refusal_does_not_count(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(bench, monkeypatch, "new_order", "newOrder")

    async def unreachable() -> Any:
        raise acme.TimedOut("ca.example.test did not answer in time", host="ca.example.test")

    monkeypatch.setattr(bench.ca, "fetch_account", unreachable)
    await bench.run(60)
    assert (bench.refused, bench.status.failed_attempts) == ([], 0)


def malformed(action: str) -> acme.ProblemError:
    """What some CAs say of a signature by the key of another account."""
    problem = acme.Problem(type="urn:ietf:params:acme:error:malformed", detail="JWS verification error")
    return acme.ProblemError(problem, action=action, url=f"https://ca.example.test/{action}", status=400)


async def test_a_signature_that_is_refused_at_the_account_too_has_the_account_found_by_its_key(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: Any, **__: Any) -> Any:
        raise malformed("request")

    monkeypatch.setattr(bench.ca, "new_order", refused)
    monkeypatch.setattr(bench.ca, "fetch_account", refused)
    await bench.look()
    assert (bench.lost, bench.refused, bench.status.failed_attempts) == ([CA], [], 0)


async def test_a_request_that_is_malformed_while_the_account_is_fine_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: Any, **__: Any) -> Any:
        raise malformed("newOrder")

    monkeypatch.setattr(bench.ca, "new_order", refused)
    await bench.look()
    assert (bench.lost, bench.refused, bench.status.failed_attempts) == ([], [], 1)


async def test_terms_that_are_to_be_agreed_to_are_told_to_the_issuer_and_an_agreement_goes_on_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = acme.Problem(type="urn:ietf:params:acme:error:userActionRequired", detail="new terms")
    terms = "https://ca.test/terms/2"

    async def refused(*_: Any, **__: Any) -> Any:
        raise acme.UserActionRequired(said, action="newOrder", url=terms, status=403, terms_of_service=terms)

    with monkeypatch.context() as patch:
        patch.setattr(bench.ca, "new_order", refused)
        await bench.look()
        assert bench.action_required == [CA]
        assert terms in bench.condition(ISSUING).message
        assert bench.status.failed_attempts == 0
    bench.ready()
    bench.reconciler.issuer_changed(WEB)
    await bench.run(60)
    assert bench.condition().status == "True", "not after the six hours that a person is given"
