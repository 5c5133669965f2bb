"""Progress of an issuance as typed events, for output, logs and metrics. `str()` of an event is a readable line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from certwright.text import rfc3339

if TYPE_CHECKING:
    from datetime import datetime

    from certwright.acme import AcmeError, Order, Reservation
    from certwright.challenges.proof import Proof
    from certwright.client.certificate import IssuedCertificate

_SHOWN_NAMES = 5


@dataclass(frozen=True)
class Event:
    """Base class of all events; use `match` or `isinstance` to tell them apart."""


@dataclass(frozen=True)
class BudgetWaited(Event):
    """The rate-limit budget requires a wait before the order is placed.

    Attributes:
        reservation: How long the wait is, and which limit requires it.
    """

    reservation: Reservation

    def __str__(self) -> str:
        wanted = self.reservation
        used = f" ({wanted.used})" if wanted.used else ""
        until = f", until {rfc3339(wanted.retry_at)}" if wanted.retry_at else ""
        return f"Waiting {wanted.seconds:.0f} s{until}, for room in a rate limit of the CA: {wanted.limit}{used}"


@dataclass(frozen=True)
class CaaObjected(Event):
    """A CAA record seems to forbid the CA to issue for a name. The order is still placed, because the CA decides.

    Attributes:
        name: The name.
        reason: A description of what was found.
    """

    name: str
    reason: str

    def __str__(self) -> str:
        return f"The CA is likely to refuse {self.name}: {self.reason}"


@dataclass(frozen=True)
class ReplacementRefused(Event):
    """The CA does not accept the order as a renewal, so it is placed without `replaces`.

    Attributes:
        error: Why.
    """

    error: AcmeError

    def __str__(self) -> str:
        return f"The CA does not accept the order as a renewal; placing it as a new one: {self.error}"


@dataclass(frozen=True)
class OrderPlaced(Event):
    """The order was placed. Its URL is all that is needed to resume it.

    Attributes:
        order: The order.
    """

    order: Order

    def __str__(self) -> str:
        return f"Ordered a certificate for {_few([name.value for name in self.order.identifiers])}: {self.order.url}"


@dataclass(frozen=True)
class OrderResumed(Event):
    """An earlier order is resumed, so no new one is placed.

    Attributes:
        order: The order as it is now.
    """

    order: Order

    def __str__(self) -> str:
        return f"Continuing the earlier order, which is {self.order.status}: {self.order.url}"


@dataclass(frozen=True)
class OrderNotResumed(Event):
    """An earlier order cannot be resumed, so a new one is placed.

    Attributes:
        url: The earlier order.
        reason: A description of why not.
    """

    url: str
    reason: str

    def __str__(self) -> str:
        return f"Cannot resume the earlier order; placing a new one: {self.reason}"


@dataclass(frozen=True)
class AuthorizationReused(Event):
    """A domain has already been validated, by an earlier order, so nothing is presented for it.

    Attributes:
        name: The name as it appears in the order.
    """

    name: str

    def __str__(self) -> str:
        return f"{self.name} is already validated"


@dataclass(frozen=True)
class _ProofEvent(Event):
    proofs: tuple[Proof, ...]

    def _said(self, what: str) -> str:
        kinds = ", ".join(dict.fromkeys(proof.challenge.type for proof in self.proofs))
        return f"{what} {kinds} for {_few([proof.name for proof in self.proofs])}"


@dataclass(frozen=True)
class Presenting(_ProofEvent):
    """A solver starts to present its challenge responses.

    Attributes:
        proofs: What it answers.
    """

    def __str__(self) -> str:
        return self._said("Presenting")


@dataclass(frozen=True)
class Presented(_ProofEvent):
    """A solver has presented its challenge responses, and waits until they are visible.

    Attributes:
        proofs: What it answers.
    """

    def __str__(self) -> str:
        return self._said("Waiting until visible:")


@dataclass(frozen=True)
class Validating(_ProofEvent):
    """The CA is asked to validate all domains of the order.

    Attributes:
        proofs: All challenge responses.
    """

    def __str__(self) -> str:
        return self._said("The CA validates")


@dataclass(frozen=True)
class OrderReady(Event):
    """All domains are validated, and the certificate is requested.

    Attributes:
        order: The order.
    """

    order: Order

    def __str__(self) -> str:
        return "All domains are validated; requesting the certificate"


@dataclass(frozen=True)
class CleanedUp(_ProofEvent):
    """A solver removed its challenge responses.

    Attributes:
        proofs: What it had answered.
    """

    def __str__(self) -> str:
        return self._said("Cleaned up")


@dataclass(frozen=True)
class CleanUpFailed(_ProofEvent):
    """A solver could not remove its challenge responses. This does not affect the issuance.

    Attributes:
        proofs: What it had answered.
        error: Why not.
    """

    error: AcmeError

    def __str__(self) -> str:
        return str(self.error)


@dataclass(frozen=True)
class RenewalInfoUnavailable(Event):
    """The certificate was issued, but the CA did not say when to renew it; renew it by its lifetime.

    Attributes:
        error: Why not.
    """

    error: AcmeError

    def __str__(self) -> str:
        return f"Cannot ask the CA when to renew: {self.error}"


@dataclass(frozen=True)
class StartAwaited(Event):
    """The certificate was issued, but is not valid yet, because the CA's clock is ahead.

    Attributes:
        not_before: When it becomes valid, UTC.
        usable_from: When the wait ends: a little earlier than `not_before`, because clocks differ.
    """

    not_before: datetime
    usable_from: datetime

    def __str__(self) -> str:
        return (
            f"The certificate is valid only from {rfc3339(self.not_before)}, as the CA's clock is ahead;"
            f" waiting until {rfc3339(self.usable_from)}"
        )


@dataclass(frozen=True)
class Issued(Event):
    """The certificate was issued and passed all checks.

    Attributes:
        certificate: The certificate.
    """

    certificate: IssuedCertificate

    def __str__(self) -> str:
        return f"Issued, valid until {self.certificate.not_after:%Y-%m-%dT%H:%M:%SZ}"


OnEvent: TypeAlias = Callable[[Event], None]
"""Called with each event; should return at once, and must not raise: except at `OrderPlaced` where the order cannot be
kept, which ends the issuance."""


def ignore(_event: Event) -> None:
    """Ignore an event."""


def _few(names: list[str]) -> str:
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
