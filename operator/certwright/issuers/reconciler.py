"""Reconciles issuers: registers the account, keeps it up to date, and provides it to the issuer's Certificates."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from certwright.acme import AcmeError
from certwright.concurrency import KeyedLock
from certwright.failures import NEXT_ATTEMPT, Failure, IssuanceError, classify
from certwright.http.addresses import AddressPolicy
from certwright.http.retry_after import MAX_RETRY_AFTER
from certwright.issuers.account import AccountLoader, KnownAccount
from certwright.issuers.account_key import DISPLACED, obtain_account_key
from certwright.issuers.authorities import Authority
from certwright.issuers.budgets import AccountBudget, Budgets
from certwright.issuers.ca_offer import MAX_SHOWN, changed_terms, is_to_agree, offer_of
from certwright.issuers.circuits import AVAILABLE, Circuits
from certwright.issuers.connection import authority_of
from certwright.issuers.credentials import SecretReader
from certwright.issuers.deactivation import (
    DEACTIVATION_PATIENCE,
    DEACTIVATION_RETRY,
    DEACTIVATION_TRIES,
    Outcome,
    deactivate,
    keys_of,
    other_user,
    still_open,
)
from certwright.issuers.dns_servers import check_dns_servers
from certwright.issuers.issuer_status import KEY_ROTATED, TERMS_ACCEPTED, Problem, composed
from certwright.issuers.key_rotation import WAITING, KeyRotation, waiting_since
from certwright.issuers.key_sharing import key_sharing
from certwright.issuers.rate_limits import AccountLimits
from certwright.issuers.registry import LoadedIssuer, ReadyIssuer, key_of
from certwright.issuers.template_policy import TemplatePolicy
from certwright.issuers.upkeep import Upkeep
from certwright.kube.errors import Conflict, KubeError, NotFound
from certwright.kube.events import subject_of
from certwright.resources import (
    ISSUER_FINALIZER,
    MAX_COUNT,
    ORPHANED_RECORDS,
    READY,
    CaOffer,
    ClusterIssuer,
    Condition,
    Issuer,
    IssuerStatus,
    find_condition,
    set_condition,
    without_condition,
)
from certwright.runtime.aside import aside_if_slow
from certwright.runtime.backoff import Backoff, wait_until
from certwright.runtime.result import Result
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from certwright.acme import AccountKey, AcmeServer
    from certwright.issuers.account import LoadedAccount
    from certwright.issuers.account_key import AccountKeySecret
    from certwright.issuers.authorities import Authorities
    from certwright.issuers.persistent_records import PersistentRecords
    from certwright.issuers.rate_limits import Asker
    from certwright.issuers.registry import IssuerRegistry
    from certwright.kube.api import KubeApi
    from certwright.kube.events import EventRecorder
    from certwright.kube.store import Store
    from certwright.reasons import Reason
    from certwright.resources import AcmeIssuerStatus, ConditionStatus, RateLimitUsageStatus
    from certwright.runtime.key import Key

logger = logging.getLogger(__name__)

AnyIssuer = Issuer | ClusterIssuer

LONGEST_RATE_LIMIT: Final = dt.timedelta(seconds=MAX_RETRY_AFTER)
LOSSES_FORGOTTEN: Final = dt.timedelta(hours=1)
"""An account that was lost longer ago than this counts as lost for the first time."""
CORRECTIONS_FORGOTTEN: Final = dt.timedelta(hours=1)
"""A status that was corrected longer ago than this is corrected at once when it is changed again."""
LONGEST_LOAD_SECONDS: Final = 120.0
"""For what an issuer asks its CA in one look; a look that takes longer is interrupted, and tried again with pauses."""


@dataclass(frozen=True)
class _Failing:
    """Failures in a row of one version of an issuer.

    Attributes:
        version: The issuer's UID and generation; a changed issuer starts over.
        failure: The last failure.
        backoff: How many there were, and the pause after the last.
    """

    version: tuple[str, int]
    failure: Failure
    backoff: Backoff


@dataclass(frozen=True)
class _Said:
    """What the status of an issuer that is ready says.

    Attributes:
        account: The account as it was written there.
        problems: What its owner has to know besides, by the type of the condition.
        corrections: How often something else wrote another one in its place of late, and the pause after the last.
        written: Whether the status was written since this last changed.
    """

    account: AcmeIssuerStatus
    problems: Mapping[str, Problem] = field(default_factory=dict)
    corrections: Backoff = field(default_factory=Backoff)
    written: bool = True


@dataclass(frozen=True)
class _Loaded:
    """An issuer whose account is registered, before anybody uses it.

    Attributes:
        account: The account.
        authority: The connection.
        problems: What its owner has to know besides.
        upkeep: When to look again.
        replaced: The account key that was replaced just now, or None.
        former: The one that was replaced last, if its Secret still has it.
        has_displaced: Whether the rotation moved a key that somebody put there meanwhile.
    """

    account: LoadedAccount
    authority: Authority
    problems: Mapping[str, Problem]
    upkeep: Upkeep
    replaced: AccountKey | None
    former: AccountKey | None
    has_displaced: bool


class IssuerReconciler:
    """Brings one issuer to a registered account.

    Args:
        kube_api: The API server.
        issuers: The watched Issuers.
        cluster_issuers: The watched ClusterIssuers.
        registry: Where ready issuers are put for Certificates to find.
        authorities: Connections to CAs.
        recorder: For Events.
        operator_namespace: Where the Secrets of ClusterIssuers are.
        wake: Called with an issuer's key when its Certificates should be looked at.
        clock: The present instant.
        templates: What the templates of issuers may put on solver objects.
        addresses: Where the DNS servers that Issuers name may be.
        records: Looks after the permanent records of solvers for dns-persist-01.
        circuits: Which issuers' CAs work.
        budgets: What is left of the limits that CAs publish.
        look_again: Asks for a look at another issuer, whose account key was replaced.
        is_validating: Whether an order of an issuer waits for the CA to look at its responses.
        release: Has those looked at who waited for a rate limit that is over.
        orphaned: Returns what is to be said of records that are left in the DNS; empty for none, None if that is not
            known.
    """

    def __init__(
        self,
        *,
        kube_api: KubeApi,
        issuers: Store[Issuer],
        cluster_issuers: Store[ClusterIssuer],
        registry: IssuerRegistry,
        authorities: Authorities,
        recorder: EventRecorder,
        operator_namespace: str,
        wake: Callable[[Key], None],
        clock: Callable[[], dt.datetime],
        templates: TemplatePolicy | None = None,
        addresses: AddressPolicy | None = None,
        records: PersistentRecords | None = None,
        circuits: Circuits | None = None,
        budgets: Budgets | None = None,
        look_again: Callable[[Key], None] = lambda _key: None,
        is_validating: Callable[[Key], bool] = lambda _key: False,
        release: Callable[[Sequence[Asker]], None] = lambda _askers: None,
        orphaned: Callable[[Key], str | None] = lambda _key: None,
    ) -> None:
        self._orphaned = orphaned
        self._release = release
        self._look_again, self._is_validating = look_again, is_validating
        self._records = records
        self._circuits = circuits or Circuits()
        self._budgets = budgets or Budgets(clock)
        self._loads: dict[Key, int] = {}
        self._templates = templates or TemplatePolicy()
        self._addresses = addresses or AddressPolicy()
        self._kube_api = kube_api
        self._stores: dict[str, Store[Issuer] | Store[ClusterIssuer]] = {
            "Issuer": issuers,
            "ClusterIssuer": cluster_issuers,
        }
        self._registry = registry
        self._authorities = authorities
        self._recorder = recorder
        self._operator_namespace = operator_namespace
        self._wake = wake
        self._clock = clock
        self._failing: dict[Key, _Failing] = {}
        self._loading: dict[Key, Authority] = {}
        self._limits: dict[tuple[str, str], AccountLimits] = {}
        self._lost_accounts: set[Key] = set()
        self._losses: dict[Key, Backoff] = {}
        self._doubted: set[Key] = set()
        self._generations: dict[Key, int] = {}
        self._said: dict[Key, _Said] = {}
        self._upkeep: dict[Key, Upkeep] = {}
        self._keys: KeyedLock[tuple[str, str]] = KeyedLock()
        self._leaving: dict[Key, tuple[int, dt.datetime | None]] = {}
        self._accounts: dict[tuple[str, str], str] = {}

    def account_lost(self, key: Key) -> None:
        """Note that the CA does not know the account any more; the next look registers it again.

        A CA that forgets it again and again is asked with growing pauses.
        """
        now, losses = self._clock(), self._losses.get(key, Backoff())
        if losses.since is not None and now - losses.since > LOSSES_FORGOTTEN:
            losses = Backoff()
        self._losses[key] = losses.failed(now)
        self._lost_accounts.add(key)
        self._registry.set_not_ready(key, "The CA no longer knows the account; registering it again.")

    def account_refused(self, key: Key, why: str) -> None:
        """Note that the CA does not let the account do anything any more; the next look reads it, and says so."""
        self._doubted.add(key)
        self._registry.set_not_ready(key, why)

    def action_required(self, key: Key) -> None:
        """Note that the CA requires an action of the account's owner; the next look reads the CA's terms."""
        if (upkeep := self._upkeep.get(key)) is not None:
            self._upkeep[key] = upkeep.doubted(self._clock())

    async def server_of(self, key: Key) -> AcmeServer | None:
        """Return the CA of an issuer, for what needs no account there; None if there is no such issuer.

        Raises:
            AcmeError: Its URL, CA bundle, client certificate or proxy is of no use.
            IssuanceError: One of their Secrets is not there.
            KubeError: They cannot be read.
        """
        issuer = await self._find(key)
        if issuer is None:
            return None
        secrets = SecretReader(self._kube_api, key, self._secrets_namespace(key))
        return await self._authorities.server(await authority_of(issuer.spec.acme, secrets))

    async def reconcile(self, key: Key) -> Result:
        """Look at an issuer; return when to look again."""
        issuer = await self._find(key)
        if issuer is None:
            await self._forget(key)
            return Result.ON_EVENT
        if issuer.metadata.deletion_timestamp is not None and ISSUER_FINALIZER in issuer.metadata.finalizers:
            return await self._leave(key, issuer, issuer.metadata.deletion_timestamp)
        version = _version(issuer)
        known = self._registry.ready(key)
        now = self._clock()
        if (
            known is not None
            and (known.uid, known.generation) == version
            and not await self._must_load(key, now)
            and not await self._must_agree(key, issuer, known, now)
        ):
            rest = await self._keep_right(key, issuer, known)
            return rest if self._records is None else await self._tend(key, known, rest)
        pause = self._pause_after_losses(key, now)
        if pause is not None:
            return Result.again_at(pause, now)
        failing = self._failing.get(key) or self._restored(issuer, now)
        if failing is not None and failing.version == version:
            self._failing[key] = failing
            next_try = failing.backoff.pause(now)
            if next_try is not None:
                # An event, not the timer, brought the issuer here: it must not cut the pause short.
                await self._show(issuer, failing)
                return Result.again_at(next_try, now)
        try:
            try:
                loaded = await self._load_in_time(key, issuer)
            except Exception as error:  # noqa: BLE001 - classified, shown in the condition, logged if it is a defect of ours
                return await self._failed(key, issuer, classify(error, now), error)
            await self._succeeded(key, issuer, loaded)
        finally:
            await self._loaded(key)  # not before it is in the registry: its connection would be closed
        has_records = self._records is not None and any(one.persistent for one in issuer.spec.acme.solvers)
        if has_records or self._has_newer(key, version):
            return Result.again_in(0).saying("loaded")
        return self._rest(key, now)

    async def _leave(self, key: Key, issuer: AnyIssuer, deleted: dt.datetime) -> Result:
        """Deactivate the account of an issuer that is being deleted, unless another one uses it; then let it go."""
        now, (tries, not_before) = self._clock(), self._leaving.get(key, (0, None))
        if issuer.spec.acme.deactivate_on_delete and not_before is not None and deleted <= now < not_before:
            return Result.again_at(not_before, now)  # an event, such as that of our own write, brought it here
        tries += 1
        self._leaving[key] = (tries, now + DEACTIVATION_RETRY)
        outcome: Outcome | None = None
        if issuer.spec.acme.deactivate_on_delete:
            is_last = tries >= DEACTIVATION_TRIES or abs(now - deleted) >= DEACTIVATION_PATIENCE
            try:
                async with aside_if_slow(), asyncio.timeout(LONGEST_LOAD_SECONDS):
                    outcome = await self._deactivate(key, issuer, is_last=is_last)
            except Exception as error:
                failure = classify(error, now)
                if not failure.expected:
                    logger.exception("%s: unexpected error", key)
                logger.warning("%s: its account cannot be deactivated: %s", key, failure.message)
                if not is_last:
                    self._registry.set_not_ready(key, f"{key} is being deleted.")
                    message = still_open(failure.message, deleted + DEACTIVATION_PATIENCE)
                    await self._write(issuer, self._not_ready(issuer, "AccountNotDeactivated", message))
                    return Result.again_in(DEACTIVATION_RETRY.total_seconds())
                message = f"The account could not be deactivated, and stays open: {failure.message}"
                outcome = Outcome("AccountNotDeactivated", message)
            finally:
                await self._loaded(key)
        if outcome is not None:
            kind: Literal["Normal", "Warning"] = "Normal" if outcome.reason == "AccountDeactivated" else "Warning"
            self._recorder.record(subject_of(issuer.KIND, issuer.metadata), kind, outcome.reason, outcome.message)
        self._leaving.pop(key, None)
        await self._kube_api.remove_finalizer(
            issuer.PLURAL,
            issuer.KIND,
            issuer.metadata.identity,
            ISSUER_FINALIZER,
            known=issuer.metadata.finalizers,
        )
        return Result.ON_EVENT

    async def _deactivate(self, key: Key, issuer: AnyIssuer, *, is_last: bool) -> Outcome:
        spec, ready, loaded = issuer.spec.acme, self._registry.ready(key), self._registry.loaded(key)
        secrets = SecretReader(self._kube_api, key, self._secrets_namespace(key))
        async with self._keys.at((secrets.namespace, spec.private_key_secret_ref.name)):
            known = None if loaded is None else loaded.account_key
            keys = await keys_of(self._kube_api, spec, secrets.namespace, known)
            other = other_user(issuer, keys, self._all(), self._registry, self._secrets_namespace)
            if other is not None and (other[1] or is_last):
                return Outcome("AccountNotDeactivated", f"The account stays as it is: {other[0]} uses it too.")
            if other is not None:
                raise IssuanceError("AccountNotDeactivated", f"{other[0]} may use it too, and was not loaded yet.")
            try:
                authority = await authority_of(spec, secrets)
            except IssuanceError:
                # Its Secrets may be gone already, with their namespace.
                if ready is None or ready.authority is None:
                    raise
                authority = ready.authority
            self._loading[key] = authority
            return await deactivate(await self._authorities.server(authority), keys)

    async def _hold(self, issuer: AnyIssuer) -> None:
        """Have an issuer's deletion wait for us if its account is to be deactivated then, and only if."""
        wanted, metadata = issuer.spec.acme.deactivate_on_delete, issuer.metadata
        if wanted == (ISSUER_FINALIZER in metadata.finalizers) or metadata.deletion_timestamp is not None:
            return
        body: dict[str, Any] | None
        if wanted:
            body = await self._kube_api.add_finalizer(issuer.PLURAL, issuer.KIND, metadata.identity, ISSUER_FINALIZER)
        else:
            body = await self._kube_api.remove_finalizer(
                issuer.PLURAL, issuer.KIND, metadata.identity, ISSUER_FINALIZER, known=metadata.finalizers
            )
        if body is not None and body.get("spec"):
            self._stores[issuer.KIND].put(body["metadata"], type(issuer).parse(body))  # type: ignore[arg-type]  # by kind

    def _rest(self, key: Key, now: dt.datetime) -> Result:
        """Return when a ready issuer is looked at again if nothing happens."""
        upkeep = self._upkeep.get(key)
        return Result.ON_EVENT if upkeep is None else Result.again_at(upkeep.next_at, now)

    async def _must_load(self, key: Key, now: dt.datetime) -> bool:
        """Whether a ready issuer is to be loaded again: a Secret that it was loaded from has changed, or is due to."""
        upkeep = self._upkeep.get(key)
        if upkeep is None:
            return False
        if upkeep.must_load(now):
            return True
        if now < upkeep.secrets_at:
            return False
        try:
            changed = await upkeep.secrets_changed(SecretReader(self._kube_api, key, self._secrets_namespace(key)))
        except KubeError as error:
            logger.warning("%s: its Secrets cannot be compared: %s", key, error)
            changed = False
        self._upkeep[key] = upkeep.compared(now)
        return changed

    async def _must_agree(self, key: Key, issuer: AnyIssuer, known: ReadyIssuer, now: dt.datetime) -> bool:
        """Note what a ready issuer's CA offers by now; return whether its terms are new, and its owner accepts them."""
        upkeep, said = self._upkeep.get(key), self._said.get(key)
        if upkeep is None or said is None:
            return False
        account = said.account
        offers, terms = account.offers or CaOffer(), None
        if now >= upkeep.directory_at:
            self._upkeep[key] = upkeep.asked(now)
            try:
                async with aside_if_slow(), asyncio.timeout(LONGEST_LOAD_SECONDS):
                    directory = await known.client.server.directory()
            except (AcmeError, TimeoutError) as error:
                logger.warning("%s: the directory of its CA cannot be read: %s", key, error)
            else:
                offers, terms = offer_of(directory, challenges=offers.challenges), directory.meta.terms_of_service
        types = {*offers.challenges, *self._registry.challenges(key)}
        account = account.replace(offers=offers.replace(challenges=tuple(sorted(types))[:MAX_SHOWN]))
        problems = said.problems
        if is_to_agree(known.spec, agreed=account.terms_of_service, terms=terms):
            return True
        if terms is not None:
            problems = self._with_terms(problems, account.terms_of_service, terms)
            self._tell_problems(issuer, problems)
        news = account != said.account or problems != said.problems
        self._said[key] = replace(said, account=account, problems=problems, written=said.written and not news)
        return False

    def _with_terms(
        self, problems: Mapping[str, Problem], agreed: str | None, terms: str | None, refusal: str | None = None
    ) -> Mapping[str, Problem]:
        message = changed_terms(agreed, terms, refusal)
        others = {kind: problem for kind, problem in problems.items() if kind != TERMS_ACCEPTED}
        return others if message is None else {**others, TERMS_ACCEPTED: Problem("TermsChanged", message)}

    def _tell_problems(self, issuer: AnyIssuer, problems: Mapping[str, Problem]) -> None:
        """Record an Event for each problem that the status does not show yet."""
        for kind, problem in problems.items():
            shown = find_condition(issuer.status.conditions, kind)
            if shown is None or (shown.reason, shown.message) != problem:
                subject = subject_of(issuer.KIND, issuer.metadata)
                waits = problem.reason == WAITING
                self._recorder.record(subject, "Normal" if waits else "Warning", problem.reason, problem.message)

    async def _keep_right(self, key: Key, issuer: AnyIssuer, known: ReadyIssuer) -> Result:
        """Have the status of a ready issuer say the CA's rate limits, and nothing that somebody else wrote there.

        The rate limits are for all who use the account; the next process waits too.
        """
        now = self._clock()
        kept, said = known.limits.kept(now), self._said.get(key)
        rest = self._rest(key, now)
        if kept:
            rest = rest.no_later_than(min(one.until for one in kept) - now)
        self._tell_circuit(issuer)
        usage = known.budget.ca.kept(known.budget.account, _usage(issuer))
        shown = {"rate_limits": kept, "rate_limit_usage": () if usage is None else (usage,)}
        right = found = issuer.status.replace(**shown, conditions=self._with_shared(issuer, issuer.status.conditions))
        if said is not None:
            own = self._ready_status(issuer, said)
            right = own.replace(**shown, conditions=self._with_shared(issuer, own.conditions))
        if said is not None and right != found and said.written:
            until = said.corrections.pause(now)
            if until is not None:
                return rest.no_later_than(until - now)
            since = said.corrections.since
            before = Backoff() if since is not None and now - since > CORRECTIONS_FORGOTTEN else said.corrections
            logger.warning("%s: something else has changed its status; it is written again", key)
            self._said[key] = replace(said, corrections=before.failed(now))
        elif said is not None and not said.written:
            self._said[key] = replace(said, written=True)
        await self._write(issuer, right)
        return rest

    async def _tend(self, key: Key, known: ReadyIssuer, rest: Result) -> Result:
        """Look after the permanent records of a ready issuer; of one that has none this is nothing."""
        records, issuer = self._records, self._stores[key.kind].get(key.namespace, key.name)
        if records is None or issuer is None or _version(issuer) != (known.uid, known.generation):
            return rest
        async with aside_if_slow():
            outcome = await records.tend(known, issuer.status, known.generation)
        if outcome is not None:
            await self._write(issuer, outcome.status)
            if outcome.event is not None:
                kind, reason, message = outcome.event
                self._recorder.record(subject_of(issuer.KIND, issuer.metadata), kind, reason, message)
            if outcome.publish:
                async with aside_if_slow():
                    await records.publish(known, outcome.status)
            if outcome.is_published:
                self._wake(key)
        next_look, now = records.next_look(key), self._clock()
        return rest if next_look is None else rest.no_later_than(max(next_look - now, dt.timedelta()))

    def _with_shared(self, issuer: AnyIssuer, known: tuple[Condition, ...]) -> tuple[Condition, ...]:
        """Return an issuer's conditions with those about what its Certificates find out."""
        return self._with_orphaned(issuer, self._with_circuit(issuer, known))

    def _with_circuit(self, issuer: AnyIssuer, known: tuple[Condition, ...]) -> tuple[Condition, ...]:
        """Return an issuer's conditions with the one that says whether its CA works, once it has not."""
        key = _key(issuer)
        if self._circuits.is_available(key) and find_condition(known, AVAILABLE) is None:
            return known
        return set_condition(known, self._circuits.condition(key, issuer.metadata.generation), self._clock())

    def _with_orphaned(self, issuer: AnyIssuer, known: tuple[Condition, ...]) -> tuple[Condition, ...]:
        """Return an issuer's conditions with the one that says which records are left in the DNS, while some are."""
        message = self._orphaned(_key(issuer))
        if message is None:
            return known
        if not message:
            return without_condition(known, ORPHANED_RECORDS)
        condition = Condition(
            type=ORPHANED_RECORDS,
            status="True",
            reason="OrphanedRecordFound",
            message=message,
            observed_generation=issuer.metadata.generation,
        )
        return set_condition(known, condition, self._clock())

    def _tell_circuit(self, issuer: AnyIssuer) -> None:
        """Record an Event if the circuit was opened or closed since the condition was written."""
        before = find_condition(issuer.status.conditions, AVAILABLE)
        after = self._circuits.condition(_key(issuer), issuer.metadata.generation)
        if after.status == (before.status if before is not None else "True"):
            return
        logger.warning("%s: %s", _key(issuer), after.message)
        subject = subject_of(issuer.KIND, issuer.metadata)
        if after.status == "True":
            self._recorder.record(subject, "Normal", "IssuerAvailable", after.message)
        else:
            self._recorder.record(subject, "Warning", "IssuerUnavailable", after.message)

    def _restored(self, issuer: AnyIssuer, now: dt.datetime) -> _Failing | None:
        """Return the pause of a rate limit that an earlier process wrote, if it could have."""
        status, condition = issuer.status, find_condition(issuer.status.conditions, READY)
        if condition is None or (condition.status, condition.reason) != ("False", "RateLimited"):
            return None
        until = wait_until(status.next_attempt_time, now, since=condition.last_transition_time)
        if until is None or until - now > LONGEST_RATE_LIMIT or _version(issuer)[1] != condition.observed_generation:
            return None
        message = condition.message.partition(NEXT_ATTEMPT)[0]
        failure = Failure("RateLimited", message, "transient", until)
        return _Failing(_version(issuer), failure, Backoff(status.failed_attempts, until))

    def _pause_after_losses(self, key: Key, now: dt.datetime) -> dt.datetime | None:
        """Return until when an account that is lost again and again is not registered; the first time, at once."""
        losses = self._losses.get(key)
        again = key in self._lost_accounts and losses is not None and losses.failures > 1
        return losses.pause(now) if again and losses is not None else None

    async def _find(self, key: Key) -> AnyIssuer | None:
        found = self._stores[key.kind].get(key.namespace, key.name)
        if found is not None:
            return found
        kind: type[AnyIssuer] = Issuer if key.kind == "Issuer" else ClusterIssuer
        body = await self._kube_api.read_custom(kind.PLURAL, key.namespace or None, key.name)
        return None if body is None else kind.parse(body)

    async def _forget(self, key: Key) -> None:
        self._failing.pop(key, None)
        self._lost_accounts.discard(key)
        self._losses.pop(key, None)
        self._doubted.discard(key)
        self._said.pop(key, None)
        if self._records is not None:
            self._records.forget_issuer(key)
        self._upkeep.pop(key, None)
        self._leaving.pop(key, None)
        self._generations.pop(key, None)
        self._circuits.forget(key)
        self._loads.pop(key, None)
        self._registry.set_missing(key)
        await self._authorities.keep_only(self._authorities_in_use())
        self._wake(key)

    def _has_newer(self, key: Key, version: tuple[str, int]) -> bool:
        """Whether the answer to our own write brought a newer spec: the watch tells no news then."""
        latest = self._stores[key.kind].get(key.namespace, key.name)
        return latest is not None and _version(latest) != version

    def _authorities_in_use(self) -> set[Authority]:
        """The CAs of issuers that are ready, or that are being loaded by other workers just now."""
        return {*self._registry.authorities(), *self._loading.values()}

    async def _loaded(self, key: Key) -> None:
        """Let go of the connection that an issuer was loaded by: it stays if a ready issuer uses it.

        One that fails, and has another client certificate or proxy each time, would leave them all behind.
        """
        if self._loading.pop(key, None) is not None:
            await self._authorities.keep_only(self._authorities_in_use())

    async def _load_in_time(self, key: Key, issuer: AnyIssuer) -> _Loaded:
        try:
            async with aside_if_slow(), asyncio.timeout(LONGEST_LOAD_SECONDS) as deadline:
                return await self._load(key, issuer)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise IssuanceError(
                "DeadlineExceeded",
                f"{issuer.spec.acme.server} took longer than {LONGEST_LOAD_SECONDS:g} s to load the account; this was "
                "interrupted to let others proceed.",
            ) from None

    async def _load(self, key: Key, issuer: AnyIssuer) -> _Loaded:
        spec = issuer.spec.acme
        self._templates.check(spec)
        if key.kind == Issuer.KIND:
            check_dns_servers(spec, self._addresses)
        await self._hold(issuer)
        namespace = self._secrets_namespace(key)
        if spec.account_key_rotation is None:
            keys = await obtain_account_key(self._kube_api, spec, namespace)
            if keys.upcoming is None:
                return await self._load_with_key(key, issuer, keys)
        # Whoever may replace the key, or finds that somebody does, takes turns with the others of the same Secret.
        async with self._keys.at((namespace, spec.private_key_secret_ref.name)):
            keys = await obtain_account_key(self._kube_api, spec, namespace)
            return await self._load_with_key(key, issuer, keys)

    async def _load_with_key(self, key: Key, issuer: AnyIssuer, keys: AccountKeySecret) -> _Loaded:
        spec, now = issuer.spec.acme, self._clock()
        secrets = SecretReader(self._kube_api, key, self._secrets_namespace(key))
        self._registry.set_loaded(
            LoadedIssuer(key, *_version(issuer), spec, keys.key, secrets.namespace, former_key=keys.former)
        )
        authority = self._loading[key] = await authority_of(spec, secrets)
        server = await self._authorities.server(authority)
        rotation = KeyRotation(self._kube_api, server, spec, secrets.namespace, now)
        settled = await rotation.settle(keys)
        loader = AccountLoader(server, spec, settled.keys, secrets)
        account = await loader.load(self._known_account(key, issuer))
        url = account.status.uri or ""
        done = await rotation.carry_out(
            settled.keys,
            url,
            sharing=key_sharing(issuer, url, self._all(), self._secrets_namespace),
            waiting_since=waiting_since(issuer.status.conditions, now) if self._is_busy(key, url) else None,
        )
        if done.former is not None:
            account = loader.rotated(account, done.keys)
        former = done.former or settled.former
        directory = await server.directory()
        agreed, terms = account.status.terms_of_service, directory.meta.terms_of_service
        problems = self._with_terms({}, agreed, terms, account.refused_terms)
        if done.problem is not None:
            problems = {**problems, KEY_ROTATED: done.problem}
        upkeep = Upkeep.begun(spec, {**secrets.versions, done.keys.name: done.keys.version}, now, done.next_at)
        return _Loaded(account, authority, problems, upkeep, former, done.keys.former, done.keys.has_displaced)

    def _all(self) -> Iterator[AnyIssuer]:
        return (one for store in self._stores.values() for one in store)

    def _is_busy(self, key: Key, account_url: str) -> bool:
        """Whether there are orders of the account whose challenges are being answered."""
        sharing = {key, *(one.key for one in self._registry.sharing(account_url))}
        return any(self._is_validating(one) for one in sharing)

    def _known_account(self, key: Key, issuer: AnyIssuer) -> KnownAccount:
        # What this process wrote it knows; a status may be from somebody else.
        said = self._said.get(key)
        known = issuer.status.acme if said is None else said.account
        ready = find_condition(issuer.status.conditions, READY)
        suspected = key in self._doubted or key in self._lost_accounts
        return KnownAccount(known, believed=(ready is None or ready.status == "True") and not suspected)

    async def _succeeded(self, key: Key, issuer: AnyIssuer, loaded: _Loaded) -> None:
        was_ready, before = find_condition(issuer.status.conditions, READY), self._account_before(key, issuer)
        account = loaded.account
        said = _Said(account.status, loaded.problems)
        await self._write(issuer, self._ready_status(issuer, said))
        self._said[key], self._upkeep[key] = said, loaded.upkeep
        # The key too: whoever may write his own issuer's status could name another one's account there.
        of_account = self._account_of(account.status.uri or "", account.client.key.thumbprint, loaded.replaced)
        limits = self._limits.setdefault(of_account, AccountLimits(self._release))
        limits.restore(issuer.status.rate_limits, self._clock())
        self._take_up_circuit(key, issuer)
        budget = AccountBudget(self._budgets.of(Authority.of(issuer.spec.acme), issuer.spec.acme), " ".join(of_account))
        budget.ca.restore(budget.account, _usage(issuer))
        self._loads[key] = self._loads.get(key, 0) + 1
        offers = account.status.offers or CaOffer()
        self._registry.remember_challenges(key, issuer.spec.acme.server, offers.challenges)
        self._registry.set_ready(
            ReadyIssuer(
                key=key,
                uid=issuer.metadata.uid,
                generation=issuer.metadata.generation,
                spec=issuer.spec.acme,
                client=account.client,
                account_url=account.status.uri or "",
                secrets_namespace=self._secrets_namespace(key),
                limits=limits,
                budget=budget,
                loads=self._loads[key],
                allowed=issuer.spec.allowed if isinstance(issuer, ClusterIssuer) else None,
                authority=loaded.authority,
                former_servers=account.status.former_servers,
                former_key=loaded.former,
            )
        )
        if loaded.replaced is not None:
            self._tell_rotation(key, issuer, loaded, loaded.replaced)
        self._tell_label(issuer, account.status.dns_account_label)
        self._failing.pop(key, None)
        self._lost_accounts.discard(key)
        self._doubted.discard(key)
        self._tell_problems(issuer, said.problems)
        has_changed = before is not None and before != account.status.uri
        if was_ready is None or was_ready.status != "True" or has_changed:
            message = f"The account {account.status.uri} is ready."
            if has_changed:
                message += f" The issuer used the account {before} before."
            if account.status.terms_of_service is not None:
                message += f" It has agreed to the terms of service {account.status.terms_of_service}."
            subject = subject_of(issuer.KIND, issuer.metadata)
            self._recorder.record(subject, "Normal", "AccountRegistered", message)
        logger.info("%s is ready: %s", key, account.status.uri)
        self._wake(key)

    def _tell_label(self, issuer: AnyIssuer, label: str | None) -> None:
        """Record an Event if the records of dns-account-01 have other names from now on: their CNAMEs are people's."""
        before = issuer.status.acme.dns_account_label if issuer.status.acme is not None else None
        if before is None or label is None or before == label:
            return
        message = (
            f"The account has changed, and with it the name of its records for dns-account-01. Where {before}."
            f"_acme-challenge.<domain> is a CNAME, publish the same CNAME at {label}._acme-challenge.<domain> before "
            "the next renewal."
        )
        self._recorder.record(subject_of(issuer.KIND, issuer.metadata), "Warning", "DNSAccountLabelChanged", message)

    def _account_before(self, key: Key, issuer: AnyIssuer) -> str | None:
        """Return the account that an issuer used before it was loaded now, as far as that is known."""
        said = self._said.get(key)
        account = issuer.status.acme if said is None else said.account
        return None if account is None else account.uri

    def _account_of(self, url: str, thumbprint: str, replaced: AccountKey | None) -> tuple[str, str]:
        """Return what the limits of an account are kept by: its URL and its first key; a rotation lifts none."""
        if replaced is not None:
            self._accounts[url, thumbprint] = self._accounts.get((url, replaced.thumbprint), replaced.thumbprint)
        return url, self._accounts.get((url, thumbprint), thumbprint)

    def _tell_rotation(self, key: Key, issuer: AnyIssuer, loaded: _Loaded, replaced: AccountKey) -> None:
        """Say that the account key was replaced, and have the others who use the account take up the new one."""
        account = loaded.account
        url, thumbprint = account.status.uri or "", account.client.key.thumbprint
        message = (
            f"The account {url} has a new key. Its thumbprint is {thumbprint}; the key with the thumbprint "
            f"{replaced.thumbprint} can no longer be used."
        )
        if loaded.has_displaced:
            entry = f"{issuer.spec.acme.private_key_secret_ref.key}{DISPLACED}"
            message += f" Somebody changed its Secret meanwhile: what they put in its place is in the entry {entry}."
        self._recorder.record(subject_of(issuer.KIND, issuer.metadata), "Normal", "AccountKeyRotated", message)
        for other in self._registry.sharing(url):
            if other.key != key and other.client.key.thumbprint == replaced.thumbprint:
                self._doubted.add(other.key)
                self._registry.set_not_ready(other.key, f"The account key was replaced by {key}; reading it again.")
                self._look_again(other.key)

    def _take_up_circuit(self, key: Key, issuer: AnyIssuer) -> None:
        """Close the circuit of an issuer that was changed; take up the one that an earlier process left open."""
        condition = find_condition(issuer.status.conditions, AVAILABLE)
        if key in self._generations and self._generations[key] != issuer.metadata.generation:
            self._circuits.forget(key)
        elif condition is not None and condition.observed_generation == issuer.metadata.generation:
            self._circuits.restore(key, condition, self._clock())
        self._generations[key] = issuer.metadata.generation

    async def _failed(self, key: Key, issuer: AnyIssuer, failure: Failure, error: BaseException) -> Result:
        now = self._clock()
        version, before = _version(issuer), self._failing.get(key)
        backoff = before.backoff if before is not None and before.version == version else Backoff()
        backoff = backoff.failed(now, not_before=failure.not_before)
        failing = self._failing[key] = _Failing(version, failure, backoff)
        if failure.expected:
            logger.warning("%s is not ready (%s): %s", key, failure.reason, failure.message)
        else:
            logger.error("%s: unexpected error", key, exc_info=error)
        was = find_condition(issuer.status.conditions, READY)
        is_new = was is None or (was.status, was.reason) != ("False", failure.reason)
        if is_new:
            self._recorder.record(subject_of(issuer.KIND, issuer.metadata), "Warning", failure.reason, failure.message)
        said_since = None if was is None or is_new else was.last_transition_time
        why = f"{key} is not ready ({failure.reason}): {failure.message}"
        self._registry.set_not_ready(key, why, said_since=said_since)
        if before is None or (before.version, before.failure.reason) != (version, failure.reason):
            # The same again is no news for those who wait, and may be thousands.
            self._wake(key)
        await self._show(issuer, failing)
        if self._has_newer(key, version):
            return Result.again_in(0).saying("it was changed meanwhile")
        return Result.again_at(backoff.not_before or now, now)

    async def _show(self, issuer: AnyIssuer, failing: _Failing) -> None:
        failure, next_try = failing.failure, failing.backoff.not_before
        message = failure.message if next_try is None else f"{failure.message}{NEXT_ATTEMPT}{rfc3339(next_try)}."
        status = self._not_ready(issuer, failure.reason, message)
        await self._write(
            issuer, status.replace(failed_attempts=min(failing.backoff.failures, MAX_COUNT), next_attempt_time=next_try)
        )

    def _not_ready(self, issuer: AnyIssuer, reason: Reason, message: str) -> IssuerStatus:
        return composed(issuer, issuer.status.acme, ("False", reason, message), {}, self._clock())

    def _ready_status(self, issuer: AnyIssuer, said: _Said) -> IssuerStatus:
        message = f"The account is registered at {issuer.spec.acme.server}."
        ready: tuple[ConditionStatus, Reason, str] = ("True", "AccountRegistered", message)
        return composed(issuer, said.account, ready, said.problems, self._clock())

    async def _write(self, issuer: AnyIssuer, status: IssuerStatus) -> None:
        if status == issuer.status:
            return
        try:
            body = await self._kube_api.apply_status(
                issuer.PLURAL, issuer.KIND, issuer.metadata.identity, status.to_json()
            )
        except (NotFound, Conflict):
            return  # deleted or made anew meanwhile; the event is on the way
        self._stores[issuer.KIND].put(body["metadata"], type(issuer).parse(body))  # type: ignore[arg-type]  # by kind

    def _secrets_namespace(self, key: Key) -> str:
        return key.namespace or self._operator_namespace


def _usage(issuer: AnyIssuer) -> RateLimitUsageStatus | None:
    """Return what the status says of the orders of the account, or None."""
    return next(iter(issuer.status.rate_limit_usage), None)


def _version(issuer: AnyIssuer) -> tuple[str, int]:
    return (issuer.metadata.uid, issuer.metadata.generation)


def _key(issuer: AnyIssuer) -> Key:
    return key_of(issuer.KIND, issuer.metadata.name, issuer.metadata.namespace or "")
