"""A CA whose machines do not agree at once, or that is in no hurry to be final: what the operator makes of it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from certwright import acme
from certwright.certificates.ca_trouble import CA_TRIES, DOUBTED_TRIES, FINALIZED_CA_TRIES, FINALIZED_TRIES, GONE_TRIES
from certwright.certificates.steps.review_authorizations import MAX_ANSWERS
from certwright.resources import ISSUING
from tests.fakes.acme_client import NOT_SEEN, PLACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.certificates.bench import Bench


URL = f"{PLACE}/order/1"
MINUTE, HOUR = 60.0, 3600.0


def problem(kind: str, status: int, action: str = "order") -> acme.ProblemError:
    named = acme.Problem(type=f"urn:ietf:params:acme:error:{kind}", detail="not now")
    known = {"serverInternal": acme.ServerInternal, "unauthorized": acme.Unauthorized, "badCSR": acme.BadCsr}
    return known.get(kind, acme.ProblemError)(named, action=action, url=URL, status=status)


def gone() -> acme.AcmeError:
    return problem("malformed", 404)


def internal() -> acme.AcmeError:
    return problem("serverInternal", 500)


def unavailable() -> acme.AcmeError:
    return acme.ServiceUnavailable("out of service", url=URL, status=503)


def forbidden() -> acme.AcmeError:
    return problem("unauthorized", 403)


def trouble(bench: Bench, method: str, error: Callable[[], acme.AcmeError], times: int) -> Counter[str]:
    """Have the CA refuse the first so many requests of a kind; return how often each was made."""
    original, calls = getattr(bench.ca, method), Counter[str]()

    async def refusing(*arguments: Any, **options: Any) -> Any:
        calls[method] += 1
        if calls[method] <= times:
            raise error()
        return await original(*arguments, **options)

    setattr(bench.ca, method, refusing)
    return calls


METHODS = ["new_order", "fetch_authorizations", "answer_challenge", "fetch_order", "finalize", "download_certificate"]


@pytest.mark.parametrize("error", [gone, internal, unavailable])
@pytest.mark.parametrize("method", METHODS)
async def test_what_passes_costs_seconds_and_no_order(
    bench: Bench, method: str, error: Callable[[], acme.AcmeError]
) -> None:
    if (method, error) == ("new_order", gone):
        return
    bench.ca.undecided = method == "fetch_order"
    calls = trouble(bench, method, error, 1)
    await bench.run(5)
    if bench.ca.undecided:
        assert calls["fetch_order"] > 0
        decide(bench)
    await bench.run(60)
    assert bench.condition().status == "True"
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (1, 0)
    assert not {"OrderGone", "ValidationFailed"} & set(bench.events)
    assert bench.secret_names == {"web-tls"}


def decide(bench: Bench, state: str = "ready") -> None:
    bench.ca.undecided = False
    for url, order in bench.ca.orders.items():
        bench.ca.orders[url] = replace(order, status=acme.OrderStatus(state))


async def test_no_worker_is_held_by_the_wait(bench: Bench) -> None:
    trouble(bench, "fetch_authorizations", gone, 1)
    result = await bench.look()
    assert result.after is not None
    assert dt.timedelta(seconds=1) < result.after < dt.timedelta(seconds=4)
    assert bench.condition().reason == "NotFoundAtCA"
    assert bench.status.order is not None
    assert bench.status.order.url == URL


async def test_a_restart_in_the_middle_of_it_goes_on_with_the_order(bench: Bench) -> None:
    trouble(bench, "download_certificate", gone, 3)
    await bench.look()
    bench.restart()
    await bench.run(MINUTE)
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1


async def test_an_order_that_stays_unknown_is_given_up_after_a_minute(bench: Bench) -> None:
    calls = trouble(bench, "fetch_authorizations", gone, GONE_TRIES)
    await bench.run(3 * MINUTE)
    assert calls["fetch_authorizations"] == GONE_TRIES + 1
    assert "OrderGone" in bench.events
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 2


async def test_orders_that_are_never_known_are_placed_less_and_less_often(bench: Bench) -> None:
    trouble(bench, "fetch_authorizations", gone, 10_000)
    await bench.run(2 * HOUR)
    assert 4 <= len(bench.ca.orders) <= 6
    await bench.run(24 * HOUR)
    assert len(bench.ca.orders) <= 7
    assert bench.condition(ISSUING).reason == "OrderGone"


@pytest.mark.parametrize("error", [gone, internal, unavailable, forbidden])
async def test_an_order_that_is_issued_is_kept_for_an_hour_whatever_the_ca_says(
    bench: Bench, error: Callable[[], acme.AcmeError]
) -> None:
    trouble(bench, "download_certificate", error, FINALIZED_TRIES - 1)
    await bench.run(1.5 * HOUR)
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1


@pytest.mark.parametrize("error", [gone, forbidden])
async def test_but_not_for_ever(bench: Bench, error: Callable[[], acme.AcmeError]) -> None:
    trouble(bench, "download_certificate", error, FINALIZED_TRIES)
    await bench.run(3 * HOUR)
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 2


@pytest.mark.parametrize("error", [internal, unavailable])
async def test_an_order_that_the_ca_fails_on_gives_way_to_another_after_two_hours(
    bench: Bench, error: Callable[[], acme.AcmeError]
) -> None:
    calls = trouble(bench, "finalize", error, CA_TRIES)
    await bench.run(1.5 * HOUR)
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (1, 0)
    await bench.run(2 * HOUR)
    assert calls["finalize"] == CA_TRIES + 1
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 2


NOWHERE = "https://192.0.2.1:14000/nowhere"


def unreachable() -> acme.AcmeError:
    return acme.ConnectionFailed("cannot connect to 192.0.2.1:14000", host="192.0.2.1:14000", request_sent=False)


def changing(bench: Bench, method: str, times: int, change: Callable[[Any], Any]) -> Counter[str]:
    """Damage the first so many answers of a kind; return how often each was made."""
    original, calls = getattr(bench.ca, method), Counter[str]()

    async def damaged(*arguments: Any, **options: Any) -> Any:
        found = await original(*arguments, **options)
        calls[method] += 1
        return change(found) if calls[method] <= times else found

    setattr(bench.ca, method, damaged)
    return calls


def nothing_there(bench: Bench, method: str, url: Callable[[Any], str | None]) -> Counter[str]:
    """Have requests to `NOWHERE` fail; return how often it was tried."""
    original, calls = getattr(bench.ca, method), Counter[str]()

    async def going(subject: Any, *arguments: Any) -> Any:
        calls[method] += 1
        if url(subject) == NOWHERE:
            calls["nowhere"] += 1
            raise unreachable()
        return await original(subject, *arguments)

    setattr(bench.ca, method, going)
    return calls


async def test_a_certificate_url_that_leads_nowhere_is_read_again_before_the_next_try(bench: Bench) -> None:
    tried = nothing_there(bench, "download_certificate", lambda order: order.certificate_url)
    changing(bench, "finalize", 1, lambda order: replace(order, certificate_url=NOWHERE))
    await bench.run(10)
    assert bench.condition().status == "True"
    assert (tried["nowhere"], tried["download_certificate"]) == (1, 2)
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (1, 0)


async def test_a_finalize_url_that_leads_nowhere_is_read_again_before_the_next_try(bench: Bench) -> None:
    tried = nothing_there(bench, "finalize", lambda order: order.finalize_url)
    changing(bench, "fetch_order", 1, lambda order: replace(order, finalize_url=NOWHERE))
    await bench.run(10)
    assert bench.condition().status == "True"
    assert (tried["nowhere"], tried["finalize"], len(bench.ca.orders)) == (1, 2, 1)


def at_nowhere(authorizations: tuple[acme.Authorization, ...]) -> tuple[acme.Authorization, ...]:
    (only,) = authorizations
    return (replace(only, challenges=tuple(replace(one, url=NOWHERE) for one in only.challenges)),)


async def test_a_challenge_url_that_leads_nowhere_is_read_again_before_the_next_try(bench: Bench) -> None:
    tried = nothing_there(bench, "answer_challenge", lambda challenge: challenge.url)
    changing(bench, "fetch_authorizations", 1, at_nowhere)
    await bench.run(10)
    assert bench.condition().status == "True"
    assert (tried["nowhere"], tried["answer_challenge"], len(bench.ca.orders)) == (1, 2, 1)
    assert bench.dns.records == set()


async def test_urls_that_never_lead_anywhere_are_tried_ever_less_often_and_given_up(bench: Bench) -> None:
    tried = nothing_there(bench, "finalize", lambda order: order.finalize_url)
    changing(bench, "fetch_order", 100_000, lambda order: replace(order, finalize_url=NOWHERE))
    await bench.run(1.5 * HOUR)
    assert len(bench.ca.orders) == 1
    assert 15 <= tried["nowhere"] < CA_TRIES
    await bench.run(HOUR)
    assert bench.status.failed_attempts == 1
    await bench.run(24 * HOUR)
    assert tried["nowhere"] <= 10 * CA_TRIES
    assert len(bench.ca.orders) <= 10


async def test_a_certificate_that_cannot_be_fetched_for_a_day_is_given_up(bench: Bench) -> None:
    tried = nothing_there(bench, "download_certificate", lambda order: order.certificate_url)
    changing(bench, "fetch_order", 100_000, lambda order: replace(order, certificate_url=NOWHERE))
    changing(bench, "finalize", 1, lambda order: replace(order, certificate_url=NOWHERE))
    await bench.run(20 * HOUR)
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (1, 0)
    assert tried["nowhere"] < FINALIZED_CA_TRIES
    await bench.run(10 * HOUR)
    assert len(bench.ca.orders) == 2
    assert bench.condition().status == "True"


async def test_a_ca_that_is_out_of_reach_costs_no_order_however_long(bench: Bench) -> None:
    """Only what the CA names and is not there is its fault; nothing is there while it is down."""
    down = True

    def is_down(method: str) -> None:
        original = getattr(bench.ca, method)

        async def reaching(*arguments: Any, **options: Any) -> Any:
            if down:
                raise unreachable()
            return await original(*arguments, **options)

        setattr(bench.ca, method, reaching)

    for method in ("download_certificate", "fetch_order"):
        is_down(method)
    await bench.run(60 * HOUR)
    down = False
    await bench.run(HOUR)
    assert bench.condition().status == "True"
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (1, 0)


async def test_a_ca_that_finds_no_ready_order_ready_is_asked_ever_less_often(bench: Bench) -> None:
    bench.ca.not_ready = 10_000
    await bench.run(1.5 * HOUR)
    assert 10_000 - bench.ca.not_ready < CA_TRIES
    await bench.run(10 * HOUR)
    assert 2 <= len(bench.ca.orders) <= 5


def without_challenges(authorizations: tuple[acme.Authorization, ...]) -> tuple[acme.Authorization, ...]:
    return tuple(replace(one, challenges=()) for one in authorizations)


def failed(authorizations: tuple[acme.Authorization, ...]) -> tuple[acme.Authorization, ...]:
    return tuple(replace(one, status=acme.AuthorizationStatus.INVALID) for one in authorizations)


def foreign(authorizations: tuple[acme.Authorization, ...]) -> tuple[acme.Authorization, ...]:
    return tuple(replace(one, identifier=acme.Identifier.dns("example.test")) for one in authorizations)


def expired(order: acme.Order) -> acme.Order:
    return replace(order, expires=order.expires or dt.datetime(2000, 1, 1, tzinfo=dt.UTC))


def invalid(order: acme.Order) -> acme.Order:
    return replace(order, status=acme.OrderStatus.INVALID)


def cut(chain: Any) -> Any:
    return replace_pem(chain, chain.pem[: len(chain.pem) // 2] + b"\n-----END CERTIFICATE-----\n")


def replace_pem(chain: Any, pem: bytes) -> Any:
    return type(chain)(pem=pem)


DAMAGE: list[tuple[str, Callable[[Any], Any], str]] = [
    ("fetch_authorizations", without_challenges, "NoChallenge"),
    ("fetch_authorizations", failed, "ValidationFailed"),
    ("fetch_authorizations", foreign, "ForeignAuthorization"),
    ("finalize", invalid, ""),
    ("fetch_order", invalid, ""),
    ("download_certificate", cut, "InvalidKeyOrChain"),
    ("download_certificate", lambda chain: replace_pem(chain, b""), "InvalidKeyOrChain"),
]


@pytest.mark.parametrize(("method", "change", "reason"), DAMAGE)
async def test_one_damaged_answer_costs_no_order(
    bench: Bench, method: str, change: Callable[[Any], Any], reason: str
) -> None:
    calls = changing(bench, method, 1, change)
    await bench.run(30)
    assert bench.condition().status == "True"
    assert calls[method] >= 1
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (1, 0)
    assert bench.dns.records == set()
    if reason:
        assert bench.events.count(reason) == 1  # people read of it once


@pytest.mark.parametrize(("method", "change", "reason"), [one for one in DAMAGE if one[2]])
async def test_a_ca_that_always_answers_so_ends_in_the_same_condition(
    bench: Bench, method: str, change: Callable[[Any], Any], reason: str
) -> None:
    calls = changing(bench, method, 100_000, change)
    await bench.run(45)
    assert (bench.condition(ISSUING).status, bench.condition(ISSUING).reason) == ("False", reason)
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (1, 1)
    assert calls[method] == DOUBTED_TRIES
    assert bench.dns.records == set()


async def test_a_certificate_for_another_key_is_fetched_again_before_it_is_refused(bench: Bench) -> None:
    bench.ca.changed = lambda _: bench.build.ca.chain(["a.example.test"]).pem
    calls = changing(bench, "download_certificate", 0, lambda chain: chain)
    await bench.run(30)
    assert calls["download_certificate"] == DOUBTED_TRIES
    assert (bench.condition(ISSUING).reason, bench.status.failed_attempts) == ("CertificateRefused", 1)
    assert bench.secret_names.isdisjoint({"web-tls"})


@pytest.mark.parametrize("method", ["fetch_authorizations", "answer_challenge", "finalize"])
async def test_one_refusal_costs_no_order_and_three_do(bench: Bench, method: str) -> None:
    trouble(bench, method, lambda: problem("malformed", 400), DOUBTED_TRIES - 1)
    await bench.run(30)
    assert bench.condition().status == "True"
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (1, 0)


@pytest.mark.parametrize("method", ["fetch_authorizations", "answer_challenge", "finalize"])
async def test_refusals_that_go_on_end_in_an_attempt(bench: Bench, method: str) -> None:
    calls = trouble(bench, method, lambda: problem("malformed", 400), 10_000)
    await bench.run(30)
    assert (calls[method], bench.status.failed_attempts) == (DOUBTED_TRIES, 1)
    assert bench.condition(ISSUING).reason == "CARefused"


async def test_an_order_that_had_expired_when_it_was_placed_is_followed_all_the_same(bench: Bench) -> None:
    changing(bench, "new_order", 1, expired)
    trouble(bench, "fetch_authorizations", internal, 2)
    await bench.run(30)
    assert bench.condition().status == "True"
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (1, 0)


def answered(state: str) -> Callable[[Any], Any]:
    """Authorizations that are pending, with a challenge that needs no answer, as it seems."""

    def change(authorizations: tuple[acme.Authorization, ...]) -> tuple[acme.Authorization, ...]:
        status = acme.ChallengeStatus(state)
        return tuple(
            replace(one, challenges=tuple(replace(found, status=status) for found in one.challenges))
            for one in authorizations
        )

    return change


@pytest.mark.parametrize("change", [lambda _: (), answered("processing"), answered("valid"), answered("invalid")])
async def test_a_challenge_that_one_damaged_answer_hid_is_answered(bench: Bench, change: Callable[[Any], Any]) -> None:
    changing(bench, "fetch_authorizations", 1, change)
    await bench.run(5 * MINUTE)
    assert bench.condition().status == "True"
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (1, 0)
    assert bench.dns.records == set()


async def test_a_ca_that_cannot_decide_whether_it_waits_for_an_answer_is_not_asked_without_end(bench: Bench) -> None:
    calls, original = Counter[str](), bench.ca.fetch_authorizations

    async def wavering(order: acme.Order) -> tuple[acme.Authorization, ...]:
        calls["read"] += 1
        found = await original(order)
        return found if calls["read"] % 2 == 0 else tuple(answered("processing")(found))

    bench.ca.fetch_authorizations = wavering  # type: ignore[method-assign]
    await bench.run(6 * HOUR)
    assert calls["read"] < 400
    assert len(bench.ca.orders) == 1


async def test_a_challenge_that_is_another_one_at_the_next_look_ends_the_order_cleanly(bench: Bench) -> None:
    """A token changes if the CA makes challenges anew: what was presented is removed, and another order placed."""
    answering = trouble(bench, "answer_challenge", unreachable, 1)

    def other(authorizations: tuple[acme.Authorization, ...]) -> tuple[acme.Authorization, ...]:
        (only,) = authorizations
        if not answering["answer_challenge"] or len(bench.ca.orders) > 1:
            return authorizations
        return (replace(only, challenges=tuple(replace(one, token="another-token") for one in only.challenges)),)

    changing(bench, "fetch_authorizations", 10_000, other)
    await bench.run(2 * MINUTE)
    assert bench.condition().status == "True"
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (2, 0)
    assert bench.dns.records == set()


async def test_a_refusal_to_finalize_is_final(bench: Bench) -> None:
    trouble(bench, "finalize", lambda: problem("badCSR", 400, "finalize"), 1)
    await bench.run(30)
    assert (bench.status.failed_attempts, bench.condition(ISSUING).status) == (1, "False")


async def test_an_order_that_is_invalid_from_the_start_is_not_placed_again_at_once(bench: Bench) -> None:
    order = bench.build.order("invalid", ["a.example.test"])
    trouble(bench, "new_order", lambda: acme.OrderFailed(order, {"a.example.test": NOT_SEEN}), 1000)
    await bench.run(HOUR)
    assert (bench.condition(ISSUING).reason, bench.status.failed_attempts) == ("ValidationFailed", 3)
    assert "no TXT record" in (bench.condition(ISSUING).message or "")


class Validation:
    """The authorization of an order that stays pending; each answer takes the next of its outcomes."""

    def __init__(self, bench: Bench, *outcomes: str) -> None:
        self.bench, self.outcomes, self.state, self.answers, self.reads = bench, list(outcomes), "pending", 0, 0
        bench.ca.undecided = True
        self.fetch = bench.ca.fetch_authorizations
        bench.ca.fetch_authorizations = bench.ca.fetch_readable_authorizations = self.read  # type: ignore[method-assign]
        bench.ca.answer_challenge = self.answer  # type: ignore[method-assign]

    async def read(self, order: acme.Order) -> tuple[acme.Authorization, ...]:
        self.reads += 1
        (found,) = await self.fetch(order)
        return (replace(found, **self.states, challenges=(self.challenge(found.challenges[0]),)),)

    @property
    def states(self) -> dict[str, Any]:
        ended = self.state in ("invalid", "expired", "valid")
        return {"status": acme.AuthorizationStatus(self.state if ended else "pending")}

    def challenge(self, challenge: acme.Challenge) -> acme.Challenge:
        state = {"failed": "pending", "expired": "pending"}.get(self.state, self.state)
        error = NOT_SEEN if self.state in ("failed", "invalid") else None
        return replace(challenge, status=acme.ChallengeStatus(state), error=error)

    async def answer(self, challenge: acme.Challenge) -> acme.Challenge:
        self.answers += 1
        self.state = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if self.state == "valid":
            decide(self.bench)
        return self.challenge(challenge)


async def test_a_challenge_that_stays_pending_with_an_error_is_answered_again(bench: Bench) -> None:
    validation = Validation(bench, "failed", "failed", "valid")
    await bench.run(10)
    assert (bench.condition(ISSUING).status, bench.condition(ISSUING).reason) == ("True", "Validating")
    assert "no TXT record" in (bench.condition(ISSUING).message or "")
    order = bench.status.order
    assert order is not None
    assert "no TXT record" in (order.authorizations[0].error or "")
    await bench.run(MINUTE)
    assert validation.answers == 3
    assert bench.condition().status == "True"
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (1, 0)


async def test_it_is_answered_less_and_less_often_and_given_up_with_the_reason(bench: Bench) -> None:
    validation = Validation(bench, "failed")
    await bench.run(20 * MINUTE)
    assert 12 <= validation.answers <= 25
    assert bench.status.failed_attempts == 0
    await bench.run(25 * MINUTE)
    assert len(bench.ca.orders) in (2, 3)
    assert "ValidationFailed" in bench.events
    assert "no TXT record" in bench.messages["ValidationFailed"]
    assert validation.answers >= MAX_ANSWERS


@pytest.mark.parametrize(("state", "reason"), [("invalid", "no TXT record"), ("expired", "is expired")])
async def test_an_authorization_that_failed_in_a_pending_order_ends_it_with_its_reason(
    bench: Bench, state: str, reason: str
) -> None:
    Validation(bench, state)
    await bench.run(30)
    assert (bench.condition(ISSUING).status, bench.condition(ISSUING).reason) == ("False", "ValidationFailed")
    assert reason in (bench.condition(ISSUING).message or "")
    assert (bench.status.failed_attempts, bench.dns.records) == (1, set())


async def test_a_dead_order_is_not_resumed_by_the_next_process(bench: Bench) -> None:
    validation = Validation(bench, "pending")
    await bench.run(30)
    bench.restart()
    pending = bench.ca.fetch_authorizations

    async def failed(order: acme.Order) -> tuple[acme.Authorization, ...]:
        return tuple(replace(one, status=acme.AuthorizationStatus.INVALID) for one in await pending(order))

    bench.ca.fetch_authorizations = failed  # type: ignore[method-assign]
    await bench.run(5)
    assert bench.condition(ISSUING).reason == "ValidationFailed"
    assert validation.answers == 1


async def test_one_without_an_error_is_only_waited_for(bench: Bench) -> None:
    validation = Validation(bench, "pending")
    await bench.run(HOUR)
    assert (validation.answers, len(bench.ca.orders)) == (1, 1)
    assert validation.reads < 80


async def test_an_order_that_expires_says_what_the_ca_said_last(bench: Bench) -> None:
    Validation(bench, "failed", "pending")
    await bench.run(30)
    expired = bench.now - dt.timedelta(minutes=1)
    bench.ca.orders[URL] = replace(bench.ca.orders[URL], expires=expired)
    await bench.run(10 * MINUTE)
    assert "OrderExpired" in bench.events
    assert "The CA last said: a.example.test: dns: no TXT record" in bench.messages["OrderExpired"]


async def test_an_order_that_goes_well_has_its_authorizations_read_once(bench: Bench) -> None:
    validation = Validation(bench, "valid")
    await bench.run(30)
    assert (bench.condition().status, validation.reads) == ("True", 1)
