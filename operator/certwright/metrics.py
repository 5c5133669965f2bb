"""The operator's Prometheus metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from certwright.resources import READY, is_true

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client import Metric

    from certwright.acme import RequestRecord
    from certwright.reasons import Reason
    from certwright.resources import Certificate, IssuerRef, RequestAction, RequestState
    from certwright.runtime.queue import WorkQueue
    from certwright.runtime.scheduler import Scheduler

_ISSUANCE_SECONDS = (0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 900, 3600)
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class _Budgets(Collector):
    """Reads the budgets whenever it is scraped."""

    def __init__(self, budgets: Callable[[], Mapping[tuple[str, str], tuple[int, float, float]]]) -> None:
        self._budgets = budgets

    def describe(self) -> Iterable[Metric]:
        """Return the names, so that registering does not read the budgets."""
        return self._families()

    def collect(self) -> Iterable[Metric]:
        """Return what is waiting now."""
        families = self._families()
        for labels, values in self._budgets().items():
            for family, value in zip(families, values, strict=True):
                family.add_metric(labels, value)
        return families

    @staticmethod
    def _families() -> tuple[GaugeMetricFamily, ...]:
        labels = ("server", "limit")
        return tuple(
            GaugeMetricFamily(f"certwright_rate_limit_{name}", documentation, labels=labels)
            for name, documentation in (
                ("waiting", "Orders waiting for a rate limit of the CA."),
                ("wait_seconds", "How long until the last of them can be placed."),
                ("used_ratio", "The used share of the limit, where it is highest."),
            )
        )


class Metrics:
    """The operator's metrics, in a registry of their own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        # When a series began says nothing about the operator, and would be half of all that is scraped.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types here
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._leader = self._gauge(
            "leader", "1 if this process is active: it leads, or runs without leader election; else 0."
        )
        self._transitions = self._gauge("lease_transitions", "Lease transitions, as last read from the Lease.")
        labels = ("namespace", "name")
        self._expiry = self._gauge(
            "certificate_expiration_timestamp_seconds",
            "When the certificate in the Secret expires, Unix time.",
            labels,
        )
        self._renewal = self._gauge(
            "certificate_renewal_timestamp_seconds",
            "When the certificate is to be renewed, Unix time.",
            labels,
        )
        self._ready = self._gauge("certificate_ready", "1 if the Certificate is Ready, else 0.", labels)
        self._paused = self._gauge(
            "certificate_paused", "1 if the Certificate is paused; no series if it is not.", labels
        )
        self._requests = self._counter(
            "requests", "Requests (spec.request) that have ended, by action and outcome.", ("action", "state")
        )
        self._issuer_ready = self._gauge(
            "issuer_ready", "1 if the issuer is Ready, else 0.", ("kind", "namespace", "name")
        )
        self._available = self._gauge(
            "issuer_available",
            "1 if the issuer's CA works, else 0: its circuit is open, and Certificates may use other issuers.",
            ("kind", "namespace", "name"),
        )
        self._fallbacks = self._counter(
            "fallback_orders",
            "Orders placed at an issuer because one that is preferred could not issue.",
            ("issuer_kind", "issuer_name"),
        )
        self._revoked = self._counter(
            "certificates_revoked",
            "Certificates revoked, on request or because their Certificate was deleted.",
            ("issuer_kind", "issuer_name", "reason"),
        )
        self._issued = self._counter(
            "certificates_issued", "Certificates issued and stored.", ("issuer_kind", "issuer_name")
        )
        self._failures = self._counter("issuance_failures", "Failed steps of issuances, by reason.", ("reason",))
        self._issuance = self._histogram(
            "issuance_seconds",
            "Time from ordering a certificate to storing it in the Secret.",
            buckets=_ISSUANCE_SECONDS,
        )
        self._acme = self._histogram(
            "acme_request_seconds",
            "Requests to CAs, by action and HTTP status.",
            ("action", "status"),
            buckets=_REQUEST_SECONDS,
        )
        self._renewal_info = self._counter(
            "renewal_info_polls", "Requests for renewal information (RFC 9773), by result.", ("result",)
        )
        self._rehearsals = self._counter("rehearsals", "Rehearsals of renewals, by result.", ("state",))
        self._disabled = self._gauge(
            "certificate_renewal_disabled", "1 if the spec disables the renewal of the certificate.", labels
        )
        self._kube = self._counter(
            "kubernetes_requests",
            "Requests to the API server besides the watches, by method and HTTP status.",
            ("method", "status"),
        )
        self._watching = self._gauge(
            "watching", "1 if everything of the resource is listed and watched, else 0.", ("resource",)
        )
        self._watch_failures = self._counter(
            "watch_failures", "Failed requests to list or watch, by resource and HTTP status.", ("resource", "status")
        )
        self._responses = self._counter(
            "responder_answers", "Answers of the operator's own http-01 responder, by HTTP status.", ("status",)
        )
        self._quarantined = self._counter(
            "quarantines", "Objects that blocked everything and are skipped for a while, by kind.", ("kind",)
        )
        self._paused_loops = self._counter(
            "paused_loops",
            "Reconciliations delayed because they repeated immediately without effect too often, by kind.",
            ("kind",),
        )
        self._orphaned = self._counter(
            "orphaned_records", "Orphaned challenge records, by outcome: found, removed, given_up.", ("outcome",)
        )
        for outcome in ("found", "removed", "given_up"):
            self._orphaned.labels(outcome)
        self._reconciles = self._histogram(
            "reconcile_seconds", "Duration of reconciling one object, by kind.", ("kind",), buckets=_REQUEST_SECONDS
        )

    def watch_queue(self, queue: WorkQueue[Any], scheduler: Scheduler[Any]) -> None:
        """Show the work queue and the scheduler from now on."""
        for name, documentation, function in (
            ("queue_waiting", "Objects waiting in the queue.", lambda: len(queue)),
            ("queue_oldest_seconds", "How long the oldest object in the queue has waited.", lambda: queue.oldest_wait),
            (
                "queue_starved_seconds",
                "How long a namespace has waited without getting a worker; 0 if none has.",
                lambda: queue.starved_wait,
            ),
            ("queue_held", "Objects being reconciled now.", lambda: queue.held),
            (
                "queue_aside",
                "Reconciliations that wait for a DNS provider without holding a worker.",
                lambda: queue.aside,
            ),
            (
                "queue_held_seconds",
                "How long the longest current reconciliation has taken.",
                lambda: queue.longest_hold,
            ),
            ("scheduled", "Objects scheduled for their next reconciliation.", lambda: len(scheduler)),
        ):
            self._gauge(name, documentation).set_function(function)

    def watch_quarantine(self, number: Callable[[], float]) -> None:
        """Show from now on how many objects are left alone."""
        self._gauge("quarantined", "Objects skipped because they blocked everything.").set_function(number)

    def watch_budgets(self, budgets: Callable[[], Mapping[tuple[str, str], tuple[int, float, float]]]) -> None:
        """Show from now on what is left of CAs' limits.

        Args:
            budgets: For each CA and limit how many orders wait, the seconds until the last one's turn, and the share of
                the limit that is used up.
        """
        self.registry.register(_Budgets(budgets))

    def watch_orphaned(self, number: Callable[[], float]) -> None:
        """Show from now on how many records are left behind in the DNS."""
        self._gauge("orphaned_records_left", "Orphaned challenge records in the DNS.").set_function(number)

    def orphaned(self, outcome: Literal["found", "removed", "given_up"], number: int = 1) -> None:
        """Count records that are left behind in the DNS."""
        self._orphaned.labels(outcome).inc(number)

    def quarantined(self, kind: str) -> None:
        """Count an object that held up everything."""
        self._quarantined.labels(kind).inc()

    def paused_loop(self, kind: str) -> None:
        """Count a look that was put off."""
        self._paused_loops.labels(kind).inc()

    def watch_leadership(self, leads: Callable[[], bool]) -> None:
        """Show whether this process acts from now on."""
        self._leader.set_function(leads)

    def watch_watch(self, resource: str, watching: Callable[[], bool]) -> None:
        """Show from now on whether a resource is watched."""
        self._watching.labels(resource).set_function(watching)

    def watch_failed(self, resource: str, status: str) -> None:
        """Count a list or watch that failed."""
        self._watch_failures.labels(resource, status).inc()

    def lease_transitions(self, count: int) -> None:
        """Show how often the lease went to another holder."""
        self._transitions.set(count)

    def acme_request(self, record: RequestRecord) -> None:
        """Count a request to a CA."""
        status = "none" if record.status is None else str(record.status)
        self._acme.labels(record.action, status).observe(record.seconds)

    def rehearsed(self, state: str) -> None:
        """Count a rehearsal."""
        self._rehearsals.labels(state).inc()

    def renewal_info(self, result: str) -> None:
        """Count a request for renewal information."""
        self._renewal_info.labels(result).inc()

    def kube_request(self, method: str, status: str) -> None:
        """Count a request to the API server."""
        self._kube.labels(method, status).inc()

    def responded(self, _host: str, status: int) -> None:
        """Count an answer of the operator's own http-01 responder; the host is whatever a client sent."""
        self._responses.labels(str(status)).inc()

    def reconciled(self, kind: str, seconds: float) -> None:
        """Count a pass."""
        self._reconciles.labels(kind).observe(seconds)

    def issued(self, issuer: IssuerRef, seconds: float | None) -> None:
        """Count a certificate of an issuer."""
        self._issued.labels(issuer.kind, issuer.name).inc()
        if seconds is not None:
            self._issuance.observe(seconds)

    def revoked(self, issuer_kind: str, issuer_name: str, reason: str) -> None:
        """Count a certificate that was revoked."""
        self._revoked.labels(issuer_kind, issuer_name, reason).inc()

    def requested(self, action: RequestAction, state: RequestState) -> None:
        """Count a request that has ended."""
        self._requests.labels(action, state).inc()

    def failed(self, reason: Reason) -> None:
        """Count a failure."""
        self._failures.labels(reason).inc()

    def show(self, certificate: Certificate) -> None:
        """Show what the status of a Certificate says."""
        labels = (certificate.metadata.namespace or "", certificate.metadata.name)
        status = certificate.status
        self._ready.labels(*labels).set(is_true(status.conditions, READY))
        if certificate.spec.paused:
            self._paused.labels(*labels).set(1)
        else:
            self._paused.remove(*labels)
        for gauge, instant in ((self._expiry, status.not_after), (self._renewal, status.renewal_time)):
            if instant is None:
                gauge.remove(*labels)
            else:
                gauge.labels(*labels).set(instant.timestamp())

        if status.renewal is not None and status.renewal.basis == "Disabled":
            self._disabled.labels(*labels).set(1)
        else:
            self._disabled.remove(*labels)

    def forget(self, namespace: str, name: str) -> None:
        """Show a Certificate no more."""
        for gauge in (self._ready, self._expiry, self._renewal, self._disabled, self._paused):
            gauge.remove(namespace, name)

    def fell_back(self, issuer: IssuerRef) -> None:
        """Count an order at an issuer that is not the preferred one."""
        self._fallbacks.labels(issuer.kind, issuer.name).inc()

    def show_issuer(self, kind: str, namespace: str, name: str, *, ready: bool, available: bool = True) -> None:
        """Show the state of an issuer."""
        self._issuer_ready.labels(kind, namespace, name).set(ready)
        self._available.labels(kind, namespace, name).set(available)

    def forget_issuer(self, kind: str, namespace: str, name: str) -> None:
        """Show an issuer no more."""
        for gauge in (self._issuer_ready, self._available):
            gauge.remove(kind, namespace, name)

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, documentation: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"certwright_{name}", documentation, labels, registry=self.registry)

    def _counter(self, name: str, documentation: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"certwright_{name}_total", documentation, labels, registry=self.registry)

    def _histogram(
        self, name: str, documentation: str, labels: tuple[str, ...] = (), *, buckets: tuple[float, ...]
    ) -> Histogram:
        return Histogram(f"certwright_{name}", documentation, labels, buckets=buckets, registry=self.registry)
