"""reconcile(key): observe, plan and act until there is nothing to do now; then write the status once."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from certwright.acme import AccountDoesNotExist, AcmeError, RateLimited, Unauthorized
from certwright.certificates import budgeted, rate_limited
from certwright.certificates.after_outage import Returns
from certwright.certificates.belief import believed
from certwright.certificates.compromised import CompromisedKeys, after_reports
from certwright.certificates.contested import as_written
from certwright.certificates.failed_step import after_failure
from certwright.certificates.issuer_choice import LONG_RATE_LIMIT, Candidate, choose, patience
from certwright.certificates.issuer_trials import Triers
from certwright.certificates.need import issuance_need
from certwright.certificates.observation import Memory, Observation, UnwatchedSecret, changed
from certwright.certificates.order.responses import presented_responses, records_of
from certwright.certificates.order_request import OrderRequest, requested_identifiers
from certwright.certificates.orphans import records_in_place
from certwright.certificates.ownership import find_other_owner
from certwright.certificates.plan import plan
from certwright.certificates.plan_requests import next_request_look
from certwright.certificates.progress import Progress
from certwright.certificates.rehearsal import is_rehearsal_due, is_rehearsing
from certwright.certificates.rehearsal_issuer import RehearsalIssuer
from certwright.certificates.revocations import next_revocation_look
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.secret.issued import MAX_KEPT
from certwright.certificates.secret.keystores import look_at_outputs
from certwright.certificates.secret.password_versions import PasswordVersions
from certwright.certificates.status import RENEWAL_REASONS, last_note, save_unless_quiet
from certwright.certificates.steps.resting import (
    LONGEST_REFUSED_PAUSE_SECONDS,
    AwaitIssuer,
    AwaitRateLimit,
    LookAgain,
    Refuse,
    RestUntil,
    Sleep,
)
from certwright.certificates.steps.start_order import StartOrder
from certwright.certificates.steps.step import Rest
from certwright.certificates.steps.store_certificate import StoreCertificate
from certwright.certificates.store import certificate_key
from certwright.certificates.takeover import Takeover
from certwright.failures import IssuanceError, classify
from certwright.issuers.account import is_about_the_signature, why_unusable
from certwright.issuers.allowed_domains import needs_labels, policy_for
from certwright.issuers.budgets import BudgetWait
from certwright.issuers.circuits import Circuits, Obstacle
from certwright.issuers.rate_limits import Asker, RateLimitWait
from certwright.issuers.registry import IssuerView, issuer_keys, key_of
from certwright.kube.errors import Conflict, KubeError, NotFound
from certwright.resources import UNOBSERVED, Certificate
from certwright.runtime.aside import SLOW_CA_SECONDS, aside_if_slow, is_aside, time_limit
from certwright.runtime.labour import in_thread
from certwright.runtime.result import Result
from certwright.text import listed, rfc3339

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from certwright.certificates.guard import Rival
    from certwright.certificates.secret.given import Secrets
    from certwright.certificates.secret.origin import ChainOrigin
    from certwright.certificates.steps.step import Act, Step
    from certwright.certificates.store import Certificates
    from certwright.certificates.tools import Tools
    from certwright.failures import Failure
    from certwright.issuers.allowed_domains import DomainPolicy
    from certwright.issuers.circuits import Work
    from certwright.issuers.left_records import LeftRecord
    from certwright.issuers.registry import ReadyIssuer
    from certwright.resources import OrderStatus
    from certwright.runtime.key import Key

logger = logging.getLogger(__name__)

MAX_STEPS: Final = 50
"""An issuance takes about ten. More than this in one pass is a defect of ours, which must not become a busy loop."""
DEFECT_PAUSE_SECONDS: Final = 60.0
API_SERVER_PAUSE_SECONDS: Final = 10.0
LONGEST_STEP_SECONDS: Final = 120.0
"""A step that takes longer is interrupted: it would hold a worker for as long as a slow CA or DNS server likes."""
LONGEST_ASIDE_SECONDS: Final = 240.0
"""The same for a step that waits for a DNS provider and holds no worker: hundreds of records may be before its own."""
ACCOUNT_SECONDS: Final = 30.0
"""For reading an account whose request was refused."""
TURN_SECONDS: Final = 15.0
"""After so long a look is put back between two steps, behind what waits."""
TRIAL_PAUSE: Final = dt.timedelta(seconds=1)
"""After which a Certificate chooses its issuer again when another one tries the one that it chose."""
JUDGEMENTS: Final = frozenset({"ValidationFailed", "RejectedIdentifier", "CAAForbids"})
"""Failures by which a CA shows that it works."""
UNWATCHED_FOR: Final = dt.timedelta(seconds=30)
"""How long what was read of a Secret that is not watched is good enough to act on,"""
UNWATCHED_AT_REST: Final = dt.timedelta(minutes=10)
"""and to rest on: those who wait for a CA are thousands at times, and look again and again."""


class CertificateReconciler:
    """Looks at one Certificate at a time, as often as its events and its times ask for.

    Args:
        tools: What steps are done with.
        certificates: The watched Certificates.
        secrets: The watched Secrets: those that Certwright wrote.
        look_at_issuer: Asks for a look at an issuer that is not loaded yet.
        account_lost: Told when a CA does not know an issuer's account any more.
        account_refused: Told when a CA does not let it do anything any more, and what the CA said.
        action_required: Told when a CA wants its owner to do something first, such as to agree to its terms.
        circuits: Which issuers' CAs work.
        alternatives_wanted: Asks for a look at all Certificates that list an issuer and others.
        compromised: Which private keys others have.
        rival_of: Returns what of cert-manager keeps a Certificate from its Secret.
    """

    def __init__(
        self,
        *,
        tools: Tools,
        certificates: Certificates,
        secrets: Secrets,
        look_at_issuer: Callable[[Key], None],
        account_lost: Callable[[Key], None],
        account_refused: Callable[[Key, str], None],
        action_required: Callable[[Key], None],
        circuits: Circuits | None = None,
        alternatives_wanted: Callable[[Key], None] | None = None,
        compromised: CompromisedKeys | None = None,
        rival_of: Callable[[Certificate], Rival | None] = lambda _certificate: None,
    ) -> None:
        self._tools = tools
        self._rival_of = rival_of
        self._takeover = Takeover(tools)
        self._certificates = certificates
        self._secrets = secrets
        self._look_at_issuer = look_at_issuer
        self._account_lost = account_lost
        self._account_refused = account_refused
        self._action_required = action_required
        self._circuits = circuits or Circuits()
        self._compromised = compromised or CompromisedKeys(certificates, secrets)
        self._alternatives_wanted = alternatives_wanted or (lambda _key: None)
        self._passwords = PasswordVersions()
        self._memories: dict[str, Memory] = {}
        self._with_issued: dict[str, None] = {}
        self._with_changed_issuer: set[str] = set()
        self._recounted: set[str] = set()
        self._rate_limited: dict[str, Key] = {}
        self._released: set[str] = set()
        self._returns = Returns()
        self._triers = Triers()

    def records_in_place(self) -> list[LeftRecord]:
        """Return the records of orders that this process works on."""
        found: list[LeftRecord] = []
        for certificate in self._certificates:
            uid = certificate.metadata.uid
            memory = self._memories.get(uid)
            if memory is not None and memory.progress is not None:
                found += records_in_place(certificate_key(certificate), uid, memory, self._tools.registry)
        return found

    def forget(self, key: Key, uid: str) -> None:
        """Drop what is remembered of a Certificate that is gone; what it has in the DNS is left to the sweep.

        There is something if its finalizer was taken off by something else.
        """
        memory = self._memories.pop(uid, None)
        if memory is not None:
            self._leave(key, uid, memory)
        self._with_issued.pop(uid, None)
        self._with_changed_issuer.discard(uid)
        self._released.discard(uid)
        if self._rate_limited.pop(uid, None) is not None and memory is not None and memory.issuer_key is not None:
            issuer = self._tools.registry.ready(memory.issuer_key)
            if issuer is not None:
                issuer.limits.forget(Asker(key.namespace, uid), self._tools.clock())
        self._returns.forget(uid)
        self._tools.budgets.forget(uid)
        self._tools.ledger.forget(uid)
        self._tools.presenters.forget(uid)
        self._tools.keys.forget(uid)

    def _leave(self, key: Key, uid: str, memory: Memory) -> None:
        in_place = records_in_place(key, uid, memory, self._tools.registry)
        now, left = self._tools.clock(), self._tools.left
        left.note([replace(one, cause="CertificateGone", since=now) for one in in_place], memory.presenters)
        left.order_ended(uid)

    def start_over(self) -> None:
        """Drop what is remembered of every Certificate: it may be about versions that there are no more."""
        self._tools.left.note(self.records_in_place())
        self._tools.left.start_over()
        self._memories.clear()
        self._with_changed_issuer.clear()

    def issuer_changed(self, key: Key) -> None:
        """Have the next look at the Certificate try again at once: what stood in the way may be gone."""
        certificate = self._certificates.get(key)
        # A look may be under way: what it remembers at its end must not undo this.
        if certificate is not None and certificate.metadata.uid in self._memories:
            self._with_changed_issuer.add(certificate.metadata.uid)

    def release(self, uids: Iterable[str]) -> list[Key]:
        """Have those try at their next look who wait for a rate limit, and return their keys."""
        waiting = {uid: self._rate_limited[uid] for uid in uids if uid in self._rate_limited}
        self._released.update(waiting)
        return list(waiting.values())

    def go_on(self, issuer: Key) -> list[tuple[Key, float]]:
        """Let the Certificates go on that waited for an issuer's CA; return them, and after how many seconds each."""
        keys = self.waiting_for(issuer)
        uids = {found.metadata.uid: key for key in keys if (found := self._certificates.get(key)) is not None}
        turns = self._returns.begin(issuer, uids, self._tools.clock())
        return [(uids[uid], after.total_seconds()) for uid, after in turns.items()]

    def waiting_for(self, issuer: Key) -> list[Key]:
        """Return the keys of the Certificates that wait for an issuer's CA to work again, namespaces in turn."""
        of_namespace: Counter[str] = Counter()
        found = []
        for key in self._certificates.of_issuer(issuer):
            certificate = self._certificates.get(key)
            memory = self._memories.get(certificate.metadata.uid) if certificate is not None else None
            if memory is None or memory.note is None or memory.note.reason != "IssuerUnavailable":
                continue
            found.append((of_namespace[key.namespace], key))
            of_namespace[key.namespace] += 1
        return [key for _, key in sorted(found)]

    def issuer_in_use(self, certificate: Certificate) -> Key:
        """Return the issuer that a Certificate used when it was last looked at; the first one if it was not."""
        memory, keys = self._memories.get(certificate.metadata.uid), issuer_keys(certificate)
        return memory.issuer_key if memory is not None and memory.issuer_key in keys else keys[0]

    async def reconcile(self, key: Key) -> Result:
        """Look at a Certificate; return when to look again."""
        certificate = self._certificates.get(key)
        if certificate is None:
            return Result.ON_EVENT
        try:
            observation = await self._observe(certificate)
            if self._takeover.is_needed(observation):
                await self._takeover.read_again(observation)
                if observation.uid in self._memories:
                    self._memories[observation.uid] = changed(observation.memory, caught_up=True)
                observation = await self._observe(self._certificates.get(key) or certificate)
            observation, step = await self._advance(observation)
            if not step.is_silent:
                observation = self._keep(step.rest(observation, self._tools))
                observation = self._keep(await save_unless_quiet(observation, self._tools))
        except (NotFound, Conflict) as error:
            logger.info("%s: %s", key, error)
            return await self._look_past_the_watch(key, certificate)
        except KubeError as error:
            logger.warning("%s: %s", key, error)
            return Result.again_in(API_SERVER_PAUSE_SECONDS)
        self._show(observation)
        if isinstance(step, AwaitRateLimit):
            self._rate_limited[observation.uid] = key
        elif not isinstance(step, Sleep):  # a look in between ends in one, until the same time
            self._rate_limited.pop(observation.uid, None)
        return self._next_look(observation, step)

    def _next_look(self, observation: Observation, step: Rest) -> Result:
        now = self._tools.clock()
        step = self._among_triers(step, observation)
        result = step.next_look(observation, now).saying(type(step).__name__)
        refusals = observation.memory.refusals + 1 if isinstance(step, Refuse) else 0
        if refusals != observation.memory.refusals:
            self._keep(observation.remember(refusals=refusals))
        for look in (next_request_look(observation, now), next_revocation_look(observation, now)):
            if look is not None:
                result = result.no_later_than(look - now)
        # No later than when the certificate ends: from then on it is not Ready, whatever else is waited for.
        facts = observation.secret.certificate if observation.secret is not None else None
        if facts is not None and facts.not_after > now:
            return result.no_later_than(facts.not_after - now)
        return result

    def _show(self, observation: Observation) -> None:
        """Have the metrics show the Certificate, unless they show this version of it."""
        memory = self._memories.get(observation.uid)
        if memory is not None and memory.shown is observation.certificate:
            return
        self._tools.metrics.show(observation.certificate)
        if memory is not None:
            self._memories[observation.uid] = changed(memory, shown=observation.certificate)

    def _among_triers(self, step: Rest, observation: Observation) -> Rest:
        """Have no more than a few look when their issuer may be tried. Those with another one may change over then."""
        look_at = observation.choice.look_at if observation.choice is not None else None
        if not isinstance(step, AwaitIssuer) or look_at is None or observation.has_alternatives:
            return step
        if self._triers.is_one(observation.uid, observation.issuer_key, look_at):
            return step
        return replace(step, is_tried_by_others=True)

    async def _look_past_the_watch(self, key: Key, certificate: Certificate) -> Result:
        """Read an object that seems to be gone: a watch that begins again does not tell what was deleted meanwhile."""
        try:
            found = await self._tools.kube_api.read_custom(Certificate.PLURAL, key.namespace, key.name)
        except KubeError as error:
            logger.warning("%s: %s", key, error)
            return Result.again_in(LONGEST_REFUSED_PAUSE_SECONDS)
        metadata = certificate.metadata
        if found is not None and found["metadata"]["uid"] == metadata.uid:
            return Result.again_in(LONGEST_REFUSED_PAUSE_SECONDS)
        logger.info("%s was deleted", certificate.display_name)
        self._certificates.remove({**metadata.identity, "resourceVersion": metadata.resource_version})
        self.forget(key, metadata.uid)
        if found is None:
            return Result.ON_EVENT
        self._tools.on_written(found)
        return Result.again_in(0).saying("another Certificate has taken its name")

    async def _observe(self, certificate: Certificate) -> Observation:
        uid, namespace = certificate.metadata.uid, certificate.metadata.namespace or ""
        if uid not in self._memories:
            # After `start_over` records may be held for an order of which nothing is known any more.
            self._tools.ledger.keep_only(uid, records_of(presented_responses(certificate.status).values()))
        memory = self._memories.get(uid) or Memory(
            note=last_note(certificate.status), generation=certificate.status.observed_generation or UNOBSERVED
        )
        is_respecified = _is_respecified(certificate, memory)
        is_waiting = not is_respecified and _is_waiting(certificate, memory)
        memory = memory.for_generation(certificate.metadata.generation, is_waiting=is_waiting)
        issuer_has_changed = uid in self._with_changed_issuer
        if issuer_has_changed:
            self._with_changed_issuer.discard(uid)
            memory = memory.for_changed_issuer()
        self._memories[uid] = memory
        memory, secret = await self._secret(certificate, memory)
        memory, secret = as_written(memory, secret)
        look = await look_at_outputs(
            certificate,
            secret,
            self._tools.kube_api,
            self._passwords,
            now=self._tools.clock(),
            last=memory.outputs,
        )
        memory = changed(memory, outputs=look)
        claimants = [
            other
            for other in self._certificates.of_secret(namespace, certificate.spec.secret_name)
            if other.metadata.deletion_timestamp is None
        ]
        observation = Observation(
            certificate=certificate,
            identifiers=requested_identifiers(certificate),
            status=certificate.status,
            secret=None,
            renewal=None,
            seen_at=self._tools.clock(),
            issuer_view=IssuerView("unknown"),
            issuer=None,
            request=None,
            other_owner=find_other_owner(certificate, claimants, secret),
            memory=memory,
            candidates=self._candidates(certificate, memory),
            rival=self._rival_of(certificate),
            compromised=self._compromised.of(namespace),
        )
        if memory.requests is not None:
            observation = observation.with_status(requests=memory.requests)
        if memory.revocations is not None:
            observation = observation.with_status(revocations=memory.revocations)
        if memory.compromised is not None:
            observation = observation.with_status(compromised_keys=memory.compromised)
        observation = changed(observation, given=self._given(observation.candidates, secret)).with_secret(secret)
        observation = self._of_order(self._with_issuer(observation))
        observation = changed(observation, policy=await self._policy(observation.issuer, namespace))
        observation = changed(observation, rehearsal_issuer=await self._rehearsal(observation))
        observation, is_foreign = believed(observation)
        reported = observation.status.compromised_keys
        observation = after_reports(observation)
        if observation.status.compromised_keys != reported:
            self._tell_compromised(observation)
        if uid in self._released:
            self._released.discard(uid)
            observation = observation.with_status(next_attempt_time=None)
        if is_respecified or _starts_over(observation, issuer_has_changed=issuer_has_changed):
            observation = observation.without_attempts()
            if observation.memory.progress is not None and observation.memory.voucher is not None:
                progress = Progress.of(observation.status, observation.memory.voucher)
                observation = observation.remember(progress=progress)
        if is_foreign:
            self._tell_foreign_order(observation, certificate)
        if uid in self._memories:
            self._memories[uid] = observation.memory
        return observation

    def _candidates(self, certificate: Certificate, memory: Memory) -> tuple[Candidate, ...]:
        """Return the Certificate's issuers with what is known of them; has those looked at that are not loaded."""
        now, found = self._tools.clock(), []
        for reference, key in zip(certificate.spec.issuers, issuer_keys(certificate), strict=True):
            view, ready = self._tools.registry.view(key), self._tools.registry.ready(key)
            if view.state == "unknown":
                self._look_at_issuer(key)
            found.append(Candidate(reference, key, view, ready))
        who, is_alone = Asker(certificate.metadata.namespace or "", certificate.metadata.uid), len(found) == 1
        for place, one in enumerate(found):
            held = self._circuits.obstacle(one.key, who, now, is_alone=is_alone)
            # A rate limit is waited for where there is no other issuer: it has turns of its own.
            obstacle = held or (None if is_alone else _rate_limit(one, memory, now))
            found[place] = replace(one, obstacle=obstacle, is_held=held is not None)
        return tuple(found)

    def _with_issuer(self, observation: Observation) -> Observation:
        """Return the observation with the issuer that is used now."""
        now, certificate = self._tools.clock(), observation.certificate
        need = issuance_need(observation, now)
        facts = observation.secret.certificate if observation.secret is not None else None
        patient_until = None
        # Each maintenance window that passes puts the renewal off, and must not put off the next issuer with it.
        due = observation.renewal.unwindowed if observation.renewal is not None else None
        if facts is not None and due is not None and (need is None or need.reason in RENEWAL_REASONS):
            by_ca = observation.renewal is not None and observation.renewal.basis == "ARI"
            called_back = by_ca and due < facts.not_before + (facts.not_after - facts.not_before) / 2
            patient_until = patience(due, facts.not_after, is_called_back=called_back)
        order = _latest_order(observation)
        is_open = order is not None and order.url is not None and order.state != "invalid"
        choice = choose(
            observation.candidates,
            order_of=_key_of(order, observation.namespace) if order is not None and is_open else None,
            patient_until=patient_until,
            now=now,
        )
        issuer = choice.candidate.ready
        return changed(
            observation,
            issuer_view=choice.candidate.view,
            issuer=issuer,
            request=OrderRequest.of(certificate, issuer.spec, issuer.account_url) if issuer else None,
            choice=choice,
            memory=observation.memory.for_issuer(choice.candidate.key),
        )

    def _of_order(self, observation: Observation) -> Observation:
        """Return the observation with the issuer of the order in the draft: it alone can clean up after it."""
        order = _latest_order(observation)
        key = (_key_of(order, observation.namespace) if order is not None else None) or observation.issuer_key
        view = self._tools.registry.view(key)
        if order is not None and view.state == "unknown":
            self._look_at_issuer(key)
        return changed(observation, order_view=view, order_issuer=self._tools.registry.loaded(key))

    def _given(self, candidates: tuple[Candidate, ...], secret: SecretFacts | None) -> tuple[ChainOrigin, ...]:
        """Return where the issuers' chains are from, for a Secret that is not adopted yet."""
        if secret is None or secret.is_adopted:
            return ()
        return tuple(
            origin
            for one in candidates
            for origin in self._secrets.given.of(one.key, one.ready.spec.server if one.ready is not None else None)
        )

    async def _policy(self, issuer: ReadyIssuer | None, namespace: str) -> DomainPolicy | None:
        """Return what the namespace may request from the issuer."""
        if issuer is None or issuer.allowed is None:
            return None
        if not needs_labels(issuer.allowed, namespace):
            return policy_for(str(issuer.key), issuer.allowed, namespace, None)
        found = await self._tools.namespaces.labels(namespace)
        return policy_for(str(issuer.key), issuer.allowed, namespace, found.labels, unread=found.unread)

    async def _rehearsal(self, observation: Observation) -> RehearsalIssuer | None:
        """Return the issuer at which the renewal is rehearsed, if that is to be done now."""
        settings = observation.certificate.spec.renewal
        if settings is None or settings.rehearse is None:
            return None
        if not (is_rehearsal_due(observation, self._tools.clock()) or is_rehearsing(observation)):
            return None
        reference = settings.rehearse.issuer_ref
        key = key_of(reference.kind, reference.name, observation.namespace)
        view, ready = self._tools.registry.view(key), self._tools.registry.ready(key)
        if view.state == "unknown":
            self._look_at_issuer(key)
        return RehearsalIssuer(reference, key, view, ready, await self._policy(ready, observation.namespace))

    def _tell_compromised(self, observation: Observation) -> None:
        """Say that the key in the Secret was reported for another Certificate, or for an earlier certificate."""
        facts = observation.secret.certificate if observation.secret is not None else None
        its = (
            f" Its certificate {facts.serial} is not revoked because of that; it is valid until "
            f"{rfc3339(facts.not_after)}. To have it revoked as well, request that for this Certificate with the "
            "reason keyCompromise before it is replaced, or revoke it with its key."
            if facts is not None
            else ""
        )
        message = (
            f"The private key in Secret {observation.certificate.spec.secret_name} was reported as compromised in this "
            f"namespace. It is replaced, whatever rotationPolicy says, and not used again.{its}"
        )
        logger.warning("%s: KeyCompromised: %s", observation.certificate.display_name, message)
        self._tools.recorder.record(observation.subject, "Warning", "KeyCompromised", message)

    def _tell_foreign_order(self, observation: Observation, certificate: Certificate) -> None:
        order = certificate.status.order
        records = sorted({one.record.name for one in order.authorizations if one.record} if order else ())
        message = (
            "status.order is not as the operator wrote it, or the issuer's account key was replaced. The operator "
            f"neither continues the order nor removes its records ( {listed(records)})."
        )
        logger.warning("%s: %s", certificate.display_name, message)
        self._tools.recorder.record(observation.subject, "Warning", "OrderNotOurs", message)

    async def _secret(self, certificate: Certificate, memory: Memory) -> tuple[Memory, SecretFacts | None]:
        """Return the Secret as the watch shows it; one that is not watched is read, and remembered for a while."""
        namespace, name = certificate.metadata.namespace or "", certificate.spec.secret_name
        watched = self._secrets.get(namespace, name)
        if watched is not None:
            return (memory if memory.unwatched is None else changed(memory, unwatched=None)), watched
        unwatched = memory.unwatched
        if unwatched is None or memory.refusals or not unwatched.is_of_late(self._tools.clock(), UNWATCHED_AT_REST):
            facts = await self._read_secret(namespace, name)
            if facts is not None and facts.certificate_name is not None:
                self._tools.on_secret_written(facts)  # it is watched, and was of no use until now
                return memory, facts
            unwatched = UnwatchedSecret(facts, self._tools.clock())
            memory = changed(memory, unwatched=unwatched)
        return memory, unwatched.facts

    async def _read_secret(self, namespace: str, name: str) -> SecretFacts | None:
        found = await self._tools.kube_api.read_secret(namespace, name)
        return await in_thread(SecretFacts.of, found) if found is not None else None

    async def _fit_to_act(self, step: Act, observation: Observation) -> Observation | None:
        """Read a Secret again that is not watched, before anything is done about it; None if it has changed."""
        unwatched = observation.memory.unwatched
        if not step.needs_latest or unwatched is None or unwatched.is_of_late(self._tools.clock(), UNWATCHED_FOR):
            return observation
        facts = await self._read_secret(observation.namespace, observation.certificate.spec.secret_name)
        if facts != unwatched.facts:
            return None
        return self._keep(observation.remember(unwatched=UnwatchedSecret(facts, self._tools.clock())))

    async def _advance(self, observation: Observation) -> tuple[Observation, Rest]:
        """Take one step after another, until the plan is to rest or others have waited long enough."""
        generation, begun = observation.certificate.metadata.generation, asyncio.get_running_loop().time()
        for _ in range(MAX_STEPS):
            step = self._planned(observation, generation)
            if isinstance(step, Rest):
                return observation, step
            if is_aside() or asyncio.get_running_loop().time() > begun + TURN_SECONDS:
                return observation, Sleep(self._tools.clock())
            held = self._held(step, observation)
            if held is not None:
                return held
            fit = await self._fit_to_act(step, observation)
            if fit is None:
                return self._keep(observation.remember(unwatched=None)), Sleep(self._tools.clock())
            observation = fit
            self._tools.leadership.check()
            logger.debug("%s: %s", observation.certificate.display_name, step)
            try:
                async with _time_for(step) as deadline:
                    async for latest in step.run(observation, self._tools):
                        observation = self._keep(latest)
                rate_limited.went_well(step, observation, self._tools.clock())
                self._went_well(step, observation)
                self._keep_account(observation)
            except BudgetWait as wait:
                rate_limited.failed(step, observation, self._tools.clock())
                return self._or_another(observation, budgeted.rest_until_room(wait.shortage, observation))
            except RateLimitWait as wait:
                rate_limited.failed(step, observation, self._tools.clock())
                limits = observation.ready_issuer.limits
                return observation, rate_limited.rest_until(wait.turn, observation, limits.orders)
            except Exception as error:  # noqa: BLE001 - classified, shown, and logged if it is a defect of ours
                observation, rest = await self._after_failure(step, observation, error, late=deadline.expired())
                if rest is not None:
                    return observation, rest
        name = observation.certificate.display_name
        logger.error("%s: did not settle after %d steps; the last was %s", name, MAX_STEPS, step)
        return observation, Sleep(self._tools.clock() + dt.timedelta(seconds=DEFECT_PAUSE_SECONDS))

    async def _after_failure(
        self, step: Act, observation: Observation, error: Exception, *, late: bool
    ) -> tuple[Observation, Rest | None]:
        """Take in why a step has failed; return what is known then, and how to rest if nothing else is to be done now.

        Args:
            step: Which has failed.
            observation: As it left it.
            error: Why.
            late: Whether it had no time left.
        """
        now = self._tools.clock()
        rate_limited.failed(step, observation, now)
        budgeted.count_failure(error, observation)
        if isinstance(error, RateLimited):
            turn = rate_limited.refused(error, observation, now)
            if turn is not None:
                self._keep_account(observation)
                self._tools.metrics.failed("RateLimited")
                self._look_at_issuer(observation.issuer_key)
                self._alternatives_wanted(observation.issuer_key)
                return observation, turn
        cause = _too_late(step, observation) if late else error
        failure = classify(cause, now)
        if isinstance(cause, Unauthorized) or is_about_the_signature(cause):
            failure = await _about_account(observation, failure)
        elif isinstance(cause, RateLimited) and cause.action == "newOrder":
            failure = replace(failure, kind="attempt")  # its wait is kept in the status, for the next process
            observation = self._limited(observation, failure.not_before)
        if not failure.expected:
            logger.error("%s: unexpected error in %s", observation.certificate.display_name, step, exc_info=error)
        self._note_failure(step, observation, failure)
        limited = observation.memory.limited
        observation = self._keep(self._failed(observation, step, failure))
        self._keep_account(observation)
        if observation.issuer_key in limited:
            return observation, Sleep(self._tools.clock())  # and another issuer is chosen
        return observation, None

    def _planned(self, observation: Observation, generation: int) -> Step:
        """Return the next step for the spec of a generation.

        The watch, or the answer to a write of our own, may have brought another spec during the look. What was derived
        from the one before, such as the request, must not be mixed with it, nor carried out.
        """
        latest = self._certificates.get(certificate_key(observation.certificate))
        if latest is not None and latest.metadata.generation != generation:
            return LookAgain()
        return plan(observation, self._tools.clock())

    def _keep_account(self, observation: Observation) -> None:
        """Have the budget follow the order, and the issuer's status the budget."""
        budgeted.keep_account(observation)
        if observation.issuer is not None and observation.issuer.budget.is_unwritten:
            self._look_at_issuer(observation.issuer_key)

    def _recount(self, observation: Observation) -> None:
        """Count what earlier processes obtained with the issuer's account, once, before anything is ordered with it."""
        issuer = observation.issuer
        if issuer is None or issuer.budget.account in self._recounted:
            return
        self._recounted.add(issuer.budget.account)
        budgeted.recount(issuer, self._secrets, self._tools.clock())

    def _failed(self, observation: Observation, step: Act, failure: Failure) -> Observation:
        observation = after_failure(observation, self._tools, step, failure)
        if failure.reason == "UserActionRequired":
            self._action_required(observation.issuer_key)
        if failure.kind != "account":
            return observation
        issuer = observation.issuer_key
        if failure.reason == "AccountNotValid":
            self._account_refused(issuer, failure.message)
        else:
            self._account_lost(issuer)
        view = IssuerView("not-ready", failure.message)
        return changed(observation, issuer=None, request=None, issuer_view=view)

    def _or_another(self, observation: Observation, room: RestUntil) -> tuple[Observation, Rest]:
        """Wait for room in the budget of the issuer, or have another one chosen if that takes long."""
        limited = self._limited(observation, room.until)
        if limited is observation:
            return observation, room
        return self._keep(limited), Sleep(self._tools.clock())

    def _limited(self, observation: Observation, until: dt.datetime | None) -> Observation:
        """Return the observation with an issuer left out that does not issue for these names for long.

        One that is left out already was chosen all the same: no other can be used now, and it is waited for.
        """
        now = self._tools.clock()
        if not observation.has_alternatives or until is None or until - now < LONG_RATE_LIMIT:
            return observation
        known = {key: end for key, end in observation.memory.limited.items() if end > now}
        if observation.issuer_key in known:
            return observation
        return observation.remember(limited={**known, observation.issuer_key: until})

    def _held(self, step: Act, observation: Observation) -> tuple[Observation, Rest] | None:
        """Return the rest before a step that the CA, or others who use the issuer, make necessary."""
        now, of_circuit = self._tools.clock(), (observation.issuer_key, observation.asker)
        is_alone = not observation.has_alternatives
        if step.asks_ca and self._circuits.obstacle(*of_circuit, now, is_alone=is_alone) is not None:
            # Another Certificate has begun to try the issuer since this one chose it.
            return observation, Sleep(now + TRIAL_PAUSE)
        back = self._returns.wait(observation.uid, observation.issuer_key, now) if step.asks_ca else None
        if back is not None:
            return observation, back
        self._recount(observation)
        room = budgeted.await_room(step, observation)
        if room is not None:
            return self._or_another(observation, room)
        # Whoever gets a turn keeps the others waiting: it goes to nobody who has no room then.
        turn = rate_limited.await_turn(step, observation, now)
        if turn is not None:
            return observation, turn
        if step.asks_ca:
            self._circuits.enter(*of_circuit, now, is_alone=is_alone)
        return None

    def _went_well(self, step: Act, observation: Observation) -> None:
        if isinstance(step, StoreCertificate):
            self._circuits.proved(observation.issuer_key, observation.asker)
        elif step.asks_ca:
            self._circuits.answered(observation.issuer_key, observation.asker, _work(step), self._tools.clock())

    def _note_failure(self, step: Act, observation: Observation, failure: Failure) -> None:
        """Have the issuer's circuits take note of what its CA did."""
        key, who, work, now = observation.issuer_key, observation.asker, _work(step), self._tools.clock()
        if not step.asks_ca:
            return
        if failure.reason in JUDGEMENTS:
            self._circuits.judged(key, who, work, now)
            return
        self._circuits.failed(
            key,
            who,
            work,
            failure.reason,
            failure.message,
            now=now,
            is_certain=failure.is_certain,
            not_before=failure.not_before,
        )

    def _keep(self, observation: Observation) -> Observation:
        """Remember what an observation has for the next pass, unless the Certificate was forgotten meanwhile."""
        status, voucher, progress = observation.status, observation.memory.voucher, observation.memory.progress
        if voucher is not None:
            progress = Progress.of(status, voucher)
        observation = observation.remember(
            progress=progress,
            requests=status.requests,
            revocations=status.revocations,
            compromised=status.compromised_keys,
        )
        if observation.uid in self._memories:
            self._memories[observation.uid] = observation.memory
            self._bound_issued(observation.uid, observation.memory)
            return observation
        key = certificate_key(observation.certificate)
        found = self._certificates.get(key)
        if found is None or found.metadata.uid != observation.uid:
            # It went while a step was under way, which may have put records in place after that.
            self._leave(key, observation.uid, observation.memory)
            self._tools.ledger.forget(observation.uid)
        return observation

    def _bound_issued(self, uid: str, memory: Memory) -> None:
        """Keep the private keys of no more than a few Certificates: those that were looked at last."""
        self._with_issued.pop(uid, None)
        if memory.issued is None:
            return
        self._with_issued[uid] = None
        if len(self._with_issued) > MAX_KEPT:
            oldest = next(iter(self._with_issued))
            del self._with_issued[oldest]
            self._memories[oldest] = changed(self._memories[oldest], issued=None)


