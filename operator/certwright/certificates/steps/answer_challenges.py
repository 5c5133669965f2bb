"""Answer the challenges: ask the CA to validate."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

from certwright.certificates.key_maker import KeyNotReady
from certwright.certificates.private_keys import obtain_key
from certwright.certificates.steps.step import Act
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.acme import Challenge
    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools

MAX_CONCURRENT_ANSWERS: Final = 10


@dataclass(frozen=True)
class AnswerChallenges(Act):
    """Tell the CA that it may look for every response, and persist the private key meanwhile."""

    asks_ca: ClassVar[bool] = True
    uses_order: ClassVar[bool] = True

    async def run(self, observation: Observation, tools: Tools) -> AsyncIterator[Observation]:
        """Answer all challenges, in parallel; what went well stays so when another one fails."""
        open_order, client = observation.open_order, observation.ready_issuer.client
        slots = asyncio.Semaphore(MAX_CONCURRENT_ANSWERS)

        async def answer(challenge: Challenge) -> Challenge:
            async with slots:
                return await client.answer_challenge(challenge)

        names = sorted(open_order.challenges)
        [key], results = await asyncio.gather(
            asyncio.gather(obtain_key(observation, tools), return_exceptions=True),
            asyncio.gather(*(answer(open_order.challenges[name]) for name in names), return_exceptions=True),
        )
        answered = {name: one for name, one in zip(names, results, strict=True) if not isinstance(one, BaseException)}
        # One that was answered is not answered again when another one fails: some CAs hang at a second answer.
        left = {name: one for name, one in open_order.challenges.items() if name not in answered}
        open_order = replace(open_order, challenges=left, answered_names=open_order.answered_names | answered.keys())
        if not isinstance(key, BaseException):
            open_order = replace(open_order, key=key)
        yield observation.remember(open_order=open_order)
        for result in (key, *results):
            if isinstance(result, BaseException) and not isinstance(result, KeyNotReady):
                raise result
        now = tools.clock()
        asked = max((one.retry_after for one in answered.values() if one.retry_after is not None), default=None)
        failed = any(one.error is not None or one.status == "invalid" for one in answered.values())
        message = f"{observation.ready_issuer.spec.server} is validating {listed(names)}."
        polled = replace(open_order, polls=0).polled(asked, now).answered(asked, now, failed=failed)
        yield observation.remember(open_order=polled).after_progress().noting("Validating", message)
