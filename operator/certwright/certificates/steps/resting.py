"""Steps that end a reconciliation: settle, sleep, await the issuer, refuse, pause, park, forget."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from certwright.certificates.contested import is_contested, is_kept
from certwright.certificates.observation import Note
from certwright.certificates.rehearsal import rehearsal_time
from certwright.certificates.renewal.due import fraction_of
from certwright.certificates.renewal_polls import can_be_asked, first_poll, is_poll_due
from certwright.certificates.secret.issued import KEPT_AFTER_WRITE
from certwright.certificates.secret.keystores import passwords_look
from certwright.certificates.steps.step import Rest
from certwright.failures import NEXT_ATTEMPT
from certwright.issuers.allowed_domains import needs_labels
from certwright.resources import READY, find_condition
from certwright.runtime.backoff import Backoff
from certwright.runtime.result import Result
from certwright.text import rfc3339

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
    from certwright.reasons import Reason

logger = logging.getLogger(__name__)

LAST_DAY: Final = dt.timedelta(days=1)
ISSUER_PAUSE_SECONDS: Final = 300.0
SHORTEST_PAUSE: Final = dt.timedelta(seconds=1)
NOTHING: Final = dt.timedelta()
TRIAL_SPREAD: Final = dt.timedelta(seconds=15)
"""Over so much time those come back who wait for a CA that failed."""
ABOUT: Final = 0.3
"""A turn is as good as told if it was told to be this part of the time until then sooner or later."""
FIRST_REFUSED_PAUSE_SECONDS: Final = 5.0
LONGEST_REFUSED_PAUSE_SECONDS: Final = 60.0
"""A Secret that is not ours is not watched, so we poll for its removal, often at first, while someone may be at it."""


@dataclass(frozen=True)
class Settle(Rest):
    """All is well until the renewal.

    Attributes:
        renew_at: When to look again; None if the certificate is not renewed.
    """

    renew_at: dt.datetime | None

    def rest(self, observation: Observation, tools: Tools) -> Observation:
        """Forget failures: they are history, also when the spec went back to what the Secret holds.

        What is said of a Secret that something else keeps changing stays until that has stopped, and what is said of
        a renewal that has failed while it waits for its next maintenance window.
        """
        now, note = tools.clock(), observation.memory.note
        is_contest = note is not None and note.reason == "SecretContested" and is_contested(observation, now)
        failed = None if is_contest else _failed_in_window(observation, now)
        if failed is None:
            observation = observation.with_status(failed_attempts=0, last_failure_time=None, next_attempt_time=None)
        else:
            observation = observation.with_status(next_attempt_time=self.renew_at)
        issued = observation.memory.issued if is_kept(observation, now) else None
        poll_at = observation.memory.poll_at
        if poll_at is None or is_poll_due(observation, now):
            poll_at = first_poll(observation, tools.number(), now)
        tell_warning(observation, tools)
        return observation.remember(
            note=note if is_contest else failed,
            issuing=Backoff(),
            orders_gone=0,
            issued=issued,
            unkept=False,
            poll_at=poll_at,
        )

    def next_look(self, observation: Observation, now: dt.datetime) -> Result:
        """Look again when it is to be renewed, to ask the CA about that, or to forget what was issued."""
        written, renewal, memory = observation.memory.written, observation.renewal, observation.memory
        times = [self.renew_at, renewal.look_at if renewal is not None else None, rehearsal_time(observation)]
        if memory.poll_at is not None and can_be_asked(observation):
            times.append(memory.poll_at)
        if written is not None and now - written.at < KEPT_AFTER_WRITE:
            times.append(written.at + KEPT_AFTER_WRITE)
        times.append(passwords_look(observation.certificate, memory.outputs, now))
        known = [time for time in times if time is not None]
        return Result.again_at(min(known), now) if known else Result.ON_EVENT


@dataclass(frozen=True)
class RestUntil(Rest):
    """Nothing to do before a time.

    Attributes:
        until: When to look again.
    """

    until: dt.datetime

    def next_look(self, observation: Observation, now: dt.datetime) -> Result:  # noqa: ARG002 - as every step has it
        """Look again then."""
        return Result.again_at(self.until, now)


@dataclass(frozen=True)
class Sleep(RestUntil):
    """Nothing to do before this time.

    Attributes:
        until: When to look again.
    """

    def rest(self, observation: Observation, tools: Tools) -> Observation:  # noqa: ARG002 - as every step has it
        """Say in the status when that is."""
        return observation.with_order(next_look_time=self.until)


@dataclass(frozen=True)
class AwaitCalm(RestUntil):
    """Something else keeps changing the Secret: it is written again, but not before this time.

    Attributes:
        until: When to look again.
        message: For people.
    """

    message: str

    def rest(self, observation: Observation, tools: Tools) -> Observation:
        """Say so."""
        return _say(observation, tools, "SecretContested", self.message)


@dataclass(frozen=True)
class AwaitBudget(RestUntil):
    """The Certificate was ordered too often of late: no order before this time.

    Attributes:
        until: When to look again.
        message: For people.
    """

    message: str

    def rest(self, observation: Observation, tools: Tools) -> Observation:
        """Say so."""
        observation = observation.with_status(next_attempt_time=self.until)
        return _say(observation, tools, "OrderedTooOften", self.message)


@dataclass(frozen=True)
class AwaitRoom(RestUntil):
    """The CA would refuse the order by a limit that it publishes: wait for room.

    Attributes:
        until: About when there is some.
        message: Which limit, and how much of it is used up.
    """

    message: str

    def rest(self, observation: Observation, tools: Tools) -> Observation:
        """Say so; that it takes longer is no news."""
        return _say_turn(observation, tools, "OrderLimitReached", self.message, self.until)


@dataclass(frozen=True)
class AwaitRateLimit(RestUntil):
    """The CA has refused requests of the issuer's account: wait for the turn.

    Attributes:
        until: When to see whether it has come.
        turn: About when it comes.
        message: For whom and until when everybody waits.
    """

    turn: dt.datetime
    message: str

    def rest(self, observation: Observation, tools: Tools) -> Observation:
        """Say so."""
        # What stays of an attempt that failed makes the plan wait for the time in the status.
        turn = self.turn if observation.status.order is None else self.until
        observation = observation.with_order(next_look_time=self.until)
        return _say_turn(observation, tools, "RateLimited", self.message, turn)


@dataclass(frozen=True)
class AwaitIssuer(Rest):
    """The issuer is missing, not ready or failing; that it works brings us back.

    Attributes:
        reason: Which of these.
        message: For people.
        is_tried_by_others: Whether others that wait for it look when it may be tried again.
    """

    reason: Reason
    message: str
    is_tried_by_others: bool = False

    def rest(self, observation: Observation, tools: Tools) -> Observation:
        """Say so."""
        return _say(observation, tools, self.reason, self.message)

    def next_look(self, observation: Observation, now: dt.datetime) -> Result:
        """Look again in a while, should the event have been lost, and when another issuer may be used."""
        result, look_at = Result.again_in(ISSUER_PAUSE_SECONDS), _choice_again(observation)
        if look_at is None or self.is_tried_by_others:
            return result
        # Thousands may wait for one that is to try: not all of them come at once.
        later = TRIAL_SPREAD * fraction_of(observation.uid, "trial") if self.reason == "IssuerUnavailable" else NOTHING
        return result.no_later_than(max(look_at - now, SHORTEST_PAUSE) + later)


@dataclass(frozen=True)
class Refuse(Rest):
    """The Certificate cannot be served as it is; only a change by its owner helps, and an event will tell of it."""

    reason: Reason
    message: str

    def rest(self, observation: Observation, tools: Tools) -> Observation:
        """Say why."""
        return _say(observation, tools, self.reason, self.message)

    def next_look(self, observation: Observation, now: dt.datetime) -> Result:  # noqa: ARG002 - as every step has it
        """Look again soon at first, then once a minute, if what stands in the way may go without an event."""
        if not _may_change_unseen(observation, self.reason):
            return Result.ON_EVENT
        earlier = observation.memory.refusals
        return Result.again_in(min(FIRST_REFUSED_PAUSE_SECONDS * 2.0 ** min(earlier, 8), LONGEST_REFUSED_PAUSE_SECONDS))


@dataclass(frozen=True)
class Pause(Rest):
    """The Certificate is paused: everything stays as it is, but its expiry is watched."""

    def rest(self, observation: Observation, tools: Tools) -> Observation:
        """Say so; as a warning when the certificate is not renewed because of it, and again before it expires."""
        warning = _pause_warning(observation, tools.clock())
        if warning is None:
            return observation.noting("Paused", "spec.paused is set.", under_way=False)
        return _say(observation, tools, "RenewalPaused", warning)

    def next_look(self, observation: Observation, now: dt.datetime) -> Result:
        """Look again when there is something to warn of."""
        facts = observation.secret.certificate if observation.secret is not None else None
        ends = facts.not_after if facts is not None else None
        times = [observation.renew_at, ends - LAST_DAY if ends is not None else None, ends]
        after = min((time for time in times if time is not None and time > now), default=None)
        return Result.ON_EVENT if after is None else Result.again_at(after, now)


def _failed_in_window(observation: Observation, now: dt.datetime) -> Note | None:
    """Return what to say of a renewal that failed and whose window has closed, or None."""
    note, renewal = observation.memory.note, observation.renewal
    if note is None or note.under_way or not observation.status.failed_attempts or renewal is None:
        return None
    if renewal.due_at is None or renewal.due_at > now or renewal.at is None:
        return None
    said = note.message.partition(NEXT_ATTEMPT)[0]
    return Note(note.reason, f"{said}{NEXT_ATTEMPT}{rfc3339(renewal.at)}, in a maintenance window.", under_way=False)


def _may_change_unseen(observation: Observation, reason: Reason) -> bool:
    """Whether a refusal depends on something that is not watched: a Secret of others, or a namespace's labels."""
    issuer = observation.issuer
    if reason == "NamesNotAllowed":
        return issuer is not None and issuer.allowed is not None and needs_labels(issuer.allowed, observation.namespace)
    # Who claims a Secret is seen in Certificates, which are watched.
    return observation.memory.unwatched is not None and reason not in {"SecretClaimed", "ClaimedByCertManager"}


