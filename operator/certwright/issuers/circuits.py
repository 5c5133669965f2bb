"""A circuit breaker for each issuer: whether its CA works, as all its Certificates together find out.

While the circuit of an issuer is open, Certificates that list others may use those. After a pause one order tries: if
its certificate is issued, the circuit is closed.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from certwright.resources import Condition
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

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
FIRST_PAUSE: Final = dt.timedelta(minutes=5)
"""From the opening to the first trial; it doubles with each trial that fails."""
LONGEST_PAUSE: Final = dt.timedelta(hours=1)
TRIAL_PATIENCE: Final = dt.timedelta(minutes=10)
"""A trial that is not heard of for so long keeps others from trying no more."""
MAX_SAID: Final = 500

Work = Literal["order", "other"]
"""What was asked of the CA: it may answer about orders that there are and refuse new ones, or the other way round."""


@dataclass
class _Row:
    """Failures in a row of one kind of work."""

    first: dt.datetime
    last: dt.datetime
    uid: str
    count: int = 1
    is_shared: bool = False


@dataclass
class _Circuit:
    """What is known of one issuer; at most two rows, one trial and one text."""

    rows: dict[Work, _Row] = field(default_factory=dict)
    said: str = ""
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    pause: dt.timedelta = FIRST_PAUSE
    only: str | None = None
    trial: str | None = None
    trial_since: dt.datetime | None = None

    def is_open(self, now: dt.datetime) -> bool:
        """Whether the pause goes on. If the clock was set back to before its beginning, it is over."""
        return self.since is not None and self.until is not None and self.since <= now < self.until

    def is_tried_by_others(self, uid: str, now: dt.datetime) -> bool:
        """Whether the trial is under way, and it is another's."""
        begun = self.trial_since
        if self.trial in (None, uid) or begun is None:
            return False
        return dt.timedelta() <= now - begun < TRIAL_PATIENCE


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
        on_change: Told of an issuer whose circuit was opened or closed.
    """

    def __init__(self, on_change: Callable[[Key], object] | None = None) -> None:
        self._circuits: dict[Key, _Circuit] = {}
        self.on_change: Callable[[Key], object] = on_change or (lambda _key: None)

    def failed(self, key: Key, uid: str, work: Work, reason: Reason, message: str, *, now: dt.datetime) -> None:
        """Take note of a step of a Certificate that failed, if that is the issuer's fault.

        A CA may fail on what one Certificate asks for, and whoever wrote that must not turn others away from it. So
        what only one has met is an obstacle for that one.
        """
        if reason not in ISSUER_FAILURES:
            return
        circuit = self._circuits.setdefault(key, _Circuit())
        circuit.said = message[:MAX_SAID]
        if circuit.until is not None:
            if circuit.only in (None, uid):
                self._trial_failed(key, circuit, now)
            else:
                circuit.only = None
                self.on_change(key)
            return
        row = circuit.rows.get(work)
        if row is None or not dt.timedelta() <= now - row.last <= FORGOTTEN_AFTER:
            circuit.rows[work] = _Row(now, now, uid)
            return
        row.count, row.last, row.is_shared = row.count + 1, now, row.is_shared or row.uid != uid
        if row.count >= FAILURES and now - row.first >= FAILING_FOR:
            circuit.rows, circuit.only = {}, None if row.is_shared else uid
            circuit.since, circuit.until = row.first, now + circuit.pause
            self.on_change(key)

    def answered(self, key: Key, work: Work) -> None:
        """Take note that the CA did what was asked. An open circuit stays so until a certificate is issued."""
        circuit = self._circuits.get(key)
        if circuit is None:
            return
        circuit.rows.pop(work, None)
        if circuit.until is None and not circuit.rows:
            del self._circuits[key]

    def proved(self, key: Key, uid: str) -> None:
        """Take note that the CA works: it has issued a certificate, or judged an order as it should."""
        circuit = self._circuits.get(key)
        if circuit is None or circuit.only not in (None, uid):
            return
        del self._circuits[key]
        if circuit.until is not None:
            self.on_change(key)

    def enter(self, key: Key, uid: str, now: dt.datetime) -> Obstacle | None:
        """Return None if a Certificate may use the issuer now, which may make it the trial; else why not."""
        obstacle = self.obstacle(key, uid, now)
        circuit = self._circuits.get(key)
        if circuit is None or circuit.only not in (None, uid):
            return obstacle
        if obstacle is None and circuit.until is not None and circuit.trial != uid:
            circuit.trial, circuit.trial_since = uid, now
        return obstacle

    def obstacle(self, key: Key, uid: str, now: dt.datetime) -> Obstacle | None:
        """Return why a Certificate must not use the issuer now, or None if it may."""
        circuit = self._circuits.get(key)
        if circuit is None or circuit.until is None or circuit.since is None or circuit.only not in (None, uid):
            return None
        since = min(circuit.since, now)
        failing = f"it has failed since {rfc3339(since)}: {circuit.said.rstrip('.')}"
        if circuit.is_open(now):
            return Obstacle(f"{failing}. One order tries it again after {rfc3339(circuit.until)}", circuit.until, since)
        if circuit.is_tried_by_others(uid, now):
            begun = circuit.trial_since or now
            return Obstacle(f"{failing}. Another order is trying it", begun + TRIAL_PATIENCE, since)
        return None

    def is_available(self, key: Key) -> bool:
        """Whether the circuit is closed, or open for no more than one Certificate."""
        circuit = self._circuits.get(key)
        return circuit is None or circuit.until is None or circuit.only is not None

    def condition(self, key: Key, generation: int) -> Condition:
        """Return the issuer's condition; its transition time is set by who writes it."""
        circuit = self._circuits.get(key)
        if circuit is None or circuit.until is None or circuit.since is None or self.is_available(key):
            message = "The CA works. Certificates come back to this issuer at their next renewal."
            return Condition(
                type=AVAILABLE, status="True", reason="IssuerAvailable", message=message, observed_generation=generation
            )
        message = (
            f"The CA has failed since {rfc3339(circuit.since)}: {circuit.said.rstrip('.')}. Certificates that list "
            "another issuer use that one if they cannot wait. The first order after "
            f"{rfc3339(circuit.until)} tries this one again."
        )
        return Condition(
            type=AVAILABLE, status="False", reason="IssuerUnavailable", message=message, observed_generation=generation
        )

    def restore(self, key: Key, said: Condition, now: dt.datetime) -> None:
        """Take up the circuit that an earlier process left open: one order tries, and the others wait for it.

        Whoever may write the issuer's status can bring about no more than that.
        """
        if key in self._circuits or said.status != "False":
            return
        since = min(said.last_transition_time or now, now)
        self._circuits[key] = _Circuit(said="it failed before the operator was restarted", since=since, until=now)

    def forget(self, key: Key) -> None:
        """Drop what is known of an issuer that is gone, or was changed."""
        if self._circuits.pop(key, None) is not None:
            self.on_change(key)

    def _trial_failed(self, key: Key, circuit: _Circuit, now: dt.datetime) -> None:
        if circuit.is_open(now):
            return  # it began before the circuit was opened
        circuit.pause = min(circuit.pause * 2, LONGEST_PAUSE)
        circuit.until = now + circuit.pause
        circuit.trial = circuit.trial_since = None
        self.on_change(key)
