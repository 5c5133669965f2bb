"""The right of an account to get certificates for an identifier (RFC 8555 sections 7.1.4 and 7.5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from certwright.acme.challenge import Challenge
from certwright.acme.fields import Fields

if TYPE_CHECKING:
    from datetime import datetime

    from certwright.acme.identifier import Identifier
    from certwright.acme.problem import Problem
    from certwright.acme.transport import UrlPolicy
    from certwright.http.message import Response


class AuthorizationStatus(StrEnum):
    """States of an authorization (section 7.1.6)."""

    PENDING = "pending"
    VALID = "valid"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True)
class Authorization:
    """The state of the proof for one identifier.

    Attributes:
        url: Where it is.
        status: Its state; `valid` ones may come with a new order, reused from an earlier one.
        identifier: What it is for, without `*.`.
        wildcard: Whether the order asked for the wildcard of the identifier.
        challenges: The ways to prove control, in the server's order; one valid challenge is enough.
        expires: When the server forgets it, aware UTC, or None.
        retry_after: Seconds that the server asks to wait before the next look, or None.
    """

    url: str
    status: AuthorizationStatus
    identifier: Identifier
    wildcard: bool = False
    challenges: tuple[Challenge, ...] = ()
    expires: datetime | None = None
    retry_after: float | None = None

    @property
    def name(self) -> str:
        """The identifier as the order wrote it: with a leading `*.` if it is for the wildcard."""
        value = self.identifier.value
        return f"*.{value}" if self.wildcard and not value.startswith("*.") else value

    @property
    def error(self) -> Problem | None:
        """Why it is invalid: the error of the first challenge that has one."""
        return next((challenge.error for challenge in self.challenges if challenge.error is not None), None)

    def challenge(self, kind: str) -> Challenge | None:
        """Return the challenge of a type such as `dns-01`, or None if the server offers none."""
        return next((challenge for challenge in self.challenges if challenge.type == kind), None)

    @classmethod
    def parse(cls, response: Response, url: str, urls: UrlPolicy, *, retry_after: float | None = None) -> Authorization:
        """Read an authorization.

        Raises:
            MalformedResponse: It is no authorization object.
            UnsafeUrl: It names a URL that must not be asked.
        """
        fields = Fields.of(response, "the authorization", urls)
        identifier = fields.child("identifier")
        return cls(
            url=url,
            status=fields.status(AuthorizationStatus),
            identifier=fields.fail("identifier", "missing") if identifier is None else identifier.identifier(),
            wildcard=fields.flag("wildcard"),
            challenges=tuple(Challenge.parse(child) for child in fields.children("challenges")),
            expires=fields.instant("expires"),
            retry_after=retry_after,
        )
