"""Any challenge by hand: the user is told what to do, and says when it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from certwright.acme import UnsupportedChallenge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from certwright.challenges.proof import Proof

ManualType: TypeAlias = Literal["http-01", "dns-01", "dns-account-01", "dns-persist-01"]
"""What the user can be asked to do: put a file or a record somewhere."""


@dataclass(frozen=True)
class Instruction:
    """What the user has to put where.

    Attributes:
        name: The name it is for, as the order wrote it.
        challenge_type: The type of challenge.
        place: The URL of a file, or the name of a TXT record.
        content: The content of the file, or the value of the record.
        stays: Whether it is to stay for later issuances (dns-persist-01) rather than be removed afterwards.
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
    """Hands instructions to a callback and waits for it.

    Args:
        challenge_type: Which challenge to answer.
        ask: Called once with all instructions; awaited until they are carried out.
        tidy: Called with the instructions whose files and records can be removed now; None calls nothing.
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
        """Ask for everything at once, and wait until it is done."""
        await self._ask(instructions(proofs))

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """Return at once: `ask` returned when it was done."""

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """Say what can be removed."""
        removable = [instruction for instruction in instructions(proofs) if not instruction.stays]
        if self._tidy is not None and removable:
            await self._tidy(removable)


def instructions(proofs: Sequence[Proof]) -> tuple[Instruction, ...]:
    """Return what has to be put where, for http-01 and the dns challenges.

    Raises:
        UnsupportedChallenge: A proof is for another challenge; no user can serve a TLS certificate by hand.
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
