"""`plan`: the next step for one Certificate, from what is observed and the time. Pure: no I/O, no clock, no state.

The same observation always gives the same step, so restarts and lost or repeated events make no difference.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from certwright.acme.presets import is_public_authority
from certwright.certificates.contested import can_be_restored
from certwright.certificates.guard import UNKNOWN
from certwright.certificates.need import Need, issuance_need, renamed_issuer
from certwright.certificates.order.budget import is_scheduled, next_order_time, plausible
from certwright.certificates.order_request import unsupported_message
from certwright.certificates.ownership import ownership_problem
from certwright.certificates.plan_requests import request_step
from certwright.certificates.plan_revocations import holding_step, revocation_on_delete, revocation_step
from certwright.certificates.rehearsal import LONGEST as LONGEST_REHEARSAL
from certwright.certificates.rehearsal import is_rehearsal_due, is_rehearsing, is_superseded
from certwright.certificates.rehearsal_steps import CheckRehearsal, EndRehearsal, Rehearse
from certwright.certificates.renewal_polls import is_poll_due
from certwright.certificates.revisions.secret import are_due, may_be_kept
from certwright.certificates.revocations import must_stay_held
from certwright.certificates.secret.manifest import metadata_fingerprint
from certwright.certificates.secret.outputs import OUTPUT_NAMES, wanted_parts
from certwright.certificates.steps.adopt import Adopt
from certwright.certificates.steps.answer_challenges import AnswerChallenges
from certwright.certificates.steps.clean_up import CleanUp
from certwright.certificates.steps.finalize import Finalize
from certwright.certificates.steps.keep_revisions import KeepRevisions
from certwright.certificates.steps.poll_order import PollOrder
from certwright.certificates.steps.poll_renewal_info import PollRenewalInfo
from certwright.certificates.steps.present import Present
from certwright.certificates.steps.record_failure import RecordFailure
from certwright.certificates.steps.release import Release
from certwright.certificates.steps.replace_responses import ReplaceResponses, is_needed
from certwright.certificates.steps.reread_order import RereadOrder
from certwright.certificates.steps.resting import (
    AwaitBudget,
    AwaitCalm,
    AwaitIssuer,
    Forget,
    Park,
    Pause,
    Refuse,
    Settle,
    Sleep,
)
from certwright.certificates.steps.restore_revision import RestoreRevision
from certwright.certificates.steps.restore_secret import RestoreSecret, changed_by
from certwright.certificates.steps.resume_order import ResumeOrder
from certwright.certificates.steps.review_authorizations import ReviewAuthorizations
from certwright.certificates.steps.self_check import SelfCheck
from certwright.certificates.steps.start_order import StartOrder
from certwright.certificates.steps.step import Act
from certwright.certificates.steps.store_certificate import StoreCertificate
from certwright.certificates.steps.write_temporary import WriteTemporary
from certwright.failures import ATTEMPT_JITTER, ATTEMPT_PAUSES
from certwright.http.retry_after import MAX_RETRY_AFTER
from certwright.resources import FINALIZER
from certwright.runtime.backoff import wait_until
from certwright.text import listed, rfc3339

if TYPE_CHECKING:
    from certwright.certificates.issuer_choice import Choice
    from certwright.certificates.observation import Observation
    from certwright.certificates.open_order import OpenOrder
    from certwright.certificates.secret.facts import SecretFacts
    from certwright.certificates.steps.step import Step
    from certwright.resources import CertificateStatus
    from certwright.runtime.backoff import Backoff

CLEAN_UP_PATIENCE: Final = dt.timedelta(minutes=10)
"""How long a deleted Certificate is held for records that cannot be removed: its namespace must be deletable."""
LOADING_PAUSE: Final = dt.timedelta(seconds=2)
"""Between looks at whether an issuer is loaded."""
CLEAN_UP_TRIES: Final = 7
"""After so many failures (some four minutes) a new order waits once more for the old one's records to be removed.

