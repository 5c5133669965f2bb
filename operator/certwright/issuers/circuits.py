"""Circuit breakers for each issuer: whether its CA works, according to all its Certificates.

While a circuit is open, the Certificates in its scope that list other issuers may use those, and the others wait. After
a pause one order tries. Once the CA has answered it the next one follows, one after another; when a certificate is
issued the circuit is closed.

A CA may fail on the request of a single Certificate, and its author must not make others leave the CA. So there is a
circuit for each Certificate, one for each namespace, and one for everyone. A ClusterIssuer's circuit for everyone opens
only when several namespaces have failures, or for failures that no request can cause.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from certwright.issuers.rate_limits import Asker
from certwright.resources import Condition
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from certwright.reasons import Reason
    from certwright.runtime.key import Key

AVAILABLE: Final = "Available"
"""The type of the issuer's condition. It is there once the circuit has been open."""
ISSUER_FAILURES: Final[frozenset[Reason]] = frozenset(
    {
        "CAUnreachable",
        "CAInternalError",
        "CAMalformedResponse",
        "CAUntrusted",
        "CAAddressRefused",
        "BadNonce",
        "UserActionRequired",
        "ExternalAccountRequired",
    }
)
"""What says that the CA works for nobody. A domain that fails validation, or a refused spec, says nothing of it."""
FAILURES: Final = 5
"""So many failures in a row open the circuit,"""
FAILING_FOR: Final = dt.timedelta(minutes=1)
"""if there is at least so much time from the first to the last: a CA that is restarted is back before that."""
FORGOTTEN_AFTER: Final = dt.timedelta(minutes=15)
"""A failure longer ago than this is not in a row with the next one."""
FIRST_PAUSE: Final = dt.timedelta(minutes=1)
"""From the opening to the first trial; it doubles with each trial that fails."""
LONGEST_PAUSE: Final = dt.timedelta(minutes=10)
"""Those without another issuer wait for the trial: it must not be later than a Certificate would try by itself."""
LONGEST_ASKED: Final = dt.timedelta(hours=1)
"""A CA that fails and asks for a longer pause (Retry-After) gets so much."""
TRIAL_PATIENCE: Final = dt.timedelta(minutes=3)
"""A trial that is not heard of for so long, which is longer than a step may take, keeps others from trying no more."""
NEXT_TRIAL: Final = dt.timedelta(seconds=10)
"""So long after the CA has answered a trial another one may follow: the first may wait for its DNS, or for ever."""
MAX_SAID: Final = 500
FAILURES_OF_OTHERS: Final = 2
"""So many failures that open a ClusterIssuer's circuit for everybody are not from the namespace with the most."""
OTHERS_FIRST: Final = dt.timedelta(minutes=1)
"""So long after a pause that a namespace made longer the trial is for others: it may fail on what that one asks for."""
MAX_CERTIFICATES: Final = 64
"""So many Certificates of a namespace have circuits at an issuer; beyond it the one that failed first is dropped."""
MAX_SOURCES: Final = 8
"""So many are told apart among those who met the failures of a row."""
MAX_LENGTHENED_BY: Final = 64
"""So many are remembered whose trials have failed; beyond it the first one is forgotten."""
EVERYBODY: Final = Asker("", "")
"""The scope of the circuit that holds for all."""
SAID: Final[Mapping[Reason, str]] = {
    "CAUnreachable": "its CA does not answer",
    "CAInternalError": "its CA reports an internal error",
    "CAMalformedResponse": "its CA sends invalid answers",
    "CAUntrusted": "the server certificate of its CA is not trusted",
    "CAAddressRefused": "the server of its CA has a refused address",
    "BadNonce": "its CA refuses its own nonces",
    "UserActionRequired": "its CA requires an action for the account",
    "ExternalAccountRequired": "its CA requires an external account",
}
"""What all tenants are told of a ClusterIssuer: the message of a failure may name the domain of one of them."""


Work = Literal["order", "other"]
"""What was asked of the CA: it may answer about orders that there are and refuse new ones, or the other way round."""


