"""What every solver can do for the names of one order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from certwright.challenges.response import ChallengeResponse, Sighting

SelfCheckMode = Literal["required", "advisory", "off"]


class Solver(Protocol):
    """Puts proofs where the CA looks for them, looks for them itself, and takes them away. All of it is idempotent."""

    @property
    def challenge_type(self) -> str:
        """The type of the challenges it is for (RFC 8555 section 8)."""
        ...

    @property
    def self_check(self) -> SelfCheckMode:
        """Whether the proofs must be seen before the CA is asked."""
        ...

    @property
    def patience(self) -> dt.timedelta:
        """How long they are looked for."""
        ...

    async def place(self, name: str) -> str:
        """Return where the proof for a name has to be. What can fail without the CA fails here, before an order."""
        ...

    def proof(self, place: str, token: str, key_authorization: str) -> ChallengeResponse:
        """Return what the CA looks for at a place (RFC 8555 section 8.1 has the key authorization)."""
        ...

    async def present(self, proofs: Sequence[ChallengeResponse]) -> None:
        """Put the proofs in place, together; those that are there already stay."""
        ...

    async def check(self, proofs: Sequence[ChallengeResponse]) -> Sequence[Sighting]:
        """Look for each proof once, and return what was seen, in the same order."""
        ...

    async def clean_up(self, proofs: Sequence[ChallengeResponse]) -> None:
        """Remove exactly these proofs; one that is gone already is success."""
        ...