def _work(step: Act) -> Work:
    return "order" if isinstance(step, StartOrder) else "other"


def _latest_order(observation: Observation) -> OrderStatus | None:
    """Return the order as this process knows it, else as the status says."""
    progress = observation.memory.progress
    return observation.status.order if progress is None else progress.order


def _key_of(order: OrderStatus | None, namespace: str) -> Key | None:
    """Return the issuer that an order names."""
    named = order.issuer if order is not None else None
    return None if named is None else key_of(named.kind, named.name, namespace)


def _rate_limit(candidate: Candidate, memory: Memory, now: dt.datetime) -> Obstacle | None:
    """Return why an issuer that has others beside it is not waited for: its CA has asked for a long wait."""
    limits = candidate.ready.limits.orders if candidate.ready is not None else None
    until = limits.until if limits is not None else None
    if limits is not None and until is not None and until - now >= LONG_RATE_LIMIT:
        said = f": {limits.said.rstrip('.')}" if limits.said else ""
        return Obstacle(f"its account has reached a rate limit until {rfc3339(until)}{said}", until, now)
    until = memory.limited.get(candidate.key)
    if until is not None and until > now:
        return Obstacle(f"it issues no certificate for these names until {rfc3339(until)}", until, now)
    return None


async def _about_account(observation: Observation, failure: Failure) -> Failure:
    """Return what a refusal means that may be about the account: it is read, as it may have been closed at the CA.

    If that cannot be told now, nothing has been attempted that counts.
    """
    try:
        async with asyncio.timeout(ACCOUNT_SECONDS):
            why = await why_unusable(observation.ready_issuer.client)
    except AccountDoesNotExist as error:
        return replace(failure, reason="AccountUnknown", message=f"{error}.", kind="account")
    except (AcmeError, TimeoutError) as error:
        if is_about_the_signature(error):
            # The URL of the account is not that of its key: it came from a status. The key finds the right one.
            return replace(failure, reason="AccountUnknown", message=f"{error}.", kind="account")
        return replace(failure, kind="transient")
    if why is None:
        return failure
    return replace(failure, reason="AccountNotValid", message=f"{why}.", kind="account")


