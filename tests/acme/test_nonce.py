from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from certwright.acme import Headers
from certwright.acme.nonce import NoncePool, replay_nonce

if TYPE_CHECKING:
    from tests.fakes.time import FakeTime


@pytest.fixture
def pool(time: FakeTime) -> NoncePool:
    return NoncePool(limit=3, max_age=60, monotonic=time.clock().monotonic)


def test_each_nonce_is_given_out_once_and_the_newest_first(pool: NoncePool) -> None:
    for nonce in ("a", "b"):
        pool.put(nonce)
    assert [pool.take(), pool.take(), pool.take()] == ["b", "a", None]


def test_beyond_the_limit_the_oldest_is_dropped(pool: NoncePool) -> None:
    for nonce in ("a", "b", "c", "d"):
        pool.put(nonce)
    assert len(pool) == 3
    assert [pool.take(), pool.take(), pool.take()] == ["d", "c", "b"]


def test_old_nonces_are_dropped(pool: NoncePool, time: FakeTime) -> None:
    pool.put("old")
    time.elapsed = 30
    pool.put("young")
    time.elapsed = 80
    assert pool.take() == "young"
    assert pool.take() is None
    assert len(pool) == 0


def test_no_nonce_is_nothing_to_keep(pool: NoncePool) -> None:
    pool.put(None)
    assert pool.take() is None


@pytest.mark.parametrize(
    ("value", "nonce"),
    [
        ("oFvnlFP1wIhRlYS2jTaXbA", "oFvnlFP1wIhRlYS2jTaXbA"),
        (" a-_ ", "a-_"),
        ("a=", None),
        ("a b", None),
        ("", None),
        ("a" * 600, None),
    ],
)
def test_a_nonce_that_is_not_base64url_is_ignored(value: str, nonce: str | None) -> None:
    assert replay_nonce(Headers({"replay-nonce": value})) == nonce
