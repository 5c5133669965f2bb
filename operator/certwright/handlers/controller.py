"""Assembles the operator: creates stores, reconcilers and their collaborators, and registers the kinds."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from certwright.certificates.compromised import CompromisedKeys
from certwright.certificates.guard import CertManagerGuard
from certwright.certificates.order.responses import routed_names
from certwright.certificates.orphans import named_records
from certwright.certificates.reconciler import CertificateReconciler
from certwright.certificates.secret.given import Secrets
from certwright.certificates.store import Certificates
from certwright.certificates.tools import Tools
from certwright.challenges.holders import Holders
from certwright.handlers.invalid import tell
from certwright.handlers.manager import Manager
from certwright.handlers.other_releases import OtherReleases
from certwright.handlers.quarantine import Quarantine
from certwright.handlers.registrations import certificate_kind, issuer_kind, secret_kind, source_kind
from certwright.handlers.unclaimed import Unclaimed
from certwright.http.url import host_of
from certwright.issuers.authorities import Authorities
from certwright.issuers.budgets import Budgets
from certwright.issuers.circuits import NEXT_TRIAL, Circuits
from certwright.issuers.dns_webhook_serving import WebhookServing
from certwright.issuers.left_records import LeftRecords
from certwright.issuers.namespaces import Namespaces
from certwright.issuers.presenters import PresenterFactory
from certwright.issuers.reconciler import IssuerReconciler
from certwright.issuers.record_sweep import RecordSweep
from certwright.issuers.registry import IssuerRegistry
from certwright.kube.api import KubeApi
from certwright.kube.cert_manager import CertManagerPresence
from certwright.kube.client import KubeClient, Patience
from certwright.kube.dns_webhooks import DnsWebhookApi
from certwright.kube.events import EventRecorder
from certwright.kube.resource import ANNOTATED, CLUSTER_ISSUERS, ISSUERS, annotated_kind
from certwright.kube.solver_objects import SolverObjectApi
from certwright.kube.store import Store
from certwright.metrics import Metrics
from certwright.resources import GROUP, ISSUING, VERSION, ClusterIssuer, Issuer, find_condition
from certwright.runtime.key import Key
from certwright.runtime.leadership import Leadership
from certwright.shim.annotations import is_annotated
from certwright.shim.reconciler import ShimReconciler
from certwright.shim.requests import ShimApi
from certwright.shim.routes import Routes
from certwright.shim.sources import OF_GATEWAYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from certwright.certificates.secret.facts import SecretFacts
    from certwright.challenges.response import RecordResponse
    from certwright.handlers.invalid import InvalidObject
    from certwright.handlers.options import Options
    from certwright.issuers.left_records import LeftRecord
    from certwright.issuers.rate_limits import Asker
    from certwright.kube.claims import Claims
    from certwright.kube.login import ApiClient
    from certwright.kube.resource import Resource
    from certwright.mirror.options import Options as MirrorOptions
    from certwright.resources import Certificate
    from certwright.resources.object import OwnerReference
    from certwright.shim.reconciler import Options as ShimOptions


NEXT_TRIALS: Final = 3
"""So many are asked to be the next to try: one may have been deleted, or wait for something else by now."""
WAITING_TO_BE_VISIBLE: Final = frozenset({"WaitingForDNS", "WaitingForHTTP", "WaitingForTLS"})
"""Reasons of the condition Issuing while the CA has not been told to look."""


class Controller:
    """Certwright's reconcilers and all that they need.

    Args:
        api: Client of the API server; not closed here.
        options: How it is to run.
        claims: What other releases serve.
        leadership: Whether this process may act; without one it may always.
    """

    def __init__(
        self,
        api: ApiClient,
        options: Options,
        *,
        claims: Claims | None = None,
        leadership: Leadership | None = None,
    ) -> None:
        self._options = options
        self._leadership = leadership = leadership or Leadership.unlimited()
        self._claims = claims
        self.metrics = Metrics()
        self.metrics.watch_leadership(leadership.holds)
        self.certificates = Certificates()
        self.secrets = Secrets()
        self._unclaimed = Unclaimed(self.secrets, self.certificates)
        self.issuers: Store[Issuer] = Store()
        self.cluster_issuers: Store[ClusterIssuer] = Store()
        self.registry = IssuerRegistry()
        self.circuits = Circuits(self._circuit_changed, self._trial_answered)
        client = KubeClient(api, on_request=self.metrics.kube_request, leadership=leadership)
        self._kube_api = KubeApi(client, group=GROUP, version=VERSION, common=options.common)
        self._recorder = EventRecorder(self._kube_api)
        self.manager = self._make_manager(api)
        if claims is not None:
            self.manager.other_releases = OtherReleases(claims, self._kube_api, clock=_now, wake=self.manager.wake)
        self._authorities = Authorities(
            user_agent=options.user_agent,
            on_request=self.metrics.acme_request,
            leadership=leadership,
            addresses=options.http01.addresses,
        )
        webhooks = DnsWebhookApi(client)
        self._serving = WebhookServing(self._kube_api, webhooks, options.served_webhooks, _now)
        self._presenters = self._make_presenters(client, webhooks)
        self.answers = self._presenters.answers
        self._budgets = Budgets(_now)
        self.metrics.watch_budgets(self._budgets.waiting)
        self._issuer_reconciler = self._make_issuer_reconciler()
        self._holders: Holders[RecordResponse] = Holders()
        self._left = LeftRecords(
            self._kube_api, namespace=options.operator_namespace, release=options.lease_name, clock=_now
        )
        # Whoever leads: a new leader has to know before it acts.
        watching = KubeClient(api, on_request=self.metrics.kube_request, patience=Patience(request=10.0, tries=2))
        self.cert_manager = CertManagerPresence(watching, namespace=options.cert_manager_namespace)
        self.guard = (
            CertManagerGuard(self.cert_manager, self.certificates, self._wake_claimed) if options.guarded else None
        )
        self._certificate_reconciler = self._make_certificate_reconciler()
        self.manager.on_rewind = self._certificate_reconciler.start_over
        self.complete = asyncio.Event()
        """To be set once all Certificates are known: what none of them names may be left in the DNS."""
        self._sweep = self._make_sweep()
        self.routes = Routes()
        self.routes.wake = self.manager.wake
        self._shim = self._make_shim(client, options.shim) if options.shim is not None else None
        self._register()
        if options.mirror is not None:
            self._serve_cert_manager(client, options.mirror)

    def _make_manager(self, api: ApiClient) -> Manager:
        # Whoever leads: an object may have cost this process its lease.
        marking = KubeClient(api, on_request=self.metrics.kube_request, patience=Patience(request=5.0, tries=1))
        return Manager(
            workers=self._options.workers,
            recorder=self._recorder,
            metrics=self.metrics,
            leadership=self._leadership,
            quarantine=Quarantine(marking, recorder=self._recorder, metrics=self.metrics, clock=_now),
        )

    def _make_presenters(self, client: KubeClient, webhooks: DnsWebhookApi) -> PresenterFactory:
        options = self._options
        return PresenterFactory(
            self._kube_api,
            SolverObjectApi(client, options.common),
            webhooks,
            http01=options.http01,
            user_agent=options.user_agent,
            ambient=options.ambient,
            before_send=self._leadership.check,
            clock=_now,
            on_asked=self.manager.wake,
            server_names=lambda: routed_names(self.certificates),
        )

    def _make_issuer_reconciler(self) -> IssuerReconciler:
        options = self._options
        return IssuerReconciler(
            kube_api=self._kube_api,
            issuers=self.issuers,
            cluster_issuers=self.cluster_issuers,
            registry=self.registry,
            authorities=self._authorities,
            recorder=self._recorder,
            operator_namespace=options.operator_namespace,
            wake=self._wake_certificates_of,
            clock=_now,
            templates=options.http01.templates,
            addresses=options.http01.addresses,
            records=self._presenters.persistent_records,
            circuits=self.circuits,
            budgets=self._budgets,
            look_again=self.manager.wake,
            is_validating=self._is_validating,
            release=self._release,
            orphaned=self._orphaned,
        )

    def _make_certificate_reconciler(self) -> CertificateReconciler:
        tools = Tools(
            kube_api=self._kube_api,
            namespaces=Namespaces(self._kube_api, _now),
            registry=self.registry,
            presenters=self._presenters,
            ledger=self._holders,
            left=self._left,
            recorder=self._recorder,
            budgets=self._budgets,
            metrics=self.metrics,
            clock=_now,
            leadership=self._leadership,
            on_written=self._put_certificate,
            on_secret_written=self._put_secret,
            number=lambda: len(self.certificates),
            server_of=self._issuer_reconciler.server_of,
            caa=self._presenters.caa,
        )
        return CertificateReconciler(
            tools=tools,
            certificates=self.certificates,
            secrets=self.secrets,
            look_at_issuer=self.manager.wake,
            account_lost=self._account_lost,
            account_refused=self._account_refused,
            action_required=self._action_required,
            circuits=self.circuits,
            alternatives_wanted=self._wake_those_with_alternatives,
            compromised=CompromisedKeys(self.certificates, self.secrets, self.manager.wake),
            rival_of=self.guard.rival_of if self.guard is not None else no_rival,
        )

    def _make_sweep(self) -> RecordSweep:
        claims = self._claims
        return RecordSweep(
            self._left,
            self._presenters,
            self.registry,
            find_issuer=self._issuer_of,
            holders=self._holders,
            placed=self._certificate_reconciler.records_in_place,
            named=lambda: named_records(one.status for one in self.certificates),
            exists=self._has_certificate_of,
            serves=lambda namespace: claims is None or claims.serves(namespace),
            kept_out=lambda namespace: claims is not None and claims.keeper(namespace) is not None,
            look_at_issuer=self.manager.wake,
            recorder=self._recorder,
            metrics=self.metrics,
            clock=_now,
        )

    def _make_shim(self, client: KubeClient, options: ShimOptions) -> ShimReconciler:
        return ShimReconciler(
            ShimApi(client, self._options.common),
            options,
            certificates=self.certificates,
            find_issuer=self._issuer_of,
            recorder=self._recorder,
            routes=self.routes,
            is_cert_manager_live=self.cert_manager.is_live_for,
            is_claimed=self.guard.has_claim if self.guard is not None else _not_claimed,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work while this process leads, until told to stop; then close. See `Workers.run`.

        Raises:
            OperatorFailed: A part ended unexpectedly.
        """
        begun = self._leadership.begun
        dropping = asyncio.create_task(self._unclaimed.run(), name="dropping unclaimed Secrets")
        serving = asyncio.create_task(self._serving.run(begun), name="serving certificates of DNS webhooks")
        sweeping = asyncio.create_task(self._sweep.run(begun, self.complete), name="removing records left behind")
        looking = asyncio.create_task(self._claims.run(begun)) if self._claims is not None else None
        try:
            await self.manager.run(stop)
        finally:
            if looking is not None:
                looking.cancel()
                await asyncio.wait([looking])
            if self._claims is not None:
                await self._claims.release()
            for task in (dropping, serving, sweeping):
                task.cancel()
            await asyncio.wait([dropping, serving, sweeping])
            await self._authorities.aclose()
            await self._presenters.aclose()

    def abort(self) -> None:
        """End the work at once."""
        self.manager.abort()

    def _register(self) -> None:
        kinds = self.manager.kinds
        kinds.register(
            certificate_kind(
                self.certificates,
                self._certificate_reconciler,
                authority_of=self._authority_of,
                metrics=self.metrics,
                tell=self._tell_invalid,
                made_for=self._shim.wakes if self._shim is not None else nothing,
            )
        )
        of_issuers = partial(
            issuer_kind,
            reconciler=self._issuer_reconciler,
            registry=self.registry,
            circuits=self.circuits,
            authority_of=self._authority_of,
            metrics=self.metrics,
            wake_certificates=self._wake_certificates_of,
            tell=self._tell_invalid,
            annotated=self._shim.of_issuer if self._shim is not None else nothing,
        )
        kinds.register(of_issuers(ISSUERS, Issuer, self.issuers))
        kinds.register(of_issuers(CLUSTER_ISSUERS, ClusterIssuer, self.cluster_issuers))
        kinds.register(secret_kind(self.secrets, self.certificates, keeps=self._unclaimed.keeps))
        if self._shim is not None and self._options.shim is not None:
            defaults = self._options.shim.defaults
            for source in ANNOTATED:
                # A ListenerSet without an annotation may take its Gateway's issuer, which only its spec names.
                wants = every if source in OF_GATEWAYS else partial(is_annotated, defaults)
                kinds.register(source_kind(source, self._shim, wants=wants))

    def _serve_cert_manager(self, client: KubeClient, options: MirrorOptions) -> None:
        """Serve objects of cert-manager, too; what few need is loaded only then."""
        from certwright.handlers.mirroring import register_mirror  # noqa: PLC0415
        from certwright.mirror.reconciler import MirrorReconciler  # noqa: PLC0415
        from certwright.mirror.requests import MirrorApi  # noqa: PLC0415

        shim = self._options.shim
        annotations = shim is not None and shim.defaults.cert_manager
        reconciler = MirrorReconciler(
            MirrorApi(client, self._options.common),
            certificates=self.certificates,
            secrets=self.secrets,
            issuers=self.issuers,
            cluster_issuers=self.cluster_issuers,
            recorder=self._recorder,
            is_cert_manager_live=self.cert_manager.is_live_for,
            options=options,
            is_annotated=self._is_annotated if annotations else None,
            clock=_now,
        )
        if options.shows_metrics:
            from certwright.mirror.metrics import CertManagerMetrics  # noqa: PLC0415

            self.metrics.registry.register(CertManagerMetrics(reconciler.served))
        register_mirror(self.manager, reconciler, (self.certificates.store, self.issuers, self.cluster_issuers))

    def _is_annotated(self, namespace: str, owner: OwnerReference) -> bool:
        """Whether an Ingress, Gateway or ListenerSet is one of those that get Certificates for annotations."""
        kind = annotated_kind(owner)
        return kind is not None and self.manager.kinds[kind.key_kind].store.get(namespace, owner.name) is not None

    async def _tell_invalid(self, resource: Resource, invalid: InvalidObject) -> None:
        await tell(resource, invalid, kube_api=self._kube_api, recorder=self._recorder, now=_now())

    def _put_certificate(self, body: Mapping[str, Any]) -> None:
        """Keep what a write of ours returned. A change by another field manager in it is no news to the watch."""
        metadata = body["metadata"]
        key = Key("Certificate", metadata["namespace"], metadata["name"])
        before = self.certificates.get(key)
        if not self.certificates.put(body) or before is None:
            return
        after = self.certificates.get(key)
        if self._shim is not None:
            self.manager.wake(*self._shim.wakes(before, after))
        if after is not None and changed_for_us(before, after):
            self.manager.wake(key)
            self.manager.wake(*self.certificates.keys_of_secret(key.namespace, before.spec.secret_name))

    def _put_secret(self, facts: SecretFacts) -> None:
        metadata = {
            "namespace": facts.namespace,
            "name": facts.name,
            "uid": facts.uid,
            "resourceVersion": facts.resource_version,
        }
        self.secrets.put(metadata, facts)

    def _authority_of(self, issuer: Key) -> str | None:
        """Return host and port of an issuer's CA, or None if the issuer is not known."""
        found = self._issuer_of(issuer)
        return None if found is None else host_of(found.spec.acme.server)

    def _issuer_of(self, issuer: Key) -> Issuer | ClusterIssuer | None:
        stores: dict[str, Store[Issuer] | Store[ClusterIssuer]]
        stores = {Issuer.KIND: self.issuers, ClusterIssuer.KIND: self.cluster_issuers}
        return stores[issuer.kind].get(issuer.namespace, issuer.name)

    def _orphaned(self, issuer: Key) -> str | None:
        return self._sweep.message(issuer)

    def _has_certificate_of(self, left: LeftRecord) -> bool:
        """Whether the Certificate is there whose order a record was for."""
        found = self.certificates.get(left.certificate)
        return found is not None and found.metadata.uid == left.certificate_uid

    def _wake_certificates_of(self, issuer: Key) -> None:
        keys = self.certificates.of_issuer(issuer)
        for key in keys:
            self._certificate_reconciler.issuer_changed(key)
        self.manager.wake(*keys)

    def _wake_claimed(self, *certificates: Key) -> None:
        """Have Certificates looked at whose Secrets cert-manager begins or ceases to look after, and who made them."""
        self.manager.wake(*certificates)
        if self._shim is not None:
            self.manager.wake(*self._shim.makers_of(certificates))

    def _wake_those_with_alternatives(self, issuer: Key) -> None:
        """Have the Certificates looked at that need not wait for an issuer."""
        self.manager.wake(*self.certificates.with_alternatives_to(issuer))

    def _circuit_changed(self, issuer: Key) -> None:
        self.manager.wake(issuer)
        if self.circuits.is_available(issuer):
            self.manager.wake_in_turn(self._certificate_reconciler.go_on(issuer))
        else:
            self._wake_those_with_alternatives(issuer)

    def _trial_answered(self, issuer: Key) -> None:
        """Have some of those looked at that wait for an issuer: one of them may be the next to try it."""
        waiting = self._certificate_reconciler.waiting_for(issuer)
        chosen = random.sample(waiting, min(NEXT_TRIALS, len(waiting)))
        apart = NEXT_TRIAL.total_seconds()
        self.manager.wake_in_turn((key, number * apart) for number, key in enumerate(chosen, start=1))

    def _is_validating(self, issuer: Key) -> bool:
        """Whether an order of an issuer has responses that the CA is looking at, or is about to."""
        orders = (self.certificates.get(key) for key in self.certificates.of_issuer(issuer))
        return any(one is not None and is_validating(one) for one in orders)

    def _release(self, askers: Sequence[Asker]) -> None:
        """Have Certificates looked at that waited for a CA's rate limit."""
        self.manager.wake(*self._certificate_reconciler.release(asker.uid for asker in askers))

    def _account_lost(self, issuer: Key) -> None:
        self._issuer_reconciler.account_lost(issuer)
        self.manager.wake(issuer)

    def _account_refused(self, issuer: Key, why: str) -> None:
        self._issuer_reconciler.account_refused(issuer, why)
        self.manager.wake(issuer)

    def _action_required(self, issuer: Key) -> None:
        self._issuer_reconciler.action_required(issuer)
        self.manager.wake(issuer)


def changed_for_us(before: Certificate, after: Certificate) -> bool:
    """Whether something other than the status differs that a look depends on."""
    return any(
        getattr(before.metadata, field) != getattr(after.metadata, field)
        for field in ("uid", "generation", "deletion_timestamp", "labels")
    )


def nothing(*_: object) -> Iterable[Key]:
    """Wake nothing."""
    return ()


def every(_body: Mapping[str, Any]) -> bool:
    """Want every object."""
    return True


def no_rival(_certificate: Certificate) -> None:
    """Leave nothing to cert-manager."""


def _not_claimed(_namespace: str, _secret: str) -> bool:
    """Return what holds without the guard: nothing is known of cert-manager's Certificates."""
    return False


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def is_validating(certificate: Certificate) -> bool:
    """Whether the CA is looking at the responses of an order, or is about to.

    It is not while the order waits for its responses to become visible: nothing was answered then.
    """
    order, issuing = certificate.status.order, find_condition(certificate.status.conditions, ISSUING)
    if order is None or not order.url or order.state != "pending":
        return False
    return issuing is None or issuing.reason not in WAITING_TO_BE_VISIBLE