def _is_respecified(certificate: Certificate, memory: Memory) -> bool:
    """Whether the spec, or a label that solvers select by, was changed since the last attempt failed.

    What was changed may be what it failed for, whether or not the CA is asked for the same: the route of http-01, or
    which solver is chosen. After a restart only the generation of the spec is known.

    A wait that the CA asked for stays.
    """
    if not certificate.status.failed_attempts or (memory.note is not None and memory.note.reason == "RateLimited"):
        return False
    if memory.tried is not None:
        return not memory.tried.is_asked_for_by(certificate)
    return memory.generation not in {UNOBSERVED, certificate.metadata.generation}


def _is_waiting(certificate: Certificate, memory: Memory) -> bool:
    """Whether the next attempt waits for a time, whatever the spec says of it: attempts failed, or the CA said so."""
    limited = memory.note is not None and memory.note.reason == "RateLimited"
    return certificate.status.failed_attempts > 0 or limited


def _starts_over(observation: Observation, *, issuer_has_changed: bool) -> bool:
    """Whether attempts that failed say nothing of the next one.

    That is so when something else is to be ordered, or when the issuer was changed or has become ready again since this
    process began. (That it is ready after a restart says nothing.)
    """
    order, request, issuer = observation.status.order, observation.request, observation.issuer
    if issuer_has_changed and issuer is not None and issuer.loads > 1:
        return True
    return order is not None and request is not None and order.spec_hash != request.fingerprint


