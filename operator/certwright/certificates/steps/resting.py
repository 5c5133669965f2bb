"""The steps that `plan` chooses from: what to do next about one Certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True)
class Forget:
    """The Certificate is going and nothing of ours is left: do nothing."""


@dataclass(frozen=True)
class Release:
    """Take our finalizer off: nothing is left to clean up."""


@dataclass(frozen=True)
class CleanUp:
    """Remove presented proofs; then, unless a failed order is kept to be read, the pending key and the order too.

    Attributes:
        keep_order: Leave the (failed) order in the status, where people read why it failed.
        last_try: A new order waits for this: go on without proofs that still cannot be removed, and say so.
    """

    keep_order: bool = False
    last_try: bool = False


@dataclass(frozen=True)
class Refuse:
    """The Certificate cannot be served as it is; only a change by somebody helps, and an event will tell of it."""

    reason: str
    message: str


@dataclass(frozen=True)
class AwaitIssuer:
    """The issuer is missing or not ready; its own event brings us back."""

    reason: str
    message: str


@dataclass(frozen=True)
class Park:
    """The issuer is not loaded yet (the operator has just started): say nothing, its event brings us back."""


@dataclass(frozen=True)
class Adopt:
    """The Secret's content is right: write our labels, annotations and owner, and leave the content as it is."""


@dataclass(frozen=True)
class Settle:
    """All is well until the renewal.

    Attributes:
        renew_at: When to look again.
    """

    renew_at: dt.datetime


@dataclass(frozen=True)
class StartOrder:
    """Order a certificate and write down what the CA wants to see.

    Attributes:
        reason: One word, for the condition.
        message: Why, for people.
    """

    reason: str
    message: str


@dataclass(frozen=True)
class ResumeOrder:
    """Fetch the order that the status names: the operator was restarted meanwhile."""


@dataclass(frozen=True)
class Present:
    """Put the proofs of every name in place, together."""


@dataclass(frozen=True)
class SelfCheck:
    """Look for the proofs where the CA will look for them."""


@dataclass(frozen=True)
class AnswerChallenges:
    """Tell the CA that it may look, for every name, and make the private key meanwhile."""


@dataclass(frozen=True)
class PollOrder:
    """Ask the CA how far the order is."""


@dataclass(frozen=True)
class Finalize:
    """Send the CSR."""


@dataclass(frozen=True)
class StoreCertificate:
    """Download the chain, pass it through the gate, replace the Secret."""


@dataclass(frozen=True)
class RecordFailure:
    """The CA gave the order up: find out which names failed and why, write it down."""


@dataclass(frozen=True)
class Sleep:
    """Nothing to do before this instant.

    Attributes:
        until: When to look again.
    """

    until: dt.datetime


Step = (
    Forget
    | Release
    | CleanUp
    | Refuse
    | AwaitIssuer
    | Park
    | Adopt
    | Settle
    | StartOrder
    | ResumeOrder
    | Present
    | SelfCheck
    | AnswerChallenges
    | PollOrder
    | Finalize
    | StoreCertificate
    | RecordFailure
    | Sleep
)

Resting = Forget | Refuse | AwaitIssuer | Park | Settle | Sleep
"""Steps after which there is nothing more to do now."""
