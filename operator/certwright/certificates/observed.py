"""What is known about one Certificate at one instant: all that `plan` may look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

    from certwright.acme import Challenge, Order
    from certwright.certificates.secret_facts import SecretFacts
    from certwright.certificates.wanted import Wanted
    from certwright.challenges.response import ChallengeResponse
    from certwright.issuers.registry import IssuerView
    from certwright.resources import Certificate, CertificateStatus


@dataclass
class Flight:
    """An order under way, as held in memory; after a restart it is made anew from the status and the CA.

    Attributes:
        order: As last seen at the CA.
        next_look: Nothing is to be asked before this instant.
        proofs: What the CA is to find, by the authorization's name; what is answered stays until the order is done.
        challenges: The challenge of each that is not answered yet, by the same name.
        presented_at: When this process put the proofs in place; None before.
        propagated: Whether they were seen where the CA looks, or need not be.
        checks: How often they were looked for.
        polls: How often the CA was asked since the last progress.
        finalized: Whether this process has sent the CSR.
        warned: What an Event has told of proofs that were not to be seen: its reason, and the cause.
    """

    order: Order
    next_look: dt.datetime
    proofs: dict[str, ChallengeResponse] = field(default_factory=dict)
    challenges: dict[str, Challenge] = field(default_factory=dict)
    presented_at: dt.datetime | None = None
    propagated: bool = False
    checks: int = 0
    polls: int = 0
    finalized: bool = False
    warned: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True)
class Observed:
    """One Certificate and everything around it.

    Attributes:
        certificate: The object as last seen.
        status: Its status, with what this pass has added.
        wanted: What its spec and issuer add up to; None while the issuer is not ready.
        secret: The target Secret, or None if there is none.
        rival: Name of another Certificate with the better claim to the Secret, or None.
        issuer: Its issuer.
        flight: The order under way, if this process knows it.
        retry_at: After a failure that cost nothing at the CA: not before this instant.
        clean_up_at: After tidying up (see `Memory`) has failed: not before this instant.
        clean_up_failures: How often in a row it has failed.
    """

    certificate: Certificate
    status: CertificateStatus
    wanted: Wanted | None
    secret: SecretFacts | None
    issuer: IssuerView
    rival: str | None = None
    flight: Flight | None = None
    retry_at: dt.datetime | None = None
    clean_up_at: dt.datetime | None = None
    clean_up_failures: int = 0
