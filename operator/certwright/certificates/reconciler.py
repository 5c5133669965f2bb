"""reconcile(key): observe, plan, do the step, until there is nothing to do now; then one status write."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from certwright.acme import AccountDoesNotExist, AcmeError, RateLimited, Unauthorized
from certwright.certificates import rate_limited
from certwright.certificates.belief import believed
from certwright.certificates.failed_step import after_failure
from certwright.certificates.issued import MAX_KEPT
from certwright.certificates.observation import Memory, Observation, UnwatchedSecret
from certwright.certificates.order_request import OrderRequest, requested_identifiers
from certwright.certificates.ownership import find_other_owner
from certwright.certificates.plan import plan
from certwright.certificates.progress import Progress
from certwright.certificates.requested import next_request_look
from certwright.certificates.secret import SecretFacts
from certwright.certificates.status import last_note, save_unless_quiet
from certwright.certificates.steps.resting import LONGEST_REFUSED_PAUSE_SECONDS, Refuse, Sleep
from certwright.certificates.steps.start_order import StartOrder
from certwright.certificates.steps.step import Rest
from certwright.certificates.takeover import Takeover
from certwright.failures import IssuanceError, classify
from certwright.issuers.account import is_about_the_signature, why_unusable
from certwright.issuers.allowed_domains import needs_labels, policy_for
from certwright.issuers.rate_limits import RateLimitWait
from certwright.issuers.registry import IssuerView, issuer_key
from certwright.kube.errors import Conflict, KubeError, NotFound
from certwright.resources import UNOBSERVED, Certificate
from certwright.runtime.labour import in_thread
from certwright.runtime.result import Result
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.certificates.given import Secrets
    from certwright.certificates.origin import ChainOrigin
    from certwright.certificates.steps.step import Act
    from certwright.certificates.store import Certificates
    from certwright.certificates.tools import Tools
    from certwright.failures import Failure
    from certwright.issuers.allowed_domains import DomainPolicy
    from certwright.issuers.registry import ReadyIssuer
    from certwright.runtime.key import Key

logger = logging.getLogger(__name__)

MAX_STEPS: Final = 50
"""An issuance takes about ten. More than this in one pass is a defect of ours, which must not become a busy loop."""
DEFECT_PAUSE_SECONDS: Final = 60.0
API_SERVER_PAUSE_SECONDS: Final = 10.0
LONGEST_STEP_SECONDS: Final = 120.0
"""A step that takes longer is interrupted: it would hold a worker for as long as a slow CA or DNS server likes."""
ACCOUNT_SECONDS: Final = 30.0
"""For reading an account whose request was refused."""
TURN_SECONDS: Final = 15.0
"""After so long a look is put back between two steps, behind what waits."""
UNWATCHED_FOR: Final = dt.timedelta(seconds=30)
"""How long what was read of a Secret that is not watched is believed."""


class CertificateReconciler:
    """Looks at one Certificate at a time, as often as its events and its times ask for.

    Args:
        tools: What steps are done with.
        certificates: The watched Certificates.
        secrets: The watched Secrets: those that Certwright wrote.
        look_at_issuer: Asks for a look at an issuer that is not loaded yet.
        account_lost: Told when a CA does not know an issuer's account any more.
        account_refused: Told when a CA does not let it do anything any more, and what the CA said.
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
    ) -> None:
        self._tools = tools
        self._takeover = Takeover(tools)
        self._certificates = certificates
        self._secrets = secrets
        self._look_at_issuer = look_at_issuer
        self._account_lost = account_lost
        self._account_refused = account_refused
        self._memories: dict[str, Memory] = {}
        self._with_issued: dict[str, None] = {}
        self._with_changed_issuer: set[str] = set()

    def forget(self, uid: str) -> None:
        """Drop what is remembered of a Certificate that is gone."""
        self._memories.pop(uid, None)
        self._with_issued.pop(uid, None)
        self._with_changed_issuer.discard(uid)
        self._tools.ledger.forget(uid)
        self._tools.presenters.forget(uid)
        self._tools.keys.forget(uid)

    def start_over(self) -> None:
        """Drop what is remembered of every Certificate: it may be about versions that there are no more."""
        self._memories.clear()
        self._with_changed_issuer.clear()

    def issuer_changed(self, key: Key) -> None:
        """Have the next look at the Certificate try again at once: what stood in the way may be gone."""
        certificate = self._certificates.get(key)
        # A look may be under way: what it remembers at its end must not undo this.
        if certificate is not None and certificate.metadata.uid in self._memories:
            self._with_changed_issuer.add(certificate.metadata.uid)

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
                    self._memories[observation.uid] = replace(observation.memory, caught_up=True)
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
        self._tools.metrics.show(observation.certificate)
        return self._next_look(observation, step)

    def _next_look(self, observation: Observation, step: Rest) -> Result:
        now = self._tools.clock()
        result = step.next_look(observation, now)
        refusals = observation.memory.refusals + 1 if isinstance(step, Refuse) else 0
        if refusals != observation.memory.refusals:
            self._keep(observation.remember(refusals=refusals))
        request_look = next_request_look(observation, now)
        if request_look is not None:
            result = result.no_later_than(request_look - now)
        # No later than when the certificate ends: from then on it is not Ready, whatever else is waited for.
        facts = observation.secret.certificate if observation.secret is not None else None
        if facts is not None and facts.not_after > now:
            return result.no_later_than(facts.not_after - now)
        return result

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
        self.forget(metadata.uid)
        if found is None:
            return Result.ON_EVENT
        self._tools.on_written(found)
        return Result.again_in(0)

    async def _observe(self, certificate: Certificate) -> Observation:
        uid, namespace = certificate.metadata.uid, certificate.metadata.namespace or ""
        memory = self._memories.get(uid) or Memory(
            note=last_note(certificate.status), generation=certificate.status.observed_generation or UNOBSERVED
        )
        memory = memory.for_generation(certificate.metadata.generation)
        if uid in self._with_changed_issuer:
            self._with_changed_issuer.discard(uid)
            memory = memory.for_changed_issuer()
        self._memories[uid] = memory
        key = issuer_key(certificate)
        view = self._tools.registry.view(key)
        if view.state == "unknown":
            self._look_at_issuer(key)
        issuer = self._tools.registry.ready(key)
        memory, secret = await self._secret(certificate, memory)
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
            renew_at=None,
            issuer_view=view,
            issuer=issuer,
            request=OrderRequest.of(certificate, issuer.spec, issuer.account_url) if issuer else None,
            other_owner=find_other_owner(certificate, claimants, secret),
            memory=memory,
            policy=await self._policy(issuer, namespace),
            given=self._given(key, issuer, secret),
        )
        if memory.requests is not None:
            observation = observation.with_status(requests=memory.requests)
        observation, is_foreign = believed(observation.with_secret(secret))
        if is_foreign:
            self._tell_foreign_order(observation, certificate)
        if uid in self._memories:
            self._memories[uid] = observation.memory
        return observation

    def _given(self, key: Key, issuer: ReadyIssuer | None, secret: SecretFacts | None) -> tuple[ChainOrigin, ...]:
        """Return where the issuer's chains are from, for a Secret that is not adopted yet."""
        if secret is None or secret.is_adopted:
            return ()
        return self._secrets.given.of(key, issuer.spec.server if issuer is not None else None)

    async def _policy(self, issuer: ReadyIssuer | None, namespace: str) -> DomainPolicy | None:
        """Return what the namespace may request from the issuer."""
        if issuer is None or issuer.allowed is None:
            return None
        if not needs_labels(issuer.allowed, namespace):
            return policy_for(str(issuer.key), issuer.allowed, namespace, None)
        found = await self._tools.namespaces.labels(namespace)
        return policy_for(str(issuer.key), issuer.allowed, namespace, found.labels, unread=found.unread)

    def _tell_foreign_order(self, observation: Observation, certificate: Certificate) -> None:
        order = certificate.status.order
        records = sorted({one.record.name for one in order.authorizations if one.record} if order else ())
        message = (
            "status.order is not as the operator wrote it, or the issuer's account key was replaced. The order is not "
            f"continued, and no records are removed because of it (it names {listed(records)})."
        )
        logger.warning("%s: %s", certificate.display_name, message)
        self._tools.recorder.record(observation.subject, "Warning", "OrderNotOurs", message)

    async def _secret(self, certificate: Certificate, memory: Memory) -> tuple[Memory, SecretFacts | None]:
        """Return the Secret as the watch shows it; one that is not watched is read, and remembered for a while."""
        namespace, name = certificate.metadata.namespace or "", certificate.spec.secret_name
        watched = self._secrets.get(namespace, name)
        if watched is not None:
            return (memory if memory.unwatched is None else replace(memory, unwatched=None)), watched
        now, unwatched = self._tools.clock(), memory.unwatched
        fresh = unwatched is not None and dt.timedelta() <= now - unwatched.read_at <= UNWATCHED_FOR
        if unwatched is None or memory.refusals or not fresh:
            found = await self._tools.kube_api.read_secret(namespace, name)
            facts = await in_thread(SecretFacts.of, found) if found is not None else None
            if facts is not None and facts.certificate_name is not None:
                self._tools.on_secret_written(facts)  # it is watched, and was of no use until now
                return memory, facts
            unwatched = UnwatchedSecret(facts, now)
            memory = replace(memory, unwatched=unwatched)
        return memory, unwatched.facts

    async def _advance(self, observation: Observation) -> tuple[Observation, Rest]:
        """Take one step after another, until the plan is to rest or others have waited long enough."""
        turn_ends = asyncio.get_running_loop().time() + TURN_SECONDS
        for _ in range(MAX_STEPS):
            step = plan(observation, self._tools.clock())
            if isinstance(step, Rest):
                return observation, step
            if asyncio.get_running_loop().time() > turn_ends:
                return observation, Sleep(self._tools.clock())
            turn = rate_limited.await_turn(step, observation, self._tools.clock())
            if turn is not None:
                return observation, turn
            self._tools.leadership.check()
            logger.debug("%s: %s", observation.certificate.display_name, step)
            try:
                async with asyncio.timeout(LONGEST_STEP_SECONDS) as deadline:
                    async for latest in step.run(observation, self._tools):
                        observation = self._keep(latest)
                rate_limited.went_well(step, observation, self._tools.clock())
            except RateLimitWait as wait:
                rate_limited.failed(step, observation)
                limits = observation.ready_issuer.limits
                return observation, rate_limited.rest_until(wait.until, observation, limits.orders)
            except Exception as error:  # classified, shown in the status, logged if it is a defect of ours
                rate_limited.failed(step, observation)
                if isinstance(error, RateLimited):
                    turn = rate_limited.refused(error, observation, self._tools.clock())
                    if turn is not None:
                        self._tools.metrics.failed("RateLimited")
                        self._look_at_issuer(issuer_key(observation.certificate))
                        return observation, turn
                cause = _too_late(step, observation) if deadline.expired() else error
                failure = classify(cause, self._tools.clock())
                if isinstance(cause, Unauthorized) or is_about_the_signature(cause):
                    failure = await _about_account(observation, failure)
                elif isinstance(cause, RateLimited) and cause.action == "newOrder":
                    failure = replace(failure, kind="attempt")  # its wait is kept in the status, for the next process
                if not failure.expected:
                    logger.exception("%s: unexpected error in %s", observation.certificate.display_name, step)
                observation = self._keep(self._failed(observation, step, failure))
        name = observation.certificate.display_name
        logger.error("%s: did not settle after %d steps; the last was %s", name, MAX_STEPS, step)
        return observation, Sleep(self._tools.clock() + dt.timedelta(seconds=DEFECT_PAUSE_SECONDS))

    def _failed(self, observation: Observation, step: Act, failure: Failure) -> Observation:
        observation = after_failure(observation, self._tools, step, failure)
        if failure.kind != "account":
            return observation
        issuer = issuer_key(observation.certificate)
        if failure.reason == "AccountNotValid":
            self._account_refused(issuer, failure.message)
        else:
            self._account_lost(issuer)
        view = IssuerView("not-ready", failure.message)
        return replace(observation, issuer=None, request=None, issuer_view=view)

    def _keep(self, observation: Observation) -> Observation:
        """Remember what an observation has for the next pass, unless the Certificate was forgotten meanwhile."""
        if observation.memory.voucher is not None:
            observation = observation.remember(progress=Progress.of(observation.status, observation.memory.voucher))
        observation = observation.remember(requests=observation.status.requests)
        if observation.uid in self._memories:
            self._memories[observation.uid] = observation.memory
            self._bound_issued(observation.uid, observation.memory)
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
            self._memories[oldest] = replace(self._memories[oldest], issued=None)


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


def _too_late(step: Act, observation: Observation) -> IssuanceError:
    """Return the error of a step that was interrupted.

    The CA may have placed an order that nothing is known of, so a StartOrder counts as an attempt.
    """
    server = observation.issuer.spec.server if observation.issuer is not None else "its CA"
    return IssuanceError(
        "DeadlineExceeded",
        f"The step {type(step).__name__} took longer than {LONGEST_STEP_SECONDS:g} s and was interrupted, so that "
        f"others get their turn. {server} or a DNS server that {issuer_key(observation.certificate)} names answers "
        "slowly.",
        costly=isinstance(step, StartOrder),
    )
