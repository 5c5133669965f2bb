"""The working set of one Certificate: what is kept between passes, and the draft of one pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from certwright.certificates.observed import Observed
from certwright.failures import MAX_MESSAGE_CHARACTERS
from certwright.kube.events import subject_of

if TYPE_CHECKING:
    import datetime as dt

    from certwright.acme import Order
    from certwright.certificates.observed import Flight
    from certwright.certificates.secret_facts import SecretFacts
    from certwright.certificates.wanted import Wanted
    from certwright.challenges.presenter import Presenter
    from certwright.issuers.registry import IssuerView, ReadyIssuer
    from certwright.kube.events import Subject
    from certwright.pki import PrivateKey
    from certwright.resources import Certificate, CertificateStatus


@dataclass(frozen=True)
class Note:
    """What to tell people about where things stand.

    Attributes:
        reason: One word, CamelCase.
        message: For people.
        under_way: Whether an issuance is going on; False for a failure or a wait for somebody else.
    """

    reason: str
    message: str
    under_way: bool


@dataclass
class Memory:
    """What the operator remembers of a Certificate between passes; losing it costs nothing but time.

    Attributes:
        flight: The order under way.
        key: The private key of that order, once it is persisted.
        solvers: The solver for each name of the order; kept so that proofs can be removed after the issuer is gone.
        note: The latest note.
        setbacks: Failures in a row that cost nothing at the CA.
        told: Reason and message of the last failure, which is no news when it comes again.
        retry_at: No step of an issuance before this instant, after one failed.
        clean_up_at: No tidying up (records, order, finalizer, metadata of the Secret) before this instant.
        clean_up_failures: How often in a row that failed.
        saved_at: When the status was last written.
        generation: Of the spec that setbacks were seen with.
        started_at: When the present issuance was started, for its duration.
        unwatched: What was found when a Secret that is not watched was last read, and when.
        refusals: How often in a row the Certificate was refused.
        resumed: Whether an earlier process began this order and may have left its key behind.
        caught_up: Whether the object is known to be no older than this process's right to act.
    """

    flight: Flight | None = None
    key: PrivateKey | None = field(default=None, repr=False)
    solvers: dict[str, Presenter] = field(default_factory=dict)
    note: Note | None = None
    setbacks: int = 0
    told: tuple[str, str] | None = None
    retry_at: dt.datetime | None = None
    clean_up_at: dt.datetime | None = None
    clean_up_failures: int = 0
    saved_at: dt.datetime | None = None
    generation: int = 0
    started_at: dt.datetime | None = None
    resumed: bool = False
    caught_up: bool = False
    unwatched: tuple[SecretFacts | None, dt.datetime] | None = None
    refusals: int = 0

    def end_flight(self) -> None:
        """Forget the order and its key."""
        self.flight = None
        self.key = None
        self.solvers = {}
        self.resumed = False

    def forget_secret(self) -> None:
        """Have the Secret read again at the next look."""
        self.unwatched = None

    def clear_setbacks(self) -> None:
        """Start counting anew: something has gone well, or something has changed."""
        self.setbacks = 0
        self.told = None
        self.retry_at = None

    def tidied_up(self) -> None:
        """Start counting anew: tidying up has gone well."""
        self.clean_up_at = None
        self.clean_up_failures = 0


@dataclass
class Case:
    """One pass over one Certificate. Acts change `status`, `secret` and the memory; nothing else.

    Attributes:
        certificate: The object, as last seen or written.
        status: The draft of its status.
        secret: Its Secret, or None if there is none.
        memory: What is kept between passes.
        issuer_view: The state of its issuer.
        issuer: The issuer, if it is ready.
        wanted: What would be ordered, if the issuer is ready.
        rival: The Certificate with the better claim to the Secret, or None.
    """

    certificate: Certificate
    status: CertificateStatus
    secret: SecretFacts | None
    memory: Memory
    issuer_view: IssuerView
    issuer: ReadyIssuer | None
    wanted: Wanted | None
    rival: str | None

    def observed(self) -> Observed:
        """What `plan` looks at."""
        return Observed(
            certificate=self.certificate,
            status=self.status,
            wanted=self.wanted,
            secret=self.secret,
            issuer=self.issuer_view,
            rival=self.rival,
            flight=self.memory.flight,
            retry_at=self.memory.retry_at,
            clean_up_at=self.memory.clean_up_at,
            clean_up_failures=self.memory.clean_up_failures,
        )

    @property
    def ready_issuer(self) -> ReadyIssuer:
        """The issuer, for steps that `plan` takes only when it is ready."""
        if self.issuer is None:
            raise AssertionError("a step that needs the issuer was planned without one")
        return self.issuer

    @property
    def flight(self) -> Flight:
        """The order under way, for steps that `plan` takes only with one."""
        if self.memory.flight is None:
            raise AssertionError("a step of an order was planned without one")
        return self.memory.flight

    @property
    def subject(self) -> Subject:
        """The Certificate as the subject of an Event."""
        return subject_of("Certificate", self.certificate.metadata)

    def identity(self) -> dict[str, Any]:
        """Name, namespace and UID, for writes that must hit this object and no other."""
        return self.certificate.metadata.identity

    def note(self, reason: str, message: str, *, under_way: bool = True) -> None:
        """Say where things stand."""
        self.memory.note = Note(reason, message[:MAX_MESSAGE_CHARACTERS], under_way)

    def change_order(self, **changes: Any) -> None:
        """Change fields of the order in the draft."""
        if self.status.order is not None:
            self.status = self.status.replace(order=self.status.order.replace(**changes))

    def show_order_state(self, order: Order) -> None:
        """Put its state into the draft; ``invalid`` follows with its reasons: alone, it would look dealt with."""
        if order.status != "invalid":
            self.change_order(state=order.status.value)

    def change_authorizations(self, **by_name: dict[str, Any]) -> None:
        """Change fields of some authorizations in the draft, by name."""
        order = self.status.order
        if order is not None:
            self.change_order(
                authorizations=tuple(
                    entry.replace(**by_name[entry.name]) if entry.name in by_name else entry
                    for entry in order.authorizations
                )
            )
