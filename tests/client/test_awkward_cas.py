"""A whole issuance at a CA whose machines do not agree at once, or that is in no hurry to be final."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import Client, Headers, OrderFailed, ProblemError, Response
from certwright.acme.patience import PATIENCE_SECONDS
from certwright.client import (
    Event,
    IssuanceTimedOut,
    OrderNotResumed,
    OrderPlaced,
    OrderReady,
    UnusableCertificate,
    issue,
)
from tests.fakes.acme import ORIGIN, FakeCa
from tests.fakes.solvers import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.acme import Request
    from tests.fakes.time import FakeTime

FAILURE = {"type": "urn:ietf:params:acme:error:dns", "detail": "no TXT record found"}
RESOURCES = ["/dir", "/new-order", "/authz/0", "/chall/0", "/order/1", "/finalize", "/cert"]
READ = [path for path in RESOURCES if path not in ("/dir", "/new-order")]


def trouble(ca: FakeCa, status: int) -> Callable[[Request], Response]:
    kind = "malformed" if status == 404 else "serverInternal"
    return lambda request: ca.problem(kind, "not yet", request, status=status)


async def to_the_certificate(client: Client, **options: Any) -> None:
    """Issue, up to the chain of this CA, which is none."""
    with pytest.raises(UnusableCertificate):
        await issue(client, ["a.example"], solvers=[Recorder()], **options)


class Validation:
    """An authorization that takes its time; each answer to its challenge takes the next of its outcomes."""

    def __init__(self, ca: FakeCa, *outcomes: str, order_follows: bool = True) -> None:
        self.ca = ca
        self.outcomes = list(outcomes)
        self.order_follows = order_follows
        self.state = "pending"
        self.answers = 0
        for _ in range(1000):
            ca.reply("/authz/0", lambda _: self.ca.json(self.authorization()))
            ca.reply("/chall/0", self.challenge)
            ca.reply("/order/1", lambda _: self.ca.json(self.ca.order(self.order)))

    @property
    def order(self) -> str:
        if self.ca.paths().count("/finalize"):
            return "valid"
        if not self.order_follows:
            return "pending"
        return {"valid": "ready", "invalid": "invalid"}.get(self.state, "pending")

    def authorization(self) -> dict[str, Any]:
        found = self.ca.authorization(0)
        found["challenges"][1] |= {"status": "pending" if self.state == "failed" else self.state}
        if self.state in ("failed", "invalid", "processing with error"):
            found["challenges"][1] |= {"error": FAILURE, "status": self.state.partition(" ")[0]}
            if self.state == "failed":
                found["challenges"][1]["status"] = "pending"
        found["status"] = self.state if self.state in ("valid", "invalid", "expired", "deactivated") else "pending"
        if found["status"] in ("expired", "deactivated"):
            found["challenges"][1]["status"] = "pending"
        return found

    def challenge(self, request: Request) -> Response:
        if request.payload == b"{}":
            self.answers += 1
            self.state = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        return self.ca.json(self.authorization()["challenges"][1])


@pytest.mark.parametrize("status", [404, 500, 503])
@pytest.mark.parametrize("path", RESOURCES)
async def test_one_refusal_that_passes_ends_no_issuance(client: Client, ca: FakeCa, path: str, status: int) -> None:
    if status == 404 and path not in READ:
        return
    ca.order_states.extend(["ready", *["valid"] * 3] if path != "/finalize" else ["ready", "ready", "valid"])
    ca.reply(path, trouble(ca, status))
    await to_the_certificate(client)
    assert ca.paths().count("/new-order") == 1 + (path == "/new-order")


@pytest.mark.parametrize("status", [404, 503])
@pytest.mark.parametrize("path", ["/order/1", "/cert"])
async def test_an_order_that_is_finalized_is_resumed_although_a_replica_is_behind(
    client: Client, ca: FakeCa, path: str, status: int
) -> None:
    ca.identifiers = [{"type": "dns", "value": "a.example"}]
    ca.order_states.extend(["valid"] * 3)
    ca.reply(path, *[trouble(ca, status)] * 3)
    await to_the_certificate(client, resume=f"{ORIGIN}/order/1")
    assert "/new-order" not in ca.paths()


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, Headers({"Content-Type": "text/html"}), b"<html>maintenance"),
        Response(200, Headers({"Content-Type": "application/json"}), b'{"status": "val'),
    ],
)
async def test_a_page_of_a_gateway_is_no_reason_to_give_up_an_order(
    client: Client, ca: FakeCa, answer: Response
) -> None:
    ca.reply("/order/1", *[answer] * 10)
    events: list[Event] = []
    with pytest.raises(Exception, match="Not an ACME response"):
        await issue(client, ["a.example"], solvers=[Recorder()], resume=f"{ORIGIN}/order/1", on_event=events.append)
    assert "/new-order" not in ca.paths()
    assert not [event for event in events if isinstance(event, OrderNotResumed)]


@pytest.mark.parametrize(("kind", "status"), [("accountDoesNotExist", 400), ("userActionRequired", 403)])
async def test_nor_is_a_refusal_of_the_account(client: Client, ca: FakeCa, kind: str, status: int) -> None:
    ca.reply("/order/1", lambda request: ca.problem(kind, "no", request, status=status))
    with pytest.raises(ProblemError):
        await issue(client, ["a.example"], solvers=[Recorder()], resume=f"{ORIGIN}/order/1")
    assert "/new-order" not in ca.paths()


async def test_a_valid_order_is_collected_after_it_has_expired(client: Client, ca: FakeCa) -> None:
    ca.identifiers = [{"type": "dns", "value": "a.example"}]
    ca.reply("/order/1", lambda _: ca.json(ca.order("valid", expires="2020-01-01T00:00:00Z")))
    await to_the_certificate(client, resume=f"{ORIGIN}/order/1")
    assert "/new-order" not in ca.paths()


class TestValidation:
    async def test_on_the_way_that_all_goes_well_nothing_more_is_asked(self, client: Client, ca: FakeCa) -> None:
        Validation(ca, "valid")
        await to_the_certificate(client)
        assert ca.paths() == [
            *["/dir", "/new-order", "/authz/0", "/chall/0", "/order/1", "/finalize", "/order/1", "/cert"]
        ]

    async def test_a_challenge_that_stays_pending_with_an_error_is_answered_again_after_a_pause(
        self, client: Client, ca: FakeCa, time: FakeTime
    ) -> None:
        """RFC 8555 section 8.2."""
        validation = Validation(ca, "failed", "failed", "valid")
        await to_the_certificate(client)
        assert validation.answers == 3
        assert 15 <= time.elapsed < 40
        assert ca.paths().count("/authz/0") < 8

    async def test_it_is_answered_less_and_less_often(self, client: Client, ca: FakeCa) -> None:
        validation = Validation(ca, "failed")
        with pytest.raises(IssuanceTimedOut) as caught:
            await issue(client, ["a.example"], solvers=[Recorder()], timeout=600)
        assert caught.value.reasons == {"a.example": "dns: no TXT record found"}
        assert "The CA last said: a.example: dns: no TXT record found" in str(caught.value)
        assert 8 <= validation.answers <= 14
        assert ca.paths().count("/authz/0") <= 20

    async def test_one_that_the_server_tries_again_itself_is_not_answered_again(
        self, client: Client, ca: FakeCa
    ) -> None:
        validation = Validation(ca, "processing with error")
        with pytest.raises(IssuanceTimedOut, match="no TXT record found"):
            await issue(client, ["a.example"], solvers=[Recorder()], timeout=120)
        assert validation.answers == 1

    async def test_one_without_an_error_is_not_answered_again(self, client: Client, ca: FakeCa) -> None:
        """Boulder leaves a challenge pending until it has validated it."""
        validation = Validation(ca, "pending")
        with pytest.raises(IssuanceTimedOut) as caught:
            await issue(client, ["a.example"], solvers=[Recorder()], timeout=120)
        assert (validation.answers, caught.value.reasons) == (1, {})

    @pytest.mark.parametrize("state", ["invalid", "expired", "deactivated"])
    async def test_an_authorization_that_failed_in_a_pending_order_ends_it_at_once(
        self, client: Client, ca: FakeCa, time: FakeTime, state: str
    ) -> None:
        Validation(ca, state, order_follows=False)
        solver = Recorder()
        with pytest.raises(
            OrderFailed, match=r"a\.example: .*no TXT record" if state == "invalid" else state
        ) as caught:
            await issue(client, ["a.example"], solvers=[solver])
        assert list(caught.value.by_identifier) == ["a.example"]
        assert time.elapsed < 10
        assert solver.calls[-1] == "clean_up a.example"

    async def test_a_dead_order_is_not_resumed(self, client: Client, ca: FakeCa) -> None:
        ca.identifiers = [{"type": "dns", "value": "a.example"}]
        ca.order_states.extend(["pending", "ready", "valid"])
        ca.reply("/authz/0", lambda _: ca.json(ca.authorization(0, status="invalid", error=FAILURE)))
        events: list[Event] = []
        await to_the_certificate(client, resume=f"{ORIGIN}/order/1", on_event=events.append)
        assert isinstance(events[0], OrderNotResumed)
        assert "no TXT record found" in str(events[0])
        assert isinstance(events[1], OrderPlaced)

    async def test_an_order_that_is_dead_when_it_is_placed_fails_before_anything_is_presented(
        self, client: Client, ca: FakeCa
    ) -> None:
        """A CA may reuse a pending order whose authorization has failed."""
        ca.reply("/authz/0", lambda _: ca.json(ca.authorization(0, status="invalid", error=FAILURE)))
        solver = Recorder()
        with pytest.raises(OrderFailed, match="no TXT record found"):
            await issue(client, ["a.example"], solvers=[solver])
        assert solver.calls == []

    async def test_authorizations_that_cannot_be_read_do_not_stop_an_order(self, client: Client, ca: FakeCa) -> None:
        ca.order_states.extend([*["pending"] * 8, "ready", "valid"])
        ca.reply("/authz/0", lambda _: ca.json(ca.authorization(0)))
        for _ in range(100):
            ca.reply("/authz/0", lambda request: ca.problem("unauthorized", "no", request, status=403))
        await to_the_certificate(client)
        assert ca.paths().count("/authz/0") > 1


class TestWaiting:
    async def test_the_wait_that_a_challenge_asks_for_is_waited(
        self, client: Client, ca: FakeCa, time: FakeTime
    ) -> None:
        challenge = {**ca_challenge(ca), "status": "processing"}
        ca.reply("/chall/0", lambda _: ca.json(challenge, headers={"Retry-After": "13"}))
        ca.order_states.extend(["ready", "valid"])
        await to_the_certificate(client)
        assert time.slept[0] == 13

    @pytest.mark.parametrize("state", ["pending", "processing"])
    async def test_a_wait_longer_than_the_time_given_is_told_with_the_time_that_passed(
        self, client: Client, ca: FakeCa, time: FakeTime, state: str
    ) -> None:
        states = [state] if state == "pending" else ["ready", state]
        for each in [*states, *[state] * 20]:
            ca.reply("/order/1", later(ca, each))
        with pytest.raises(IssuanceTimedOut) as caught:
            await issue(client, ["a.example"], solvers=[Recorder()], timeout=60)
        assert caught.value.retry_after == 86_400
        assert caught.value.order_url == f"{ORIGIN}/order/1"
        assert f"No certificate after {time.elapsed:.0f} s" in str(caught.value)
        assert f"is still {state}" in str(caught.value)
        assert "asks to look again in 86400 s" in str(caught.value)
        assert time.elapsed <= 60

    async def test_what_is_done_sooner_than_the_ca_expects_is_found(self, client: Client, ca: FakeCa) -> None:
        ca.reply("/order/1", later(ca, "ready"), later(ca, "processing"))
        ca.order_states.extend(["valid"])
        await to_the_certificate(client, timeout=60)

    async def test_a_ca_that_is_out_of_service_for_longer_than_a_minute_is_waited_for_while_it_says_so(
        self, client: Client, ca: FakeCa, time: FakeTime
    ) -> None:
        busy = Response(503, Headers({"Content-Type": "text/html", "Retry-After": "100"}))
        ca.reply("/order/1", busy, busy)
        ca.order_states.extend(["ready", "valid"])
        await to_the_certificate(client)
        assert time.elapsed > 200

    async def test_one_that_does_not_say_so_is_given_up(self, client: Client, ca: FakeCa, time: FakeTime) -> None:
        ca.reply("/authz/0", *[trouble(ca, 503)] * 40)
        events: list[Event] = []
        with pytest.raises(ProblemError):
            await issue(client, ["a.example"], solvers=[Recorder()], on_event=events.append)
        assert timedelta(seconds=time.elapsed) < timedelta(seconds=PATIENCE_SECONDS + 2)
        assert not [event for event in events if isinstance(event, OrderReady)]


def later(ca: FakeCa, state: str) -> Callable[[Request], Response]:
    return lambda _: ca.json(ca.order(state), headers={"Retry-After": "86400"})


def ca_challenge(ca: FakeCa) -> dict[str, Any]:
    ca.identifiers = [{"type": "dns", "value": "a.example"}]
    found: dict[str, Any] = ca.authorization(0)["challenges"][1]
    return found
