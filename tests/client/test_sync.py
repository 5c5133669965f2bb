"""The facade for programs without asyncio."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn

import pytest

from certwright.acme import AccountDoesNotExist, AccountKey
from certwright.client import sync
from certwright.client.sync import BackgroundLoop
from tests.fakes.acme import DIRECTORY_URL, FakeCa

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from certwright.client import Proof


@pytest.fixture
def loop() -> Iterator[BackgroundLoop]:
    background = BackgroundLoop()
    yield background
    background.close()


def test_an_account_from_a_script() -> None:
    ca = FakeCa()
    before = threading.active_count()
    with sync.connect(DIRECTORY_URL, transport=ca) as client:
        with pytest.raises(AccountDoesNotExist):
            client.find_account()
        made = client.register(contact=["mailto:a@example.com"], terms_of_service_agreed=True)
        assert client.find_account().url == made.url == client.credentials.account_url
        assert client.update_account(contact=["mailto:b@example.com"]).contact == ("mailto:b@example.com",)
        client.change_key(AccountKey.generate())
        assert client.directory().key_change is not None
        assert client.deactivate_account().status == "deactivated"
    assert threading.active_count() == before


def test_calls_may_come_from_several_threads(loop: BackgroundLoop) -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0.01)
        return 2 * number

    found: list[int] = []
    threads = [threading.Thread(target=lambda n=n: found.append(loop.run(double(n)))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 2, 4, 6, 8, 10, 12, 14]


def test_an_interruption_cancels_and_waits_for_the_clean_up(
    loop: BackgroundLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaned: list[str] = []
    started = threading.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.02)
            cleaned.append("yes")

    import concurrent.futures  # noqa: PLC0415

    def interrupted(_self: object, timeout: float | None = None) -> NoReturn:
        assert timeout is None
        started.wait()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(concurrent.futures.Future, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            loop.run(work())
    assert cleaned == ["yes"]


class _Stuck:
    """A solver whose records are never there."""

    challenge_type = "dns-01"

    def __init__(self) -> None:
        self.presented = threading.Event()
        self.cleaned: list[str] = []

    async def present(self, _: object) -> None:
        self.presented.set()

    async def wait(self, _: object) -> None:
        await asyncio.sleep(3600)

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        await asyncio.sleep(0.01)
        self.cleaned.extend(proof.name for proof in proofs)


@pytest.mark.parametrize("interruption", [SystemExit(3), TimeoutError("of a signal"), KeyboardInterrupt()])
def test_whatever_the_handler_of_a_signal_raises_cleans_up(interruption: BaseException) -> None:
    """A service manager sends SIGTERM, a server ends a worker that is too slow."""
    solver = _Stuck()

    def handler(*_: object) -> NoReturn:
        raise interruption

    def interrupt() -> None:
        solver.presented.wait()
        signal.pthread_kill(main, signal.SIGUSR1)

    main, before = threading.get_ident(), signal.signal(signal.SIGUSR1, handler)
    sender = threading.Thread(target=interrupt)
    try:
        with sync.connect(DIRECTORY_URL, transport=FakeCa()) as client:
            client.register()
            sender.start()
            with pytest.raises(type(interruption)):
                client.issue(["a.example"], solvers=[solver])
            assert solver.cleaned == ["a.example"]
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, before)


def test_the_end_cleans_up_what_other_threads_wait_for_and_tells_them() -> None:
    solver = _Stuck()
    told: list[Exception] = []

    def work(client: sync.SyncClient) -> None:
        try:
            client.issue(["a.example"], solvers=[solver])
        except RuntimeError as error:
            told.append(error)

    with sync.connect(DIRECTORY_URL, transport=FakeCa()) as client:
        client.register()
        other = threading.Thread(target=work, args=[client])
        other.start()
        solver.presented.wait()
    assert solver.cleaned == ["a.example"]
    other.join()
    assert [str(error) for error in told] == ["The client was closed during this call"]
    with pytest.raises(RuntimeError, match="is closed"):
        client.fetch_account()


def test_a_forked_process_is_told_instead_of_waiting_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread stays behind in the other process; servers fork their workers after the application is loaded."""
    with sync.connect(DIRECTORY_URL, transport=FakeCa()) as client:
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            with pytest.raises(RuntimeError, match="before the process was forked; open one in each"):
                client.register()
        client.register()


def test_the_end_of_the_block_is_quiet_in_a_forked_process(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = ExitStack()
    with monkeypatch.context() as patch:
        client = stack.enter_context(sync.connect(DIRECTORY_URL, transport=FakeCa()))
        patch.setattr(os, "getpid", lambda: 1)
        stack.close()
    # Here it still has to be ended, by what a process that is no child does.
    client._loop.close()


def test_a_callback_that_calls_it_is_told_instead_of_waiting_for_ever(loop: BackgroundLoop) -> None:
    async def nothing() -> None:
        return

    async def callback() -> None:
        loop.run(nothing())

    with pytest.raises(RuntimeError, match="would wait for itself"):
        loop.run(callback())