def _pause_warning(observation: Observation, now: dt.datetime) -> str | None:
    facts = observation.secret.certificate if observation.secret is not None else None
    if facts is None:
        return "There is no certificate, and none is issued while spec.paused is set."
    ends = rfc3339(facts.not_after)
    if now >= facts.not_after:
        return f"The certificate expired at {ends} and is not renewed while spec.paused is set."
    if observation.renew_at is None or now < observation.renew_at:
        return None
    soon = "within a day, " if facts.not_after - now <= LAST_DAY else ""
    return f"The certificate expires {soon}at {ends} and is not renewed while spec.paused is set."


@dataclass(frozen=True)
class Park(Rest):
    """The issuer is not loaded yet (the operator has just started): say nothing, its event brings us back."""

    is_silent: ClassVar[bool] = True


@dataclass(frozen=True)
class LookAgain(Rest):
    """The spec has changed during the look: say nothing of a mixture of both."""

    is_silent: ClassVar[bool] = True

    def next_look(self, observation: Observation, now: dt.datetime) -> Result:  # noqa: ARG002 - as every step has it
        """Look again at once."""
        return Result.again_in(0)


@dataclass(frozen=True)
class Forget(Rest):
    """The Certificate is going and nothing of ours is left: do nothing."""

    is_silent: ClassVar[bool] = True


