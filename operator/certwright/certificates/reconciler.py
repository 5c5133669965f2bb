"""reconcile(key): observe, plan, act, until there is nothing to do now; then one status write and the next look."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from typing import TYPE_CHECKING, Final

from certwright.certificates import order_acts, order_opening, secret_acts, solver_acts
from certwright.certificates.case import Case, Memory
from certwright.certificates.catching_up import CatchingUp
from certwright.certificates.ownership import rival
from certwright.certificates.plan import plan
from certwright.certificates.proofs import presented_proofs
from certwright.certificates.report import last_note
from certwright.certificates.saving import release, save_unless_quiet
from certwright.certificates.secret_facts import SecretFacts
from certwright.certificates.setback import take_failure
from certwright.certificates.steps import (
    Adopt,
    AnswerChallenges,
    AwaitIssuer,
    CleanUp,
    Finalize,
    Forget,
    Park,
    PollOrder,
    Present,
    RecordFailure,
    Refuse,
    Release,
    Resting,
    ResumeOrder,
    SelfCheck,
    Settle,
    Sleep,
    StartOrder,
    Step,
    StoreCertificate,
)
from certwright.certificates.wanted import Wanted
from certwright.failures import classify
from certwright.issuers.registry import IssuerView, issuer_key
from certwright.kube.errors import Conflict, KubeError, NotFound
from certwright.resources import Certificate
from certwright.runtime.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.certificates.store import Certificates
    from certwright.certificates.tools import Tools
    from certwright.kube.store import Store
    from certwright.runtime.key import Key

logger = logging.getLogger(__name__)

MAX_STEPS: Final = 50
"""An issuance takes about ten. More than this in one pass is a defect of ours, which must not become a busy loop."""
DEFECT_PAUSE_SECONDS: Final = 60.0
ISSUER_PAUSE_SECONDS: Final = 300.0
FIRST_REFUSED_PAUSE_SECONDS: Final = 5.0
LONGEST_REFUSED_PAUSE_SECONDS: Final = 60.0
"""A Secret that is not ours is not watched, so its going is seen by looking: often at first, while people are at it."""
UNWATCHED: Final = dt.timedelta(seconds=30)


class CertificateReconciler:
    """Looks at one Certificate at a time, as often as its events and its times ask for.

    Args:
        tools: What acts are done with.
        certificates: The watched Certificates.
        secrets: The watched Secrets: those that Certwright wrote.
        look_at_issuer: Asks for a look at an issuer that is not loaded yet.
        account_lost: Told when a CA does not know an issuer's account any more.
    """

    def __init__(
        self,
        *,
        tools: Tools,
        certificates: Certificates,
        secrets: Store[SecretFacts],
        look_at_issuer: Callable[[Key], None],
        account_lost: Callable[[Key], None],
    ) -> None:
        self._tools = tools
        self._catching_up = CatchingUp(tools)
        self._certificates = certificates
        self._secrets = secrets
        self._look_at_issuer = look_at_issuer
        self._account_lost = account_lost
        self._memories: dict[str, Memory] = {}

    def forget(self, uid: str) -> None:
        """Drop what is remembered of a Certificate that is gone."""
        self._memories.pop(uid, None)
        self._tools.ledger.forget(uid)
        self._tools.solvers.forget(uid)

    def issuer_changed(self, key: Key) -> None:
        """Let the Certificate try again at once: what stood in the way may be gone."""
        certificate = self._certificates.get(key)
        memory = self._memories.get(certificate.metadata.uid) if certificate else None
        if memory is not None:
            memory.clear_setbacks()
            memory.clean_up_at = None
            if memory.flight is not None and memory.flight.challenges:
                memory.flight.presented_at = None  # its solvers may be others now

    async def reconcile(self, key: Key) -> Result:
        """Look at a Certificate; return when to look again."""
        certificate = self._certificates.get(key)
        if certificate is None:
            return Result.ON_EVENT
        try:
            case = await self._open(certificate)
            if self._catching_up.is_needed(case):
                await self._catching_up.look(case)
                case = await self._open(self._certificates.get(key) or certificate)
            step = await self._advance(case)
            if not isinstance(step, Forget | Park):
                self._tell(case, step)
                await save_unless_quiet(case, self._tools)
        except (NotFound, Conflict) as error:
            logger.info("%s: %s", key, error)
            return await self._look_past_the_watch(key, certificate)
        except KubeError as error:
            logger.warning("%s: %s", key, error)
            return Result.again_in(DEFECT_PAUSE_SECONDS / 6)
        self._tools.metrics.show(case.certificate)
        case.memory.refusals = case.memory.refusals + 1 if isinstance(step, Refuse) else 0
        return self._until_expiry(case, self._result(step, case.memory.refusals))

    async def _look_past_the_watch(self, key: Key, certificate: Certificate) -> Result:
        """Read an object that seems to be gone: a watch that begins anew does not tell what was deleted meanwhile."""
        try:
            found = await self._tools.kube_api.read_custom(Certificate.PLURAL, key.namespace, key.name)
        except KubeError as error:
            logger.warning("%s: %s", key, error)
            return Result.again_in(LONGEST_REFUSED_PAUSE_SECONDS)
        metadata = certificate.metadata
        if found is not None and found["metadata"]["uid"] == metadata.uid:
            return Result.again_in(LONGEST_REFUSED_PAUSE_SECONDS)
        logger.info("%s is gone", certificate.display_name)
        self._certificates.remove({**metadata.identity, "resourceVersion": metadata.resource_version})
        self.forget(metadata.uid)
        if found is None:
            return Result.ON_EVENT
        self._tools.on_written(found)
        return Result.again_in(0)

    async def _open(self, certificate: Certificate) -> Case:
        memory = self._memories.get(certificate.metadata.uid)
        if memory is None:
            status = certificate.status
            memory = Memory(note=last_note(status), generation=status.observed_generation or 0)
            self._memories[certificate.metadata.uid] = memory
        if memory.generation != certificate.metadata.generation:
            memory.generation = certificate.metadata.generation
            memory.clear_setbacks()
            if memory.note is not None and not memory.note.under_way:
                memory.note = None
        key = issuer_key(certificate)
        view = self._tools.registry.view(key)
        if view.state == "unknown":
            self._look_at_issuer(key)
        issuer = self._tools.registry.ready(key)
        secret = await self._secret(certificate, memory)
        namespace = certificate.metadata.namespace or ""
        claimants = [
            other
            for other in self._certificates.of_secret(namespace, certificate.spec.secret_name)
            if other.metadata.deletion_timestamp is None
        ]
        return Case(
            certificate=certificate,
            status=certificate.status,
            secret=secret,
            memory=memory,
            issuer_view=view,
            issuer=issuer,
            wanted=Wanted.of(certificate, issuer.spec, issuer.account_url) if issuer else None,
            rival=rival(certificate, claimants, secret),
        )

    async def _secret(self, certificate: Certificate, memory: Memory) -> SecretFacts | None:
        """The Secret as the watch shows it; one that is not watched is read, and remembered for half a minute."""
        namespace, name = certificate.metadata.namespace or "", certificate.spec.secret_name
        watched = self._secrets.get(namespace, name)
        if watched is not None:
            memory.unwatched = None
            return watched
        now = self._tools.clock()
        if memory.unwatched is None or memory.refusals or now - memory.unwatched[1] > UNWATCHED:
            found = await self._tools.kube_api.read_secret(namespace, name)
            facts = await asyncio.to_thread(SecretFacts.of, found) if found is not None else None
            memory.unwatched = (facts, now)
        return memory.unwatched[0]

    async def _advance(self, case: Case) -> Step:
        for _ in range(MAX_STEPS):
            now = self._tools.clock()
            step = plan(case.observed(), now)
            if isinstance(step, Resting):
                return step
            self._tools.leadership.check()
            logger.debug("%s: %s", case.certificate.display_name, step)
            try:
                await self._act(case, step)
            except Exception as error:  # classified, shown in the status, logged if it is a defect of ours
                failure = classify(error, self._tools.clock())
                if not failure.expected:
                    logger.exception("%s: an unforeseen error in %s", case.certificate.display_name, step)
                take_failure(case, self._tools, step, failure)
                if failure.kind == "account":
                    self._account_lost(issuer_key(case.certificate))
                    case.issuer, case.wanted = None, None
                    case.issuer_view = IssuerView("not-ready", failure.message)
        logger.error("%s: no rest after %d steps, the last was %s", case.certificate.display_name, MAX_STEPS, step)
        return Sleep(self._tools.clock() + dt.timedelta(seconds=DEFECT_PAUSE_SECONDS))

    async def _act(self, case: Case, step: Step) -> None:
        tools = self._tools
        match step:
            case StartOrder():
                await order_opening.start_order(case, tools, step)
            case ResumeOrder():
                await order_opening.resume_order(case, tools)
            case Present():
                await solver_acts.present(case, tools)
            case SelfCheck():
                await solver_acts.self_check(case, tools)
            case AnswerChallenges():
                await order_acts.answer_challenges(case, tools)
            case PollOrder():
                await order_acts.poll_order(case, tools)
            case Finalize():
                await order_acts.finalize(case, tools)
            case StoreCertificate():
                await secret_acts.store_certificate(case, tools)
            case RecordFailure():
                await order_acts.record_failure(case, tools)
            case CleanUp():
                await solver_acts.clean_up(case, tools, step)
            case Adopt():
                await secret_acts.adopt(case, tools)
            case Release():
                await self._release(case)
            case _:
                raise AssertionError(f"no act for {step}")

    async def _release(self, case: Case) -> None:
        if presented_proofs(case.status):
            solver_acts.leave_behind(case, self._tools, "The Certificate goes all the same.")
        await release(case, self._tools)
        case.memory.tidied_up()

    def _tell(self, case: Case, step: Step) -> None:
        """Leave a note of where things rest, and an Event where that is news."""
        match step:
            case Settle():
                case.memory.note = None
                # Attempts that failed are history, also when the spec went back to what the Secret holds.
                case.status = case.status.replace(failed_attempts=0, last_failure_time=None, next_attempt_time=None)
                case.memory.clear_setbacks()
            case Sleep():
                case.change_order(next_look_time=step.until)
            case AwaitIssuer() | Refuse():
                before = case.memory.note
                case.note(step.reason, step.message, under_way=False)
                if case.memory.note != before:
                    logger.warning("%s: %s: %s", case.certificate.display_name, step.reason, step.message)
                    self._tools.recorder.record(case.subject, "Warning", step.reason, step.message)

    def _until_expiry(self, case: Case, result: Result) -> Result:
        """Look no later than when the certificate ends: from then on it is not Ready, whatever else is waited for."""
        facts = case.secret.certificate if case.secret is not None else None
        left = facts.not_after - self._tools.clock() if facts is not None else dt.timedelta()
        return result.no_later_than(left) if left > dt.timedelta() else result

    def _result(self, step: Step, refusals: int) -> Result:
        now = self._tools.clock()
        match step:
            case Sleep():
                return Result.again_at(step.until, now)
            case Settle():
                return Result.again_at(step.renew_at, now)
            case Refuse():
                pause = FIRST_REFUSED_PAUSE_SECONDS * 2.0 ** min(refusals - 1, 8)
                return Result.again_in(min(pause, LONGEST_REFUSED_PAUSE_SECONDS))
            case AwaitIssuer():
                return Result.again_in(ISSUER_PAUSE_SECONDS)
            case _:
                return Result.ON_EVENT
