"""The operator's interface to whatever answers challenges: short calls, so that no worker has to wait."""

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
    """Presents the responses of one order, checks whether they are visible, and removes them.

    This is the non-blocking counterpart of `Solver`: `check` returns after one attempt, and the caller decides when to
    check again. Every method is idempotent, and none depends on earlier calls, as the process may have restarted.
    """

    @property
    def challenge_type(self) -> str:
        """The type of the challenges that it answers (RFC 8555 section 8)."""
        ...

    @property
    def self_check(self) -> SelfCheckMode:
        """Whether the responses must be visible before the CA is asked to validate."""
        ...

    @property
    def patience(self) -> dt.timedelta:
        """How long to wait for the responses to become visible."""
        ...

    @property
    def settling(self) -> dt.timedelta:
        """How long to wait after presenting, before the first check and before the CA is asked."""
        ...

    @property
    def destination(self) -> str:
        """Identifies where records are put: equal for presenters whose records share a place, empty for all others."""
        ...

    async def place(self, name: str) -> str:
        """Return where the response for a name must be. What can fail without the CA fails here, before an order."""
        ...

    async def expect(self, names: Sequence[str]) -> None:
        """Check the prerequisites of an order for these names; most presenters have none."""
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
        """Return the objects that `present` will create for these responses, so that they can be recorded first."""
        ...

    async def present(self, responses: Sequence[ChallengeResponse]) -> None:
        """Put all responses in place together. Those that already exist stay."""
        ...

    async def check(self, responses: Sequence[ChallengeResponse]) -> Sequence[Sighting]:
        """Check each response once, and return what was seen, in the same order."""
        ...

    async def clean_up(self, responses: Sequence[ChallengeResponse]) -> None:
        """Remove exactly these responses; those that no longer exist are ignored."""
        ...