def tell_warning(observation: Observation, tools: Tools) -> None:
    """Record the warning about the renewal, if there is one that the status does not have yet."""
    warning = observation.renewal.warning if observation.renewal is not None else None
    ready = find_condition(observation.certificate.status.conditions, READY)
    if warning is None or (ready is not None and warning[1] in ready.message):
        return
    logger.warning("%s: %s: %s", observation.certificate.display_name, *warning)
    tools.recorder.record(observation.subject, "Warning", *warning)


def _choice_again(observation: Observation) -> dt.datetime | None:
    return None if observation.choice is None else observation.choice.look_at


def _say_turn(observation: Observation, tools: Tools, reason: Reason, message: str, turn: dt.datetime) -> Observation:
    """Say about when a turn comes, as an Event the first time; that it comes a little sooner or later is no news."""
    before, now, told = observation.memory.note, tools.clock(), observation.status.next_attempt_time
    if before is None or before.reason != reason:
        return _say(observation.with_status(next_attempt_time=turn), tools, reason, message)
    if told is not None and told > now and abs(turn - told) <= max((turn - now) * ABOUT, SHORTEST_PAUSE):
        return observation
    return observation.with_status(next_attempt_time=turn).noting(reason, message, under_way=False)


def _say(observation: Observation, tools: Tools, reason: Reason, message: str) -> Observation:
    before = observation.memory.note
    observation = observation.noting(reason, message, under_way=False)
    if observation.memory.note != before:
        logger.warning("%s: %s: %s", observation.certificate.display_name, reason, message)
        tools.recorder.record(observation.subject, "Warning", reason, message)
    return observation
