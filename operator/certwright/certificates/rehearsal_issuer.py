"""The issuer at which a renewal is rehearsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from certwright.issuers.allowed_domains import DomainPolicy
    from certwright.issuers.registry import IssuerView, ReadyIssuer
    from certwright.resources import IssuerRef
    from certwright.runtime.key import Key


@dataclass(frozen=True)
class RehearsalIssuer:
    """The issuer of a rehearsal.

    Attributes:
        reference: As the spec refers to it.
        key: Its key.
        view: Whether it is ready.
        ready: The issuer, if it is.
        policy: What the namespace may request from it; None for everything.
    """

    reference: IssuerRef
    key: Key
    view: IssuerView
    ready: ReadyIssuer | None
    policy: DomainPolicy | None = None
