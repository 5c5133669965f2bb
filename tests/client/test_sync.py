"""The facade for programs without asyncio."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, NoReturn

import pytest

from certwright.acme import AccountDoesNotExist, AccountKey
from certwright.client import sync
from certwright.client.sync import BackgroundLoop
from tests.fakes.acme import DIRECTORY_URL, FakeCa

if TYPE_CHECKING:
    from collections.abc import Iterator


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


def test_a_callback_that_calls_it_is_told_instead_of_waiting_for_ever(loop: BackgroundLoop) -> None:
    async def nothing() -> None:
        return

    async def callback() -> None:
        loop.run(nothing())

    with pytest.raises(RuntimeError, match="would wait for itself"):
        loop.run(callback())