The name that was mistyped, or whose zone is gone, is what people take out of a spec; its record never was in the DNS.
"""

LONGEST_ATTEMPT_PAUSE: Final = max(
    ATTEMPT_PAUSES[-1] * (1 + ATTEMPT_JITTER), dt.timedelta(seconds=MAX_RETRY_AFTER)
) + dt.timedelta(hours=1)
"""No pause between attempts is longer: a later time in a status was written with a wrong clock, or by someone else."""


def plan(observation: Observation, now: dt.datetime) -> Step:
    """Name the next step.

    Args:
        observation: All that is known.
        now: The present time.

    Returns:
        A step. After a `Rest` nothing more is to be done before its time or an event.
    """
    if observation.certificate.metadata.deletion_timestamp is not None:
        return _leave(observation, observation.certificate.metadata.deletion_timestamp, now)
    if observation.rival is UNKNOWN:
        return Park()
    requested = request_step(observation, now) or revocation_step(observation, now)
    if requested is not None:
        return requested
    if observation.certificate.spec.paused:
        return Pause()
    problem = ownership_problem(observation)
    if problem is not None:
        return _let_go_first(observation, now) or Refuse(problem.reason, problem.message)
    need = issuance_need(observation, now)
    if need is None:
        return _keep(observation, now)
    if is_superseded(observation):
        return EndRehearsal(f"It was not done when {need.message}.")
    return _issue(observation, need, now)


def _leave(observation: Observation, deleted: dt.datetime, now: dt.datetime) -> Step:
    # By the API server's clock: if ours is far behind, only the number of tries is sure to come to an end.
    behind = deleted - now > CLEAN_UP_PATIENCE
    deadline = deleted + CLEAN_UP_PATIENCE
    if now < deadline and not (behind and _tried_enough(observation)):
        step = _let_go(observation, now) or Forget()
        # A pause between two tries holds it no longer than that.
        return Sleep(deadline) if isinstance(step, Sleep) and step.until > deadline else step
    return _release_first(observation, now) or Forget()


def _let_go(observation: Observation, now: dt.datetime) -> Step | None:
    """Revoke and remove what is outside, neither of which waits for the other; then the finalizer."""
    steps = [revocation_on_delete(observation, now), _clean_up_first(observation, now)]
    for step in steps:
        if isinstance(step, Act):
            return step
    waits = [step for step in steps if step is not None]
    sleeps = [step for step in waits if isinstance(step, Sleep)]
    if sleeps:
        return min(sleeps, key=lambda sleep: sleep.until)
    return waits[0] if waits else _release_first(observation, now)


def _keep(observation: Observation, now: dt.datetime) -> Step:
    """The Secret is right: clean up what led to it, then rest until the renewal."""
    secret = observation.secret
    if secret is None or observation.renewal is None:
        raise AssertionError("no need to issue, yet no certificate: issuance_need is wrong")
    rehearsing = _rehearse(observation, now)
    if rehearsing is not None:
        return rehearsing
    if observation.status.order is not None:
        return _clean_up_first(observation, now) or _after(observation.memory.cleaning_up, now) or CleanUp()
    outputs = _outputs_to_write(observation, secret)
    is_as_written = secret.metadata_fingerprint == metadata_fingerprint(observation.certificate)
    if outputs is not None or not is_as_written or renamed_issuer(observation, secret) is not None:
        lost = f"Secret {secret.name} has lost {outputs or 'labels, annotations or the owner that Certwright wrote'}"
        if observation.memory.alteration is not None:
            lost = f"{lost}{observation.memory.alteration.said}"
        return _after(observation.memory.cleaning_up, now) or _await_calm(observation, lost, now) or Adopt(outputs)
    held = holding_step(observation, now)
    if held is not None:
        return held
    released = _release_first(observation, now)
    if released is None and are_due(observation):
        released = _after(observation.memory.cleaning_up, now) or KeepRevisions()
    if released is None and is_poll_due(observation, now):
        released = PollRenewalInfo()
    return released or Settle(observation.renew_at)


def _rehearse(observation: Observation, now: dt.datetime) -> Step | None:
    """Name the next step of a rehearsal; None if there is none, or it is over."""
    rehearsal, state, order = observation.rehearsal_issuer, observation.rehearsal_state, observation.status.order
    begins = state is None and order is None and is_rehearsal_due(observation, now)
    if rehearsal is None or not (begins or is_rehearsing(observation)):
        return None
    if rehearsal.view.state == "unknown":
        return Sleep(now + LOADING_PAUSE)
    if rehearsal.ready is None:
        return EndRehearsal(rehearsal.view.message or f"{rehearsal.key} is not ready.")
    refusal = rehearsal.policy.refusal(observation.identifiers) if rehearsal.policy is not None else None
    if refusal is not None:
        return EndRehearsal(refusal)
    pause = _after(observation.memory.rehearsing, now)
    if pause is not None:
        return pause
    tries_again = order is None and observation.memory.rehearsing.failures > 0
    if begins or tries_again:
        return Rehearse(StartOrder("Rehearsal", "the renewal is tried ahead of time", is_scheduled=True))
    if state is not None and not state.started_time <= now <= state.started_time + LONGEST_REHEARSAL:
        return EndRehearsal("It was not done within two hours.")
    return _continue_rehearsal(observation, now)


def _continue_rehearsal(observation: Observation, now: dt.datetime) -> Step:
    order, open_order = observation.status.order, observation.memory.open_order
    rehearsing = observation.as_rehearsal()
    if order is None or order.url is None or rehearsing.request is None:
        return EndRehearsal("It was interrupted before its order was known.")
    if order.spec_hash != rehearsing.request.fingerprint:
        return EndRehearsal("The spec or the issuer was changed meanwhile.")
    step = ResumeOrder() if open_order is None else _continue(open_order, now)
    if isinstance(step, StoreCertificate):
        step = CheckRehearsal()
    return Rehearse(step) if isinstance(step, Act) else step


def _outputs_to_write(observation: Observation, secret: SecretFacts) -> str | None:
    """Name what is to be written besides the certificate, labels and annotations; None if nothing is."""
    look, encoding = observation.memory.outputs, observation.certificate.spec.private_key.encoding
    if encoding is not None and secret.key_encoding not in (None, encoding) and not secret.immutable:
        return f"the {encoding} encoding of the key"
    if look is None or not look.is_due:
        return None
    parts = wanted_parts(observation.certificate.spec)
    return listed([OUTPUT_NAMES[part] for part in parts], none="nothing else made from the certificate")


def _issue(observation: Observation, need: Need, now: dt.datetime) -> Step:
    if need.refusal is not None:
        return _let_go_first(observation, now) or Refuse(need.refusal.reason, need.refusal.message)
    view, memory = observation.issuer_view, observation.memory
    restored = _restore(observation, need, now)
    if restored is not None:
        return restored
    if view.state == "unknown":
        return Park()
    if view.state != "ready" or observation.request is None:
        return AwaitIssuer("IssuerNotFound" if view.state == "missing" else "IssuerNotReady", view.message)
    if observation.choice is not None and observation.choice.candidate.is_held:
        return AwaitIssuer("IssuerUnavailable", _waiting_for(observation.choice))
    refusal = observation.policy.refusal(observation.identifiers) if observation.policy is not None else None
    if refusal is not None:
        return _let_go_first(observation, now) or Refuse("NamesNotAllowed", refusal)
    if observation.request.unsupported and is_public_authority(observation.request.server):
        refusal = unsupported_message(observation.request)
        return _let_go_first(observation, now) or Refuse("ContentsNotSupported", refusal)
    order = observation.status.order
    if order is not None and order.state == "invalid" and order.spec_hash == observation.request.fingerprint:
        pause = _attempt_pause(observation.status, now)
        tidy = _clean_up_first(observation, now, new_order_waits=pause is None)
        if tidy is None and pause is not None:
            tidy = _release_first(observation, now) or pause
        if tidy is not None:
            return tidy
        order = None
    if order is not None and (order.url is None or order.spec_hash != observation.request.fingerprint):
        # It is for another spec, or was given up: see `abandon_order`.
        return (
            _order_not_loaded(observation, now)
            or _after(memory.cleaning_up, now)
            or CleanUp(last_try=_tried_enough(observation))
        )
    pause = _after(memory.issuing, now)
    if pause is not None:
        return pause
    if order is None:
        return _order(observation, need, now)
    return _go_on(observation, now)


def _wants_temporary(observation: Observation) -> bool:
    """Whether a certificate of our own is to be there meanwhile; where one was issued before, none takes its place."""
    if not observation.certificate.spec.temporary_certificate or observation.memory.wrote_temporary:
        return False
    return observation.secret is None and observation.status.revision == 0


def _go_on(observation: Observation, now: dt.datetime) -> Step:
    """Name the next step of an order that is in the status."""
    open_order = observation.memory.open_order
    if open_order is None:
        return ResumeOrder()
    if is_needed(observation, open_order):
        return _after(observation.memory.cleaning_up, now) or ReplaceResponses()
    return _continue(open_order, now)


def _restore(observation: Observation, need: Need, now: dt.datetime) -> Step | None:
    """Write what was issued, just now or earlier, to a Secret that something else has deleted or spoiled.

    Where nothing was, by choice, a certificate of our own.
    """
    step: Step | None = None
    if can_be_restored(observation, now):
        step = RestoreSecret(need.message)
    elif may_be_kept(observation, need, now):
        step = RestoreRevision(need.message)
    if step is None:
        return WriteTemporary() if _wants_temporary(observation) else None
    return _after(observation.memory.cleaning_up, now) or _await_calm(observation, need.message, now) or step


def _order(observation: Observation, need: Need, now: dt.datetime) -> Step:
    """Order, unless that was done too often of late."""
    scheduled = is_scheduled(observation, need, now)
    until = None if scheduled else next_order_time(observation.status.recent_orders, now)
    if until is None:
        return StartOrder(need.reason, need.message, scheduled)
    placed = len(plausible(observation.status.recent_orders, now))
    message = (
        f"{placed} orders were placed within a day, and no other one is placed before {rfc3339(until)}. One is needed "
        f"again because {need.message}.{changed_by(observation)} Find out what deletes or changes the Secret, the spec "
        "or the issuer."
    )
    return _release_first(observation, now) or AwaitBudget(until, message)


def _await_calm(observation: Observation, what: str, now: dt.datetime) -> Step | None:
    """Wait before a write that undoes once more what something else did to the Secret."""
    until = observation.memory.contested.pause(now)
    if until is None:
        return None
    message = (
        f"Something else deletes or changes Secret {observation.certificate.spec.secret_name} each time the "
        f"operator writes it: "
        f"{what}.{changed_by(observation)} The operator writes it again, at most once in five minutes. Find the "
        "cause, and stop it."
    )
    return AwaitCalm(until, message)


def _continue(open_order: OpenOrder, now: dt.datetime) -> Step:
    """Name the next step of an open order (RFC 8555 section 7.1.6)."""
    if open_order.doubted and open_order.order.status != "invalid":
        return RereadOrder()
    match open_order.order.status:
        case "invalid":
            return RecordFailure()
        case "pending" if open_order.responses and open_order.presented_at is None:
            return Present()
        case "pending" if open_order.challenges:
            seen = open_order.propagated
            return _next_look(open_order, now) or (AnswerChallenges() if seen else SelfCheck())
        case "pending" if open_order.is_review_due(now):
            return ReviewAuthorizations()
        case "ready" if not open_order.finalized:
            return _not_before(open_order.key_due, now) or Finalize()
        case "valid":
            return _not_before(open_order.usable_from, now) or StoreCertificate()
        case _:
            return _next_look(open_order, now) or PollOrder()


def _next_look(open_order: OpenOrder, now: dt.datetime) -> Sleep | None:
    return _not_before(open_order.next_look, now, since=open_order.rests_since)


def _let_go_first(observation: Observation, now: dt.datetime) -> Step | None:
    """Remove what is outside, then the finalizer; None if neither is there."""
    return _clean_up_first(observation, now) or _release_first(observation, now)


def _clean_up_first(observation: Observation, now: dt.datetime, *, new_order_waits: bool = False) -> Step | None:
    order = observation.status.order
    if order is None or not any(authorization.presented for authorization in order.authorizations):
        return None
    if observation.issuer_view.state == "unknown":
        return Park()
    return (
        _order_not_loaded(observation, now)
        or _after(observation.memory.cleaning_up, now)
        or CleanUp(keep_order=order.state == "invalid", last_try=new_order_waits and _tried_enough(observation))
    )


def _order_not_loaded(observation: Observation, now: dt.datetime) -> Step | None:
    """Wait for the issuer that the order was placed at, which may be none of the spec's any more: none wakes us."""
    view = observation.order_view
    return Sleep(now + LOADING_PAUSE) if view is not None and view.state == "unknown" else None