@dataclass
class _Row:
    """Failures in a row of one kind of work.

    Attributes:
        first: When the first was met.
        last: When the last was.
        sources: How many each namespace, or each Certificate, has met.
        certain: How many nobody who asks can bring about.
    """

    first: dt.datetime
    last: dt.datetime
    sources: dict[str, int] = field(default_factory=dict)
    certain: int = 0

    def add(self, source: str, now: dt.datetime, *, is_certain: bool) -> None:
        """Count one more."""
        if source not in self.sources and len(self.sources) >= MAX_SOURCES:
            source = ""
        self.sources[source] = self.sources.get(source, 0) + 1
        self.certain += is_certain
        self.last = now

    def says_enough(self, scope: Asker, *, is_for_tenants: bool) -> bool:
        """Whether the failures open the circuit of a scope."""
        count = sum(self.sources.values())
        if count < FAILURES or self.last - self.first < FAILING_FOR:
            return False
        if scope.uid:
            return True
        others = count - max(self.sources.values())
        if scope == EVERYBODY and is_for_tenants:
            return others >= FAILURES_OF_OTHERS or self.certain >= FAILURES
        return others > 0 or self.certain >= FAILURES


@dataclass
class _Circuit:
    """What is known of one issuer in one scope; at most two rows, one trial and one text."""

    rows: dict[Work, _Row] = field(default_factory=dict)
    said: str = ""
    reason: Reason | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    pause: dt.timedelta = FIRST_PAUSE
    trial: str | None = None
    trial_since: dt.datetime | None = None
    answered_at: dt.datetime | None = None
    lengthened_by: dict[str, None] = field(default_factory=dict)

    def is_open(self, now: dt.datetime) -> bool:
        """Whether the pause goes on. If the clock was set back to before its beginning, it is over."""
        return self.since is not None and self.until is not None and self.since <= now < self.until

    def is_tried_by_others(self, uid: str, now: dt.datetime) -> bool:
        """Whether the trial is under way, and it is another's."""
        if self.trial in (None, uid) or self.trial_since is None:
            return False
        return self.trial_since <= now < self.next_trial_at(now)

    def next_trial_at(self, now: dt.datetime) -> dt.datetime:
        """Return when another one may try although there is a trial."""
        if self.answered_at is not None:
            return self.answered_at + NEXT_TRIAL
        return (self.trial_since or now) + TRIAL_PATIENCE

    def is_for_others(self, source: str | None, now: dt.datetime) -> bool:
        """Whether the pause has just ended and the trial is not for who made it longer."""
        if source is None or source not in self.lengthened_by or self.until is None:
            return False
        return dt.timedelta() <= now - self.until < OTHERS_FIRST

    def obstacle(self, uid: str, source: str | None, now: dt.datetime) -> Obstacle | None:
        """Return why a Certificate in the scope must not use the issuer now, or None if it may."""
        if self.until is None or self.since is None:
            return None
        since = min(self.since, now)
        failing = f"it has failed since {rfc3339(since)}: {self.said.rstrip('.')}"
        if self.is_open(now):
            return Obstacle(failing, self.until, since)
        if self.is_tried_by_others(uid, now):
            return Obstacle(failing, self.next_trial_at(now), since)
        if self.trial is None and self.is_for_others(source, now):
            return Obstacle(failing, self.until + OTHERS_FIRST, since)
        return None

    def opens(self, since: dt.datetime, now: dt.datetime, not_before: dt.datetime | None) -> None:
        """Begin the first pause."""
        self.rows = {}
        self.since, self.until = since, self._pause_until(now, not_before)

    def tries(self, uid: str, now: dt.datetime) -> None:
        """Note who tries."""
        self.trial, self.trial_since, self.answered_at = uid, now, None

    def trial_failed(self, who: str, now: dt.datetime, not_before: dt.datetime | None) -> None:
        """Make the next pause longer."""
        self.pause = min(self.pause * 2, LONGEST_PAUSE)
        self.until = self._pause_until(now, not_before)
        self.trial = self.trial_since = self.answered_at = None
        self.lengthened_by[who] = None
        if len(self.lengthened_by) > MAX_LENGTHENED_BY:
            del self.lengthened_by[next(iter(self.lengthened_by))]

    def _pause_until(self, now: dt.datetime, not_before: dt.datetime | None) -> dt.datetime:
        asked = min(not_before, now + LONGEST_ASKED) if not_before is not None else now
        return max(now + self.pause, asked)


@dataclass(frozen=True)
class Obstacle:
    """Why an issuer must not be used now.

    Attributes:
        message: For people, without a full stop.
        until: When to look again.
        since: Since when it has been so.
    """

    message: str
    until: dt.datetime
    since: dt.datetime