def _longest_aside(step: Act) -> float:
    """Return how long a step may take that holds no worker; a CA gets no more time: its circuit is to open soon."""
    return LONGEST_STEP_SECONDS if step.asks_ca else LONGEST_ASIDE_SECONDS


@asynccontextmanager
async def _time_for(step: Act) -> AsyncIterator[asyncio.Timeout]:
    """Bound a step, and have one that waits long for its CA step aside; what waits for a DNS does so by itself."""
    async with time_limit(LONGEST_STEP_SECONDS, aside=_longest_aside(step)) as deadline:
        if not step.asks_ca:
            yield deadline
            return
        async with aside_if_slow(SLOW_CA_SECONDS):
            yield deadline


def _too_late(step: Act, observation: Observation) -> IssuanceError:
    """Return the error of a step that was interrupted.

    The CA may have placed an order that nothing is known of, so a StartOrder counts as an attempt.
    """
    server = observation.issuer.spec.server if observation.issuer is not None else "its CA"
    seconds = _longest_aside(step) if is_aside() else LONGEST_STEP_SECONDS
    return IssuanceError(
        "DeadlineExceeded",
        f"The step {type(step).__name__} took longer than {seconds:g} s and was interrupted to let others proceed."
        f" {server} or a DNS server that {observation.issuer_key} names answers "
        "slowly.",
        costly=isinstance(step, StartOrder),
    )