def _waiting_for(choice: Choice) -> str:
    candidate = choice.candidate
    return (
        f"{candidate.key} is currently not used: {candidate.why_not}. One order at a time tries it, and the others "
        "follow once it works."
    )


def _tried_enough(observation: Observation) -> bool:
    return observation.memory.cleaning_up.failures >= CLEAN_UP_TRIES


def _release_first(observation: Observation, now: dt.datetime) -> Step | None:
    if FINALIZER not in observation.certificate.metadata.finalizers or must_stay_held(observation):
        return None
    return _after(observation.memory.cleaning_up, now) or Release()


def _attempt_pause(status: CertificateStatus, now: dt.datetime) -> Sleep | None:
    """Return the pause between two attempts that the status asks for, as far as it can be believed."""
    time, failed = status.next_attempt_time, status.last_failure_time
    if time is not None and time - min(failed or now, now) > LONGEST_ATTEMPT_PAUSE:
        return None
    return _not_before(time, now, since=failed)


def _after(backoff: Backoff, now: dt.datetime) -> Sleep | None:
    return _not_before(backoff.not_before, now, since=backoff.since)


def _not_before(time: dt.datetime | None, now: dt.datetime, *, since: dt.datetime | None = None) -> Sleep | None:
    until = wait_until(time, now, since=since)
    return None if until is None else Sleep(until)