class Circuits:
    """The circuits of all issuers. What is known of an issuer is dropped with it.

    Args:
        on_change: Told of an issuer whose circuit for everybody was opened or closed. Of the narrower ones nobody is
            told: whoever has a thousand Certificates that fail could have all others looked at all the time.
        on_answer: Told of an issuer whose CA has answered the order that tries it, so another one may follow soon.
    """

    def __init__(
        self, on_change: Callable[[Key], object] | None = None, on_answer: Callable[[Key], object] | None = None
    ) -> None:
        # By issuer, namespace and UID of a Certificate, as an Asker has them.
        self._circuits: dict[Key, dict[str, dict[str, _Circuit]]] = {}
        self.on_change: Callable[[Key], object] = on_change or (lambda _key: None)
        self.on_answer: Callable[[Key], object] = on_answer or (lambda _key: None)

    def failed(
        self,
        key: Key,
        who: Asker,
        work: Work,
        reason: Reason,
        message: str,
        *,
        now: dt.datetime,
        is_certain: bool = False,
        not_before: dt.datetime | None = None,
    ) -> None:
        """Take note of a step of a Certificate that failed, if that is the issuer's fault.

        Args:
            key: The issuer.
            who: The Certificate.
            work: What was asked of the CA.
            reason: The kind of failure.
            message: For people.
            now: The present time.
            is_certain: Whether nobody who asks can bring it about, whatever he asks for.
            not_before: Until when the CA wants to be left alone (Retry-After); None if it did not say.
        """
        if reason not in ISSUER_FAILURES:
            return
        for scope in _scopes(key, who):
            circuit = self._made(key, scope)
            if circuit.until is None or circuit.reason != reason:
                # Else it stays: all who wait have it in their conditions.
                is_for_tenants = scope == EVERYBODY and not key.namespace and not is_certain
                circuit.said, circuit.reason = SAID[reason] if is_for_tenants else message[:MAX_SAID], reason
            source = _source(key, scope, who)
            if circuit.until is not None:
                if _fails_again(key, circuit, who, source, now):
                    circuit.trial_failed(source, now, not_before)
                    if scope == EVERYBODY:
                        self.on_change(key)
                return
            row = circuit.rows.get(work)
            if row is None or not dt.timedelta() <= now - row.last <= FORGOTTEN_AFTER:
                row = circuit.rows[work] = _Row(now, now)
            row.add(source, now, is_certain=is_certain)
            if row.says_enough(scope, is_for_tenants=not key.namespace):
                circuit.opens(row.first, now, not_before)
                self._drop_within(key, scope)
                if scope == EVERYBODY:
                    self.on_change(key)
                return

    def answered(self, key: Key, who: Asker, work: Work, now: dt.datetime) -> None:
        """Take note that the CA did what was asked. An open circuit stays so until a certificate is issued.

        The order that tries an issuer may take long, or never come to its end, so another one may follow.
        """
        for scope in _scopes(key, who):
            circuit = self._of(key, scope)
            if circuit is None:
                continue
            circuit.rows.pop(work, None)
            if circuit.until is None and not circuit.rows:
                self._drop(key, scope)
            elif circuit.trial == who.uid and circuit.answered_at is None and not circuit.is_open(now):
                circuit.answered_at = now
                self.on_answer(key)

    def judged(self, key: Key, who: Asker, work: Work, now: dt.datetime) -> None:
        """Take note that the CA refused what was asked for, as it should.

        During a pause that is no proof that it issues: anybody can ask for what it has to refuse.
        """
        for scope in _scopes(key, who):
            circuit = self._of(key, scope)
            if circuit is not None and circuit.is_open(now):
                self.answered(key, who, work, now)
                return
        self.proved(key, who)

    def proved(self, key: Key, who: Asker) -> None:
        """Take note that the CA works: it has issued a certificate."""
        shared, *_ = [self._drop(key, scope) for scope in _scopes(key, who)]
        if shared is not None and shared.until is not None:
            self.on_change(key)

    def enter(self, key: Key, who: Asker, now: dt.datetime, *, is_alone: bool = False) -> Obstacle | None:
        """Return None if a Certificate may use the issuer now, which may make it the trial; else why not."""
        obstacle = self.obstacle(key, who, now, is_alone=is_alone)
        if obstacle is not None:
            return obstacle
        for scope in _scopes(key, who):
            circuit = self._of(key, scope)
            if circuit is not None and circuit.until is not None and circuit.trial != who.uid:
                circuit.tries(who.uid, now)
        return None

    def obstacle(self, key: Key, who: Asker, now: dt.datetime, *, is_alone: bool = False) -> Obstacle | None:
        """Return why a Certificate must not use the issuer now, or None if it may.

        Args:
            key: The issuer.
            who: The Certificate.
            now: The present time.
            is_alone: Whether it lists no other issuer. Then only what others have met keeps it from this one: for what
                it has met itself it has the pauses between its tries.
        """
        for scope in _scopes(key, who):
            if is_alone and scope.uid:
                continue
            circuit = self._of(key, scope)
            source = None if key.namespace or scope != EVERYBODY else who.namespace
            obstacle = None if circuit is None else circuit.obstacle(who.uid, source, now)
            if obstacle is not None:
                return obstacle
        return None

    def is_available(self, key: Key) -> bool:
        """Whether the circuit for everybody is closed."""
        circuit = self._of(key, EVERYBODY)
        return circuit is None or circuit.until is None

    def condition(self, key: Key, generation: int) -> Condition:
        """Return the issuer's condition; its transition time is set by who writes it."""
        circuit = self._of(key, EVERYBODY)
        if circuit is None or circuit.until is None or circuit.since is None:
            message = "The CA works. Certificates that used another issuer return to it at their next renewal."
            return Condition(
                type=AVAILABLE, status="True", reason="IssuerAvailable", message=message, observed_generation=generation
            )
        message = (
            f"The CA has failed since {rfc3339(circuit.since)}: {circuit.said.rstrip('.')}. Certificates wait, or "
            "use another issuer if they list one. The first order after "
            f"{rfc3339(circuit.until)} tries this one again."
        )
        return Condition(
            type=AVAILABLE, status="False", reason="IssuerUnavailable", message=message, observed_generation=generation
        )

    def restore(self, key: Key, said: Condition, now: dt.datetime) -> None:
        """Take up the circuit that an earlier process left open: one order tries, and the others wait for it.

        Whoever may write the issuer's status can bring about no more than that.
        """
        if self._of(key, EVERYBODY) is not None or said.status != "False":
            return
        circuit = self._made(key, EVERYBODY)
        circuit.said = "it failed before the operator was restarted"
        circuit.since, circuit.until = min(said.last_transition_time or now, now), now

    def forget(self, key: Key) -> None:
        """Drop what is known of an issuer that is gone, or was changed."""
        if self._circuits.pop(key, None) is not None:
            self.on_change(key)

    def _of(self, key: Key, scope: Asker) -> _Circuit | None:
        return self._circuits.get(key, {}).get(scope.namespace, {}).get(scope.uid)

    def _made(self, key: Key, scope: Asker) -> _Circuit:
        """Return the circuit of a scope; no namespace pushes out those of another."""
        known = self._circuits.setdefault(key, {}).setdefault(scope.namespace, {})
        if scope.uid not in known and len(known) > MAX_CERTIFICATES:
            del known[next(uid for uid in known if uid)]
        return known.setdefault(scope.uid, _Circuit())

    def _drop(self, key: Key, scope: Asker) -> _Circuit | None:
        namespaces = self._circuits.get(key, {})
        known = namespaces.get(scope.namespace, {})
        circuit = known.pop(scope.uid, None)
        if not known:
            namespaces.pop(scope.namespace, None)
        if not namespaces:
            self._circuits.pop(key, None)
        return circuit

    def _drop_within(self, key: Key, scope: Asker) -> None:
        """Drop what is known of narrower scopes than one whose circuit was opened."""
        if scope.uid:
            return
        circuit = self._made(key, scope)
        if scope == EVERYBODY:
            self._circuits[key] = {}
        self._circuits[key][scope.namespace] = {"": circuit}


def _scopes(key: Key, who: Asker) -> Iterator[Asker]:
    """Yield the scopes that a Certificate is in, the widest first. All who use an Issuer are in its namespace."""
    yield EVERYBODY
    if not key.namespace:
        yield Asker(who.namespace, "")
    yield who


def _fails_again(key: Key, circuit: _Circuit, who: Asker, source: str, now: dt.datetime) -> bool:
    """Whether a failure says that the CA still does not work."""
    if circuit.is_open(now):
        return False  # it began before the circuit was opened
    # It may fail on what is asked for there; others are to find out.
    return bool(key.namespace) or circuit.trial == who.uid or source not in circuit.lengthened_by


def _source(key: Key, scope: Asker, who: Asker) -> str:
    """Return what failures are told apart by in a scope."""
    return who.namespace if scope == EVERYBODY and not key.namespace else who.uid
