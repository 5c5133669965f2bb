"""The authorizations of an order: which challenge to answer, and how the status shows each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from certwright.certificates.order.responses import response_fields
from certwright.failures import IssuanceError
from certwright.resources import AuthorizationStatus, ChallengeStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.acme import Authorization, Challenge
    from certwright.certificates.open_order import OpenOrder


WITHOUT_TOKEN: Final = frozenset({"dns-persist-01"})
"""Types of challenges that have no token."""


def pending(authorizations: Iterable[Authorization]) -> list[Authorization]:
    """Return those for which the CA has still to see a response."""
    return [authorization for authorization in authorizations if authorization.status == "pending"]


def offered_types(authorizations: Iterable[Authorization]) -> set[str]:
    """Return the types of the challenges that can be answered."""
    listed = (one for authorization in authorizations for one in authorization.challenges)
    return {one.type for one in listed if one.token is not None or one.type in WITHOUT_TOKEN}


def find_challenge(authorization: Authorization, challenge_type: str) -> Challenge:
    """Return an authorization's challenge of a type.

    Raises:
        IssuanceError: The CA offers none.
    """
    challenge = authorization.challenge(challenge_type)
    if challenge is None or (challenge.token is None and challenge_type not in WITHOUT_TOKEN):
        offered = ", ".join(challenge.type for challenge in authorization.challenges) or "nothing"
        raise IssuanceError(
            "NoChallenge",
            f"The CA offers no {challenge_type} challenge for {authorization.name}; it offers {offered}. Add a solver "
            "for one of these to the issuer.",
            costly=True,
            answered=True,
        )
    return challenge


def authorization_entries(
    authorizations: Iterable[Authorization], open_order: OpenOrder, kept: Iterable[AuthorizationStatus] = ()
) -> tuple[AuthorizationStatus, ...]:
    """Return the authorizations as a status has them.

    Args:
        authorizations: As the CA has them.
        open_order: Those with a challenge and a response in it count as presented from now on.
        kept: What the status says of them so far.
    """
    known = {entry.name: entry for entry in kept}
    entries = []
    for authorization in sorted(authorizations, key=lambda one: one.name):
        response = open_order.responses.get(authorization.name)
        challenge = open_order.challenges.get(authorization.name)
        entry = known.get(authorization.name) or AuthorizationStatus(name=authorization.name, state="pending")
        changes: dict[str, object] = {"url": authorization.url, "state": authorization.status.value}
        if response is not None and challenge is not None:
            shown = ChallengeStatus(type=challenge.type, url=challenge.url)
            fields = response_fields(response)
            changes |= {"challenge": shown, **fields, "presented": bool(fields)}
        entries.append(entry.replace(**changes))
    return tuple(entries)
