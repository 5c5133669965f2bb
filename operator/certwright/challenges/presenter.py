"""What the operator needs of whatever answers challenges: many short calls, so that no worker is held by a wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from certwright.acme import Challenge
    from certwright.challenges.response import ChallengeResponse, Sighting

SelfCheckMode: TypeAlias = Literal["required", "advisory", "off"]
ObjectKind: TypeAlias = Literal["Pod", "Service", "EndpointSlice", "Ingress", "HTTPRoute", "TLSRoute"]


@dataclass(frozen=True)
class PresentedObject:
    """An object in a cluster that answers a challenge, or helps to.

    Attributes:
        kind: Its kind.
        name: Its name, in the namespace of the Certificate.
        edited: Whether it is another owner's Ingress, to which rules were added.
    """

    kind: ObjectKind
    name: str
    edited: bool = False


class Presenter(Protocol):
    """Puts the responses of one order where the CA looks for them, looks for them itself, and removes them.

    It is the non-blocking counterpart of `Solver`: `check` looks once and returns, and the caller decides when to look
    again. Every method is idempotent, and none depends on an earlier call: the process may have restarted since.
    """

    @property
    def challenge_type(self) -> str:
        """The type of the challenges that it answers (RFC 8555 section 8)."""
        ...

    @property
    def self_check(self) -> SelfCheckMode:
        """Whether the responses must be seen before the CA is asked."""
        ...

    @property
    def patience(self) -> dt.timedelta:
        """How long the responses are looked for."""
        ...

    @property
    def settling(self) -> dt.timedelta:
        """How long after presenting nothing is looked for, nor the CA asked."""
        ...

    @property
    def destination(self) -> str:
        """Where records are put: equal for two presenters of records that share a place, empty for all others."""
        ...

    async def place(self, name: str) -> str:
        """Return where the response for a name has to be. What can fail without the CA fails here, before an order."""
        ...

    async def expect(self, names: Sequence[str]) -> None:
        """Check what has to be there before an order is placed for these names; most need nothing."""
        ...

    def respond(self, name: str, place: str, challenge: Challenge, key_authorization: str) -> ChallengeResponse:
        """Return what the CA looks for at a place.

        Args:
            name: The identifier that is validated.
            place: See `place`.
            challenge: The CA's.
            key_authorization: Of its token (RFC 8555 section 8.1); an empty text for a type without tokens.
        """
        ...

    def objects_for(self, responses: Sequence[ChallengeResponse]) -> tuple[PresentedObject, ...]:
        """Return the objects that `present` makes for these responses, to be written down before."""
        ...

    async def present(self, responses: Sequence[ChallengeResponse]) -> None:
        """Put the responses in place, together; those that are there already stay."""
        ...

    async def check(self, responses: Sequence[ChallengeResponse]) -> Sequence[Sighting]:
        """Look for each response once, and return what was seen, in the same order."""
        ...

    async def clean_up(self, responses: Sequence[ChallengeResponse]) -> None:
        """Remove exactly these responses; one that is gone already is success."""
        ...
