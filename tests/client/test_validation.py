"""Presenting, waiting, telling the CA, cleaning up: in any order that things can go wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import AcmeServer, Client, ConnectionFailed, Identifier, Order, OrderStatus, UnsafeUrl
from certwright.client import CleanedUp, CleanUpFailed, Event, NoSolver, SolverFailed, connect
from certwright.client.validation import answer, assign, presented, select
from certwright.concurrency import run_shielded
from certwright.dns import InvalidName
from tests.fakes.acme import DIRECTORY_URL, ORIGIN, FakeCa
from tests.fakes.solvers import Recorder
from tests.fakes.time import FakeTime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.acme import AccountKey
    from certwright.client import Proof
    from tests.fakes.challenges import MakeProof


@pytest.fixture
def ca() -> FakeCa:
    return FakeCa()


@pytest.fixture
def client(ca: FakeCa) -> Client:
    from certwright.acme import AccountKey  # noqa: PLC0415

    key: AccountKey = AccountKey.generate()
    ca.keys[f"{ORIGIN}/account/1"] = dict(key.jwk)
    server = AcmeServer(DIRECTORY_URL, ca, clock=FakeTime().clock())
    return Client(server, key, account_url=f"{ORIGIN}/account/1")


def order_for(ca: FakeCa, *names: str) -> Order:
    ca.identifiers = [{"type": "dns", "value": name} for name in names]
    urls = tuple(f"{ORIGIN}/authz/{index}" for index in range(len(names)))
    identifiers = tuple(map(Identifier.dns, names))
    return Order(f"{ORIGIN}/order/1", OrderStatus.PENDING, identifiers, urls, f"{ORIGIN}/finalize")


class TestPrepare:
    async def test_the_first_solver_whose_challenge_is_offered_is_taken(self, client: Client, ca: FakeCa) -> None:
        http, dns, other = Recorder("http-01"), Recorder("dns-01"), Recorder("dns-01")
        (assignment,) = await select(client, order_for(ca, "a.example", "*.b.example"), [http, dns, other], print)
        assert assignment.solver is dns
        assert assignment.names == ("a.example", "*.b.example")
        assert assignment.proofs[0].key_authorization == f"token-0.{client.key.thumbprint}"

    async def test_names_without_a_solver_are_told_together(self, client: Client, ca: FakeCa) -> None:
        with pytest.raises(
            NoSolver, match=r"a\.example: new-99, dns-01; b\.example: .*The given solvers support http-01"
        ) as caught:
            await select(client, order_for(ca, "a.example", "b.example"), [Recorder("http-01")], print)
        assert caught.value.offered == dict.fromkeys(("a.example", "b.example"), ("new-99", "dns-01"))

    async def test_valid_names_are_reused(self, client: Client, ca: FakeCa) -> None:
        order = order_for(ca, "a.example", "b.example")
        ca.reply("/authz/0", ca.json(ca.authorization(0, status="valid")))
        events: list[Event] = []
        (assignment,) = await select(client, order, [Recorder()], events.append)
        assert assignment.names == ("b.example",)
        assert [str(event) for event in events] == ["a.example is already validated"]


class TestInPlace:
    async def test_all_are_presented_and_cleaned_up(self, proof: MakeProof) -> None:
        one, other = Recorder(), Recorder()
        assignments = assign([proof("a.example"), proof("b.example"), proof("c.example")], [one, other, one])
        async with presented(assignments, print):
            assert one.calls == ["present a.example,c.example", "wait a.example,c.example"]
            assert other.calls == ["present b.example", "wait b.example"]
        assert one.calls[2:] == ["clean_up a.example,c.example"]
        assert other.calls[2:] == ["clean_up b.example"]

    @pytest.mark.parametrize("what", ["present", "wait"])
    async def test_a_failure_is_told_by_name_and_everything_is_cleaned_up(self, proof: MakeProof, what: str) -> None:
        good, bad = Recorder(), Recorder()
        bad.failures[what] = InvalidName("'x' is no domain name")
        assignments = assign([proof("a.example"), proof("b.example")], [good, bad])
        with pytest.raises(SolverFailed, match=r"for b\.example: 'x' is no domain name") as caught:
            async with presented(assignments, print):
                pytest.fail("never reached")
        assert isinstance(caught.value.__cause__, InvalidName)
        assert caught.value.names == ("b.example",)
        assert good.calls[-1] == "clean_up a.example"
        assert bad.calls[-1] == "clean_up b.example"

    async def test_the_words_of_a_foreign_error_are_not_repeated(self, proof: MakeProof) -> None:
        bad = Recorder(present=RuntimeError("password hunter2"))
        with pytest.raises(SolverFailed, match="RuntimeError") as caught:
            async with presented(assign([proof()], [bad]), print):
                pytest.fail("never reached")
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("what", ["present", "wait"])
    async def test_a_cancellation_inside_a_solver_is_a_failure_and_no_success(
        self, proof: MakeProof, what: str
    ) -> None:
        """The group of tasks that presents them all takes a task that ends so for one that is done."""
        bad = Recorder()
        bad.failures[what] = asyncio.CancelledError()
        with pytest.raises(SolverFailed, match="CancelledError"):
            async with presented(assign([proof()], [bad]), print):
                pytest.fail("never reached")
        assert bad.calls[-1].startswith("clean_up")

    async def test_methods_that_are_not_asynchronous_do_their_work(self, proof: MakeProof) -> None:
        done: list[str] = []

        class Plain:
            challenge_type = "dns-01"

            def present(self, proofs: Sequence[Proof]) -> None:
                done.append(f"present {proofs[0].name}")

            def wait(self, proofs: Sequence[Proof]) -> None:
                done.append(f"wait {proofs[0].name}")

            def clean_up(self, proofs: Sequence[Proof]) -> None:
                done.append(f"clean_up {proofs[0].name}")

        solver: Any = Plain()
        async with presented(assign([proof("a.example")], [solver]), print):
            pass
        assert done == ["present a.example", "wait a.example", "clean_up a.example"]

    @pytest.mark.parametrize("what", ["present", "wait", "clean_up"])
    async def test_what_such_a_method_raises_is_told_as_of_any_other(self, proof: MakeProof, what: str) -> None:
        events: list[Event] = []
        bad: Any = Recorder()

        def raises(_: object) -> None:
            raise RuntimeError("password hunter2")

        setattr(bad, what, raises)
        block = presented(assign([proof("a.example")], [bad]), events.append)
        if what == "clean_up":
            async with block:
                pass
            assert [str(event.error) for event in events if isinstance(event, CleanUpFailed)] == [
                "The dns-01 solver could not clean up for a.example: RuntimeError"
            ]
        else:
            with pytest.raises(SolverFailed, match=r"for a\.example: RuntimeError$"):
                async with block:
                    pytest.fail("never reached")

    async def test_a_callback_that_fails_stops_no_other_clean_up(self, proof: MakeProof) -> None:
        class Slow(Recorder):
            async def clean_up(self, proofs: Sequence[Proof]) -> None:
                await asyncio.sleep(0.01)
                await super().clean_up(proofs)

        def callback(event: Event) -> None:
            if isinstance(event, CleanedUp) and event.proofs[0].name == "a.example":
                raise ValueError("mine")

        quick, slow = Recorder(), Slow()
        with pytest.raises(ValueError, match="mine"):
            async with presented(assign([proof("a.example"), proof("b.example")], [quick, slow]), callback):
                pass
        assert slow.calls[-1] == "clean_up b.example"

    async def test_a_failed_clean_up_is_an_event_and_spoils_nothing(
        self, proof: MakeProof, caplog: pytest.LogCaptureFixture
    ) -> None:
        events: list[Event] = []
        bad, good = Recorder(clean_up=OSError("x")), Recorder()
        async with presented(assign([proof("a.example"), proof("b.example")], [bad, good]), events.append):
            pass
        (failed,) = [event for event in events if isinstance(event, CleanUpFailed)]
        assert failed.proofs[0].name == "a.example"
        assert "could not clean up for a.example" in caplog.text
        assert [event.proofs[0].name for event in events if isinstance(event, CleanedUp)] == ["b.example"]

    async def test_a_cancellation_waits_for_the_clean_up(self, proof: MakeProof) -> None:
        done: list[str] = []

        class Slow(Recorder):
            async def clean_up(self, proofs: Sequence[Proof]) -> None:
                await asyncio.sleep(0.05)
                done.append(proofs[0].name)

        started = asyncio.Event()

        async def work() -> None:
            async with presented(assign([proof("a.example")], [Slow()]), print):
                started.set()
                await asyncio.sleep(3600)

        task = asyncio.create_task(work())
        await started.wait()
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done == ["a.example"]


class TestTell:
    async def test_each_pending_challenge_is_answered_once(self, client: Client, ca: FakeCa) -> None:
        assignments = await select(client, order_for(ca, "a.example", "b.example"), [Recorder()], print)
        await answer(client, assignments, print)
        assert sorted(path for path in ca.paths() if path.startswith("/chall")) == ["/chall/0", "/chall/1"]

    @pytest.mark.parametrize(("state", "answers"), [("pending", 2), ("processing", 1)])
    async def test_after_a_broken_connection_it_looks_before_it_answers_again(
        self, client: Client, ca: FakeCa, state: str, answers: int
    ) -> None:
        assignments = await select(client, order_for(ca, "a.example"), [Recorder()], print)
        ca.reply("/chall/0", ConnectionFailed("broke", host="ca.test", request_sent=True))
        seen = ca.authorization(0)["challenges"][1]
        ca.reply("/chall/0", ca.json({**seen, "status": state}))
        await answer(client, assignments, print)
        asked = [request.payload for request in ca.requests if request.path == "/chall/0"]
        assert asked == [b"{}", b"", b"{}"][: answers + 1]


class TestInAnyCase:
    async def test_work_that_takes_too_long_is_ended(self) -> None:
        with pytest.raises(TimeoutError):
            await run_shielded(asyncio.sleep(3600), seconds=0.01)

    async def test_an_error_goes_on_and_a_cancellation_goes_before_it(self) -> None:
        async def fail() -> None:
            await asyncio.sleep(0.02)
            raise ValueError("x")

        with pytest.raises(ValueError, match="x"):
            await run_shielded(fail(), seconds=5)
        task = asyncio.create_task(run_shielded(fail(), seconds=5))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class TestConnect:
    async def test_saved_credentials_name_the_ca_and_the_account(self, ca: FakeCa, client: Client) -> None:
        from certwright.acme import AccountCredentials  # noqa: PLC0415

        saved = AccountCredentials.of(client)
        async with connect(account=saved, transport=ca) as restored:
            assert (await restored.fetch_account()).url == client.account_url
        assert not ca.closed
        async with connect("pebble", account=saved, transport=ca) as elsewhere:
            assert elsewhere.account_url is None
            assert elsewhere.key == client.key

    async def test_without_a_ca_there_is_none(self, ca: FakeCa) -> None:
        with pytest.raises(UnsafeUrl, match="No CA is given"):
            async with connect(transport=ca):
                pytest.fail("never reached")
