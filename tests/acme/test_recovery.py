"""What becomes of a request whose answer is lost: the object that it is about is looked at first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import (
    Challenge,
    ChallengeStatus,
    Client,
    ConnectionFailed,
    Order,
    OrderNotReady,
    OrderStatus,
    ProblemError,
    TimedOut,
    TransportError,
)
from tests.fakes.acme import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.acme import Response
    from tests.fakes.acme import FakeCa, Request

    Reply = Response | Exception | Callable[[Request], Response]

ORDER = Order(f"{ORIGIN}/order/1", OrderStatus.READY, (), (), f"{ORIGIN}/finalize")
CHALLENGE = Challenge("dns-01", f"{ORIGIN}/chall/0", ChallengeStatus.PENDING, "token-0")
CSR = b"\x30\x00"


@pytest.fixture
def ca(ca: FakeCa) -> FakeCa:
    ca.identifiers = [{"type": "dns", "value": "a.example"}]
    return ca


def lost(kind: str) -> Exception:
    if kind == "timed out":
        return TimedOut("late", host="ca.test")
    return ConnectionFailed("broke", host="ca.test", request_sent=kind == "broken")


def refused(ca: FakeCa, kind: str) -> Callable[[Request], Response]:
    return lambda request: ca.problem(kind, "not now", request, status=403)


def payloads(ca: FakeCa, path: str) -> list[bytes]:
    return [request.payload for request in ca.requests if request.path == path]


class TestFinalize:
    @pytest.mark.parametrize("trouble", ["broken", "timed out", "orderNotReady"])
    @pytest.mark.parametrize(("state", "sent"), [("ready", 2), ("processing", 1), ("valid", 1)])
    async def test_the_order_tells_whether_it_has_to_be_sent_again(
        self, client: Client, ca: FakeCa, trouble: str, state: str, sent: int
    ) -> None:
        ca.order_states.append(state)
        ca.reply("/finalize", refused(ca, trouble) if trouble == "orderNotReady" else lost(trouble))
        order = await client.finalize(ORDER, CSR)
        assert (order.status, order.url) == ("valid" if state == "valid" else "processing", ORDER.url)
        assert (len(payloads(ca, "/finalize")), len(payloads(ca, "/order/1"))) == (sent, 1)

    @pytest.mark.parametrize("trouble", ["broken", "timed out", "orderNotReady"])
    async def test_an_order_that_failed_is_returned_because_it_has_the_reason(
        self, client: Client, ca: FakeCa, trouble: str
    ) -> None:
        ca.order_states.append("invalid")
        ca.reply("/finalize", refused(ca, trouble) if trouble == "orderNotReady" else lost(trouble))
        assert (await client.finalize(ORDER, CSR)).status == "invalid"

    @pytest.mark.parametrize("state", ["pending"])
    @pytest.mark.parametrize(
        ("trouble", "error"), [("broken", ConnectionFailed), ("timed out", TimedOut), ("orderNotReady", OrderNotReady)]
    )
    async def test_in_any_other_state_the_error_stands(
        self, client: Client, ca: FakeCa, trouble: str, state: str, error: type[Exception]
    ) -> None:
        ca.order_states.append(state)
        ca.reply("/finalize", refused(ca, trouble) if trouble == "orderNotReady" else lost(trouble))
        with pytest.raises(error):
            await client.finalize(ORDER, CSR)
        looks = len(payloads(ca, "/order/1"))
        assert len(payloads(ca, "/finalize")) == 1
        assert looks == 1 if trouble != "orderNotReady" else 4 < looks < 12

    async def test_a_server_that_contradicts_itself_for_half_a_minute_is_believed(
        self, client: Client, ca: FakeCa
    ) -> None:
        """Not at once: a replica that is behind says the same, for some seconds."""
        ca.order_states.extend(["ready"] * 40)
        ca.reply("/finalize", *[refused(ca, "orderNotReady")] * 40)
        with pytest.raises(OrderNotReady):
            await client.finalize(ORDER, CSR)
        assert 4 < len(payloads(ca, "/finalize")) == len(payloads(ca, "/order/1")) < 12

    async def test_a_replica_that_does_not_know_yet_that_the_order_is_ready_is_waited_for(
        self, client: Client, ca: FakeCa
    ) -> None:
        ca.order_states.extend(["pending", "pending", "ready"])
        ca.reply("/finalize", refused(ca, "orderNotReady"))
        assert (await client.finalize(ORDER, CSR)).status == "processing"
        assert (len(payloads(ca, "/finalize")), len(payloads(ca, "/order/1"))) == (2, 3)

    async def test_what_certainly_did_not_arrive_is_not_looked_for(self, client: Client, ca: FakeCa) -> None:
        ca.reply("/finalize", *[lost("refused")] * 3)
        with pytest.raises(ConnectionFailed):
            await client.finalize(ORDER, CSR)
        assert payloads(ca, "/order/1") == []

    async def test_a_refusal_is_final(self, client: Client, ca: FakeCa) -> None:
        ca.reply("/finalize", refused(ca, "badCSR"))
        with pytest.raises(ProblemError):
            await client.finalize(ORDER, CSR)
        assert payloads(ca, "/order/1") == []

    async def test_a_server_that_is_gone_is_told_by_the_look(self, client: Client, ca: FakeCa) -> None:
        ca.reply("/finalize", lost("broken"))
        ca.reply("/order/1", *[lost("refused")] * 3)
        with pytest.raises(TransportError):
            await client.finalize(ORDER, CSR)
        assert len(payloads(ca, "/finalize")) == 1


class TestChallenge:
    @pytest.mark.parametrize("trouble", ["broken", "timed out"])
    @pytest.mark.parametrize(("state", "answers"), [("pending", 2), ("processing", 1), ("valid", 1), ("invalid", 1)])
    async def test_the_challenge_tells_whether_it_has_to_be_answered_again(
        self, client: Client, ca: FakeCa, trouble: str, state: str, answers: int
    ) -> None:
        seen: dict[str, Any] = ca.authorization(0)["challenges"][1]
        ca.reply("/chall/0", lost(trouble), ca.json({**seen, "status": state}))
        challenge = await client.answer_challenge(CHALLENGE)
        assert challenge.status == state
        assert payloads(ca, "/chall/0") == [b"{}", b"", b"{}"][: answers + 1]

    async def test_what_certainly_did_not_arrive_is_not_looked_for(self, client: Client, ca: FakeCa) -> None:
        ca.reply("/chall/0", *[lost("refused")] * 3)
        with pytest.raises(ConnectionFailed):
            await client.answer_challenge(CHALLENGE)
        assert set(payloads(ca, "/chall/0")) == {b"{}"}

    async def test_after_an_answer_that_is_none_it_is_looked_at_and_answered_again(
        self, client: Client, ca: FakeCa
    ) -> None:
        ca.reply("/chall/0", lambda _: ca.json(["hello"]))
        await client.answer_challenge(CHALLENGE)
        assert payloads(ca, "/chall/0") == [b"{}", b"", b"{}"]

    async def test_it_can_be_read(self, client: Client, ca: FakeCa) -> None:
        assert (await client.fetch_challenge(CHALLENGE.url)).status is ChallengeStatus.PENDING
        assert payloads(ca, "/chall/0") == [b""]
