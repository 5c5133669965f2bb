"""The controller: the stores, the queue and the scheduler between kopf's watches and the reconcilers."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

from certwright.certificates.reconciler import CertificateReconciler
from certwright.certificates.store import Certificates
from certwright.certificates.tools import Tools
from certwright.challenges.holders import RecordLedger
from certwright.handlers.invalid import REASON, InvalidObject, tell
from certwright.handlers.workers import RETRY_SECONDS, Workers
from certwright.issuers.authorities import Authorities
from certwright.issuers.reconciler import IssuerReconciler
from certwright.issuers.registry import IssuerRegistry, issuer_key
from certwright.issuers.solver_factory import SolverFactory
from certwright.kube.api import KubeApi
from certwright.kube.client import KubeClient
from certwright.kube.errors import KubeError
from certwright.kube.events import EventRecorder
from certwright.kube.objects import ObjectApi
from certwright.kube.store import Store
from certwright.metrics import Metrics
from certwright.resources import GROUP, VERSION, ClusterIssuer, InvalidResource, Issuer
from certwright.runtime.key import Key
from certwright.runtime.leadership import Leadership
from certwright.runtime.queue import WorkQueue
from certwright.runtime.result import Result
from certwright.runtime.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping

    from kubernetes.aio.client.api_client import ApiClient

    from certwright.certificates.secret import SecretFacts
    from certwright.issuers.solver_factory import Http01Options
    from certwright.resources import Certificate

logger = logging.getLogger(__name__)

WORKERS = 32
BUCKET_LIMIT = 24
"""Of the workers, so many at most for one issuer in one namespace: the rest is for everybody else."""


class Controller:
    """Everything between the watches and the world.

    Args:
        api: Client of the API server; not closed here.
        operator_namespace: Where the Secrets of ClusterIssuers are.
        user_agent: For the requests to CAs.
        workers: How many objects are looked at at once.
        http01: What http-01 solvers are made of.
        leadership: Whether this process may act; without one it may always.
    """

    def __init__(
        self,
        api: ApiClient,
        *,
        operator_namespace: str,
        user_agent: str,
        workers: int = WORKERS,
        http01: Http01Options | None = None,
        leadership: Leadership | None = None,
    ) -> None:
        leadership = leadership or Leadership.unlimited()
        self.metrics = Metrics()
        self.metrics.watch_leadership(leadership.holds)
        self.certificates = Certificates()
        self.secrets: Store[SecretFacts] = Store()
        self._issuers: Store[Issuer] = Store()
        self._cluster_issuers: Store[ClusterIssuer] = Store()
        self.registry = IssuerRegistry()
        self.queue: WorkQueue[Key] = WorkQueue(self._bucket, bucket_limit=max(1, min(BUCKET_LIMIT, workers - 1)))
        self.scheduler: Scheduler[Key] = Scheduler(self.queue.add)
        self._background: set[asyncio.Task[None]] = set()
        self._invalid: dict[Key, InvalidObject] = {}
        client = KubeClient(api, on_request=self.metrics.kube_request, leadership=leadership)
        self._kube_api = kube_api = KubeApi(client, group=GROUP, version=VERSION)
        self._recorder = EventRecorder(kube_api)
        self._authorities = Authorities(
            user_agent=user_agent, on_request=self.metrics.acme_request, leadership=leadership
        )
        self._issuer_reconciler = IssuerReconciler(
            kube_api=kube_api,
            issuers=self._issuers,
            cluster_issuers=self._cluster_issuers,
            registry=self.registry,
            authorities=self._authorities,
            recorder=self._recorder,
            operator_namespace=operator_namespace,
            wake=self._wake_certificates_of,
            clock=_now,
        )
        solvers = SolverFactory(kube_api, ObjectApi(client), http01=http01, before_send=leadership.check)
        self.answers = solvers.answers
        tools = Tools(
            kube_api=kube_api,
            registry=self.registry,
            solvers=solvers,
            ledger=RecordLedger(),
            recorder=self._recorder,
            metrics=self.metrics,
            clock=_now,
            leadership=leadership,
            on_written=self._put_certificate,
            on_secret_written=self._put_secret,
        )
        self._certificate_reconciler = CertificateReconciler(
            tools=tools,
            certificates=self.certificates,
            secrets=self.secrets,
            look_at_issuer=self._add,
            account_lost=self._account_lost,
        )
        self._workers = Workers(
            workers,
            self._reconcile,
            queue=self.queue,
            scheduler=self.scheduler,
            recorder=self._recorder,
            metrics=self.metrics,
            leadership=leadership,
        )
        self.metrics.watch_queue(lambda: len(self.queue), lambda: self.queue.held, lambda: len(self.scheduler))

    async def run(self, stop: asyncio.Event) -> None:
        """Work while this process leads, until told to stop; then close. See `Workers.run`.

        Raises:
            OperatorFailed: A part ended by itself.
        """
        try:
            await self._workers.run(stop)
        finally:
            for task in self._background:
                task.cancel()
            await asyncio.gather(*self._background, return_exceptions=True)
            await self._authorities.aclose()

    def abort(self) -> None:
        """End the work at once."""
        self._workers.abort()

    def put_issuer(self, key: Key, metadata: Mapping[str, Any], issuer: Issuer | ClusterIssuer) -> bool:
        """Keep an issuer; tell whether it must be looked at: it is new, or its spec changed."""
        self._invalid.pop(key, None)
        if isinstance(issuer, Issuer):
            before: Issuer | ClusterIssuer | None = self._issuers.get(key.namespace, key.name)
            kept = self._issuers.put(metadata, issuer)
        else:
            before = self._cluster_issuers.get(None, key.name)
            kept = self._cluster_issuers.put(metadata, issuer)
        if not kept:
            return False
        return (
            before is None
            or before.metadata.uid != issuer.metadata.uid
            or before.metadata.generation != issuer.metadata.generation
        )

    def put_certificate(self, key: Key, body: Mapping[str, Any]) -> bool:
        """Keep a Certificate; tell whether it must be looked at.

        Raises:
            InvalidResource: It does not follow this version's schema.
        """
        news = self.certificates.put(body)
        self._invalid.pop(key, None)
        return news

    def put_invalid(self, key: Key, body: Mapping[str, Any], error: InvalidResource) -> None:
        """Keep an object that cannot be worked with, so that a look at it tells its owner."""
        self._invalid[key] = InvalidObject.of(body, error)

    def remove_issuer(self, key: Key, metadata: Mapping[str, Any]) -> None:
        """Forget an issuer that is gone."""
        self._invalid.pop(key, None)
        (self._issuers if key.kind == "Issuer" else self._cluster_issuers).remove(metadata)

    def certificate_gone(self, key: Key, uid: str) -> None:
        """Forget a Certificate that is gone; another one of its name may be there by now."""
        self._certificate_reconciler.forget(uid)
        if self.certificates.get(key) is None:
            self._invalid.pop(key, None)
            self.scheduler.forget(key)
            self.metrics.forget(key.namespace, key.name)

    def unlisted(self, kind: str, namespace: str | None, uids: Collection[str], version: int) -> list[dict[str, Any]]:
        """Return the metadata of what is known of a kind and not in a complete list of it; see `Store.unlisted`."""
        stores: dict[str, Store[Any] | Certificates] = {
            "Certificate": self.certificates,
            "Issuer": self._issuers,
            "ClusterIssuer": self._cluster_issuers,
            "Secret": self.secrets,
        }
        gone = stores[kind].unlisted(namespace, uids, version)
        seen = {(metadata["namespace"], metadata["name"]) for metadata in gone}
        for key, invalid in self._invalid.items():
            metadata = invalid.body["metadata"]
            if (
                key.kind == kind
                and namespace in (None, key.namespace)
                and metadata["uid"] not in uids
                and int(metadata["resourceVersion"]) <= version
                and (key.namespace or None, key.name) not in seen
            ):
                gone.append({**metadata, "resourceVersion": str(version)})
        return gone

    async def _reconcile(self, key: Key) -> Result:
        invalid = self._invalid.get(key)
        try:
            if invalid is not None:
                await self._tell_invalid(key, invalid)
                return Result.ON_EVENT
            if key.kind == "Certificate":
                result = await self._certificate_reconciler.reconcile(key)
                if self.certificates.get(key) is None:
                    # It went while it was looked at, and may have been shown once more.
                    self.metrics.forget(key.namespace, key.name)
                    return Result.ON_EVENT
                return result
            result = await self._issuer_reconciler.reconcile(key)
        except InvalidResource as error:
            # Read past the watch, which will bring it as well.
            logger.warning("%s", error)
            return Result.ON_EVENT
        except KubeError as error:
            logger.warning("%s: %s", key, error)
            return Result.again_in(RETRY_SECONDS)
        if self.registry.view(key).state == "missing":
            self.metrics.forget_issuer(*key)
        else:
            self.metrics.show_issuer(*key, ready=self.registry.ready(key) is not None)
        return result

    async def _tell_invalid(self, key: Key, invalid: InvalidObject) -> None:
        if key.kind != "Certificate":
            self.registry.set_not_ready(key, f"{key} is not ready ({REASON}): {invalid.message}")
            self.metrics.show_issuer(*key, ready=False)
            self._wake_certificates_of(key)
        await tell(key, invalid, kube_api=self._kube_api, recorder=self._recorder, now=_now())

    def _bucket(self, key: Key) -> Hashable:
        if key.kind != "Certificate":
            return key.kind
        certificate = self.certificates.get(key)
        return (key.namespace, issuer_key(certificate) if certificate else None)

    def _put_certificate(self, body: Mapping[str, Any]) -> None:
        """Keep what a write of ours returned. A change by somebody else that came with it is no news to the watch."""
        metadata = body["metadata"]
        key = Key("Certificate", metadata["namespace"], metadata["name"])
        before = self.certificates.get(key)
        if not self.certificates.put(body) or before is None:
            return
        after = self.certificates.get(key)
        if after is not None and changed_for_us(before, after):
            self._add(key)
            for other in self.certificates.keys_of_secret(key.namespace, before.spec.secret_name):
                self._add(other)

    def _put_secret(self, facts: SecretFacts) -> None:
        metadata = {
            "namespace": facts.namespace,
            "name": facts.name,
            "uid": facts.uid,
            "resourceVersion": facts.resource_version,
        }
        self.secrets.put(metadata, facts)

    def _wake_certificates_of(self, issuer: Key) -> None:
        for key in self.certificates.of_issuer(issuer):
            self._certificate_reconciler.issuer_changed(key)
            self._add(key)

    def _account_lost(self, issuer: Key) -> None:
        self._issuer_reconciler.account_lost(issuer)
        self._add(issuer)

    def _add(self, key: Key) -> None:
        """Queue a key from code that cannot wait."""
        task = asyncio.get_running_loop().create_task(self.queue.add(key))
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def changed_for_us(before: Certificate, after: Certificate) -> bool:
    """Whether something other than the status differs that a look depends on."""
    return any(
        getattr(before.metadata, field) != getattr(after.metadata, field)
        for field in ("uid", "generation", "deletion_timestamp", "labels")
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
