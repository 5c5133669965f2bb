"""Tokens and keys of clouds, while this machine's clock is wrong and once it is right again, and after a restore."""

from __future__ import annotations

import datetime as dt

import pytest

from certwright.dns import ProviderRefused
from certwright.dns.aws.session import RETRY_AFTER_FAILURE, KeyCache
from certwright.dns.aws.sigv4 import Keys
from certwright.dns.hosted.token import EARLY_SECONDS, FAILED_SECONDS, Token, TokenCache

RIGHT = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


class Machine:
    """A clock that somebody sets, one that nobody sets, and a cloud that gives keys and tokens for an hour."""

    what = "the role dns"

    def __init__(self) -> None:
        self.elapsed, self.offset = 0.0, dt.timedelta()
        self.fetched = 0
        self.refuses = False
        self.keys = KeyCache(self, clock=self.clock, monotonic=lambda: self.elapsed)
        self.tokens = TokenCache(self.token, monotonic=lambda: self.elapsed)

    @property
    def true_now(self) -> dt.datetime:
        return RIGHT + dt.timedelta(seconds=self.elapsed)

    def clock(self) -> dt.datetime:
        return self.true_now + self.offset

    def pass_time(self, time: dt.timedelta) -> None:
        self.elapsed += time.total_seconds()

    def _give(self) -> int:
        if self.refuses:
            raise ProviderRefused("the clock of this machine is wrong", host="sts.test")
        self.fetched += 1
        return self.fetched

    async def fetch(self) -> Keys:
        return Keys(f"AKIA{self._give()}", "secret", "session", self.true_now + HOUR)

    async def token(self) -> Token:
        return Token(f"token-{self._give()}", 3600.0)


@pytest.mark.parametrize("offset", [dt.timedelta(days=400), -dt.timedelta(days=400), 3 * HOUR, -3 * HOUR])
async def test_when_the_clock_is_right_again_keys_that_are_good_are_used_at_once(offset: dt.timedelta) -> None:
    machine = Machine()
    machine.offset = offset
    for _ in range(50):
        await machine.keys.get()
    assert machine.fetched == 1, "a wrong clock makes no storm of requests"
    machine.offset = dt.timedelta()
    keys = await machine.keys.get()
    assert (machine.fetched, keys.access_key_id) == (1, "AKIA1")
    machine.pass_time(HOUR)
    await machine.keys.get()
    assert machine.fetched == 2, "they end when they end"


async def test_keys_that_a_clock_set_back_takes_for_good_are_replaced_when_aws_refuses_them() -> None:
    machine = Machine()
    keys = await machine.keys.get()
    machine.pass_time(2 * HOUR)
    machine.offset = -2 * HOUR
    assert await machine.keys.get() is keys, "they seem to be good"
    assert machine.keys.drop(keys), "AWS says ExpiredToken"
    assert (await machine.keys.get()).access_key_id == "AKIA2"


async def test_a_clock_that_is_far_ahead_asks_for_keys_once_in_a_while_only() -> None:
    machine = Machine()
    machine.offset = dt.timedelta(days=400)
    for _ in range(60):
        await machine.keys.get()
        machine.elapsed += 1
    assert machine.fetched <= 60 / RETRY_AFTER_FAILURE + 1


@pytest.mark.parametrize("kind", ["keys", "tokens"])
async def test_a_refusal_because_of_the_clock_is_forgotten_within_seconds(kind: str) -> None:
    """Google's assertions have the time (`iat`), requests for a role of AWS are signed with it."""
    machine = Machine()
    cache = machine.keys if kind == "keys" else machine.tokens
    machine.refuses, machine.offset = True, -HOUR
    for _ in range(20):
        with pytest.raises(ProviderRefused, match="clock"):
            await cache.get()
    machine.refuses, machine.offset = False, dt.timedelta()
    machine.elapsed += max(FAILED_SECONDS, RETRY_AFTER_FAILURE)
    await cache.get()
    assert machine.fetched == 1


@pytest.mark.parametrize("offset", [dt.timedelta(days=400), -dt.timedelta(days=400)])
async def test_a_step_of_the_clock_neither_ends_a_token_nor_keeps_it(offset: dt.timedelta) -> None:
    machine = Machine()
    assert await machine.tokens.get() == "token-1"
    machine.offset = offset
    assert await machine.tokens.get() == "token-1"
    machine.elapsed += 3600 - EARLY_SECONDS
    assert await machine.tokens.get() == "token-2"


async def test_a_token_that_a_suspended_machine_takes_for_good_is_replaced_when_it_is_refused() -> None:
    """While a machine is suspended, or its memory is restored from a backup, its clocks stand still."""
    machine = Machine()
    token = await machine.tokens.get()
    machine.tokens.drop(token)
    machine.tokens.drop(token)
    assert await machine.tokens.get() == "token-2"
