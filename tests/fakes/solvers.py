"""Solvers that reach nothing outside of the process."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from certwright.challenges.response import RecordResponse
from certwright.dns import NameserverUnreachable, Propagation, ServerView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.acme import Challenge
    from certwright.client import Proof

SILENCE = NameserverUnreachable("127.0.0.1:53", "silence")


@dataclass
class FakeDns:
    """A zone; `broken` names what fails from now on."""

    records: set[RecordResponse] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    hidden: bool = False
    first_key: str = ""
    challenge_type = "dns-01"
    self_check = "required"
    destination = "zone"
    patience = dt.timedelta(minutes=2)
    settling = dt.timedelta()

    async def place(self, name: str) -> str:
        return f"_acme-challenge.{name.removeprefix('*.')}"

    async def expect(self, _: object) -> None: ...

    def objects_for(self, _: object) -> tuple[()]:
        return ()

    def respond(self, name: str, place: str, challenge: Challenge, key_authorization: str) -> RecordResponse:  # noqa: ARG002 - the protocol's form
        token, _, thumbprint = key_authorization.partition(".")
        assert (token, len(thumbprint)) == (challenge.token, 43)
        self.first_key = self.first_key or thumbprint
        suffix = "" if thumbprint == self.first_key else f"-{thumbprint[:8]}"
        return RecordResponse(place, f"value-of-{token}{suffix}")

    async def present(self, records: Sequence[RecordResponse]) -> None:
        if "present" in self.broken:
            raise SILENCE
        self.records.update(records)

    async def check(self, records: Sequence[RecordResponse]) -> tuple[Propagation, ...]:
        seen = (ServerView("ns1", () if self.hidden else tuple(record.value for record in self.records)),)
        return tuple(Propagation(record, not self.hidden, seen) for record in records)

    async def clean_up(self, records: Sequence[RecordResponse]) -> None:
        if "clean_up" in self.broken:
            raise SILENCE
        self.records.difference_update(records)


class Recorder:
    """A solver that writes down what is asked of it, and fails where it is told to."""

    def __init__(self, kind: str = "dns-01", **failures: BaseException) -> None:
        self.challenge_type = kind
        self.failures = failures
        self.calls: list[str] = []
        self.stuck = asyncio.Event()

    async def present(self, proofs: Sequence[Proof]) -> None:
        await self._do("present", proofs)

    async def wait(self, proofs: Sequence[Proof]) -> None:
        await self._do("wait", proofs)

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        await self._do("clean_up", proofs)

    async def _do(self, what: str, proofs: Sequence[Proof]) -> None:
        self.calls.append(f"{what} {','.join(proof.name for proof in proofs)}")
        if what in self.failures:
            raise self.failures[what]
