from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest

from certwright.certificates.key_maker import KeyMaker, KeyNotReady
from certwright.pki import generate_private_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from certwright.pki import KeyAlgorithm, PrivateKey
    from tests.fakes.operator import Build

KEY = generate_private_key()


class Slow:
    """Makes keys when it is told to."""

    def __init__(self) -> None:
        self.go_on = threading.Semaphore(0)
        self.at_once = 0
        self.most = 0
        self.made: list[tuple[str, int | None]] = []
        self._lock = threading.Lock()

    def __call__(self, algorithm: KeyAlgorithm, size: int | None) -> PrivateKey:
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self.go_on.acquire()
        with self._lock:
            self.at_once -= 1
            self.made.append((algorithm, size))
        return KEY


@pytest.fixture
def slow() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    for _ in range(100):
        slow.go_on.release()


async def test_a_slow_key_is_made_meanwhile_and_fetched_later(build: Build, slow: Slow) -> None:
    maker, observation = KeyMaker(slow, patience=0.01), build.observation(build.certificate())
    with pytest.raises(KeyNotReady, match="RSA key of 8192 bits"):
        await maker.make(observation, "RSA", 8192)
    with pytest.raises(KeyNotReady):
        await maker.make(observation, "RSA", 8192)
    slow.go_on.release()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await maker.make(observation, "RSA", 8192) is KEY
                break
            except KeyNotReady:
                continue
    assert slow.made == [("RSA", 8192)]


async def test_ten_slow_keys_are_made_one_at_a_time_and_hold_up_no_small_one(build: Build, slow: Slow) -> None:
    maker = KeyMaker(slow, patience=0.01)
    for number in range(10):
        certificate = build.certificate(metadata={"uid": f"u{number}", "name": f"c{number}"})
        with pytest.raises(KeyNotReady):
            await maker.make(build.observation(certificate), "RSA", 8192)
    small = KeyMaker()
    before = time.monotonic()
    await asyncio.gather(*(small.make(build.observation(build.certificate()), "ECDSA", None) for _ in range(10)))
    assert time.monotonic() - before < 30
    assert slow.most == 1


async def test_namespaces_take_turns(build: Build, slow: Slow) -> None:
    maker = KeyMaker(slow, patience=0.01)

    async def wants(namespace: str, uid: str, size: int) -> None:
        certificate = build.certificate(metadata={"uid": uid, "name": uid, "namespace": namespace})
        with pytest.raises(KeyNotReady):
            await maker.make(build.observation(certificate), "RSA", size)

    for number in range(5):
        await wants("many", f"m{number}", 8192)
    await wants("few", "f", 4096)
    for _ in range(3):
        slow.go_on.release()
    async with asyncio.timeout(30):
        while len(slow.made) < 3:  # noqa: ASYNC110 - the keys are made in threads
            await asyncio.sleep(0.01)
    assert ("RSA", 4096) in slow.made, "the other namespace is next, whoever waits longer"


async def test_another_size_begins_another_key(build: Build, slow: Slow) -> None:
    maker, observation = KeyMaker(slow, patience=0.01), build.observation(build.certificate())
    for size in (8192, 4096):
        with pytest.raises(KeyNotReady):
            await maker.make(observation, "RSA", size)
    slow.go_on.release(2)
    async with asyncio.timeout(10):
        while True:
            try:
                await maker.make(observation, "RSA", 4096)
                break
            except KeyNotReady:
                continue
    assert ("RSA", 4096) in slow.made


async def test_a_failure_is_raised_where_the_key_is_waited_for(build: Build) -> None:
    def fail(_algorithm: KeyAlgorithm, _size: int | None) -> PrivateKey:
        raise MemoryError("no more")

    with pytest.raises(MemoryError):
        await KeyMaker(fail, patience=10).make(build.observation(build.certificate()), "RSA", 4096)
