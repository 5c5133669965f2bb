"""Challenges answered by hand: the user gets instructions, and confirms when they are carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from certwright.acme import UnsupportedChallenge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from certwright.challenges.proof import Proof

ManualType: TypeAlias = Literal["http-01", "dns-01", "dns-account-01", "dns-persist-01"]
"""The challenges that a user can answer: with a file or a record."""


@dataclass(frozen=True)
class Instruction:
    """What the user must create, and where.

    Attributes:
        name: The name to validate, as it appears in the order.
        challenge_type: The type of challenge.
        place: The URL of a file, or the name of a TXT record.
        content: The content of the file, or the value of the record.
        stays: Whether to keep it for later issuances (dns-persist-01) instead of removing it afterwards.
    """

    name: str
    challenge_type: str
    place: str
    content: str
    stays: bool = False

    def __str__(self) -> str:
        if self.challenge_type == "http-01":
            return f"Serve at {self.place} exactly: {self.content}"
        return f'Add the record: {self.place}. IN TXT "{self.content}"'


class Manual:
    """Passes instructions to a callback, and waits until it returns.

    Args:
        challenge_type: Which challenge to answer.
        ask: Called once with all instructions; must return when they have been carried out.
        tidy: Called with the instructions whose files and records can be removed; optional.
    """

    def __init__(
        self,
        challenge_type: ManualType,
        ask: Callable[[Sequence[Instruction]], Awaitable[None]],
        *,
        tidy: Callable[[Sequence[Instruction]], Awaitable[None]] | None = None,
    ) -> None:
        self._type = challenge_type
        self._ask = ask
        self._tidy = tidy

    @property
    def challenge_type(self) -> str:
        """The type of challenge."""
        return self._type

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Request everything at once, and wait until it is done."""
        await self._ask(instructions(proofs))

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """Return immediately, because `ask` has already waited."""

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """Call `tidy` with everything that can be removed."""
        removable = [instruction for instruction in instructions(proofs) if not instruction.stays]
        if self._tidy is not None and removable:
            await self._tidy(removable)


def instructions(proofs: Sequence[Proof]) -> tuple[Instruction, ...]:
    """Return the instructions for http-01 and the DNS challenges.

    Raises:
        UnsupportedChallenge: A proof is for another challenge; tls-alpn-01 cannot be answered by hand.
    """
    return tuple(map(_instruction, proofs))


def _instruction(proof: Proof) -> Instruction:
    kind = proof.challenge.type
    match kind:
        case "http-01":
            return Instruction(proof.name, kind, proof.http01_url, proof.key_authorization)
        case "dns-01" | "dns-account-01":
            return Instruction(proof.name, kind, proof.txt_name, proof.txt_value)
        case "dns-persist-01":
            return Instruction(proof.name, kind, proof.txt_name, proof.persistent_value(), stays=True)
    raise UnsupportedChallenge(f"{kind} for {proof.name} cannot be answered by hand", type=kind)
