from __future__ import annotations

import sys
from typing import Any

import pytest

from certwright.acme import RequestRecord
from certwright.metrics import Metrics
from certwright.resources import Certificate
from certwright.runtime.queue import Place, WorkQueue
from certwright.runtime.scheduler import Scheduler


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def certificate(*, ready: str = "True", **status: Any) -> Certificate:
    condition = {"type": "Ready", "status": ready, "reason": "R", "message": "m"}
    return Certificate.model_validate(
        {
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"dnsNames": ["a.example"], "secretName": "web-tls", "issuerRef": {"name": "ca"}},
            "status": {"conditions": [condition], **status},
        }
    )


def shown(metrics: Metrics, prefix: str) -> dict[str, float]:
    """The samples whose names begin so, by name and labels."""
    lines = [line for line in metrics.render().decode().splitlines() if line.startswith(prefix)]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_certificate_is_shown_as_its_status_says(metrics: Metrics) -> None:
    metrics.show(certificate(notAfter="2026-01-01T00:00:00Z", renewalTime="2025-12-01T00:00:00Z"))
    assert shown(metrics, "certwright_certificate_") == {
        'certwright_certificate_expiration_timestamp_seconds{name="web",namespace="shop"}': 1767225600,
        'certwright_certificate_renewal_timestamp_seconds{name="web",namespace="shop"}': 1764547200,
        'certwright_certificate_ready{name="web",namespace="shop"}': 1,
    }


def test_times_that_are_no_more_are_not_shown(metrics: Metrics) -> None:
    metrics.show(certificate(notAfter="2026-01-01T00:00:00Z", renewalTime="2025-12-01T00:00:00Z"))
    for _ in range(2):
        metrics.show(certificate(ready="False"))
    assert shown(metrics, "certwright_certificate_") == {'certwright_certificate_ready{name="web",namespace="shop"}': 0}


def test_what_waits_for_the_limits_of_a_ca_is_shown_as_it_is_when_asked(metrics: Metrics) -> None:
    waiting = {("https://ca.test/dir", "ordersPerAccount"): (3, 90.0, 1.0)}
    metrics.watch_budgets(lambda: waiting)
    labels = '{limit="ordersPerAccount",server="https://ca.test/dir"}'
    for name, value in (("waiting", 3), ("wait_seconds", 90), ("used_ratio", 1)):
        assert shown(metrics, f"certwright_rate_limit_{name}{{")[f"certwright_rate_limit_{name}{labels}"] == value
    waiting.clear()
    assert shown(metrics, "certwright_rate_limit_") == {}


def test_what_is_gone_is_not_shown(metrics: Metrics) -> None:
    metrics.show(certificate(notAfter="2026-01-01T00:00:00Z"))
    metrics.show_issuer("ClusterIssuer", "", "ca", ready=True)
    assert shown(metrics, "certwright_issuer_ready") == {
        'certwright_issuer_ready{kind="ClusterIssuer",name="ca",namespace=""}': 1
    }
    for _ in range(2):
        metrics.forget("shop", "web")
        metrics.forget_issuer("ClusterIssuer", "", "ca")
    assert shown(metrics, "certwright_certificate_") == {}
    assert shown(metrics, "certwright_issuer_ready") == {}


def test_what_happens_is_counted(metrics: Metrics) -> None:
    metrics.issued(certificate().spec.issuers[0], 4.0)
    metrics.issued(certificate().spec.issuers[0], None)
    metrics.failed("DNSFailed")
    metrics.acme_request(RequestRecord("newOrder", 201, 0.2))
    metrics.acme_request(RequestRecord("newOrder", None, 30.0))
    metrics.kube_request("PATCH", "200")
    metrics.reconciled("Certificate", 0.01)
    assert shown(metrics, "certwright_certificates_issued_total") == {
        'certwright_certificates_issued_total{issuer_kind="Issuer",issuer_name="ca"}': 2
    }
    assert shown(metrics, "certwright_issuance_seconds_count") == {"certwright_issuance_seconds_count": 1}
    assert shown(metrics, "certwright_issuance_seconds_sum") == {"certwright_issuance_seconds_sum": 4}
    assert shown(metrics, "certwright_issuance_failures_total") == {
        'certwright_issuance_failures_total{reason="DNSFailed"}': 1
    }
    assert shown(metrics, "certwright_acme_request_seconds_count") == {
        'certwright_acme_request_seconds_count{action="newOrder",status="201"}': 1,
        'certwright_acme_request_seconds_count{action="newOrder",status="none"}': 1,
    }
    assert shown(metrics, "certwright_kubernetes_requests_total") == {
        'certwright_kubernetes_requests_total{method="PATCH",status="200"}': 1
    }
    assert shown(metrics, "certwright_reconcile_seconds_count") == {
        'certwright_reconcile_seconds_count{kind="Certificate"}': 1
    }


def test_the_queue_is_asked_when_somebody_looks(metrics: Metrics) -> None:
    seconds = [1000.0]
    queue: WorkQueue[str] = WorkQueue(Place, workers=4, now=lambda: seconds[0])
    scheduler = Scheduler(queue.add, now=lambda: seconds[0])
    metrics.watch_queue(queue, scheduler)
    queue.serve()
    for key in "abc":
        queue.add(key)
    assert queue._next() == "a"
    scheduler.at("d", 60)
    seconds[0] += 5
    assert shown(metrics, "certwright_queue") == {
        "certwright_queue_waiting": 2,
        "certwright_queue_oldest_seconds": 5,
        "certwright_queue_starved_seconds": 5,
        "certwright_queue_held": 1,
        "certwright_queue_aside": 0,
        "certwright_queue_held_seconds": 5,
    }
    assert shown(metrics, "certwright_scheduled") == {"certwright_scheduled": 1}


def test_the_process_itself_is_shown(metrics: Metrics) -> None:
    assert shown(metrics, "process_resident_memory_bytes")["process_resident_memory_bytes"] > 0


def test_two_of_them_do_not_share_anything(metrics: Metrics) -> None:
    Metrics().failed("OrderFailed")
    assert shown(metrics, "certwright_issuance_failures_total") == {}


def test_showing_one_takes_no_more_steps_when_thousands_are_shown(metrics: Metrics) -> None:
    def steps() -> int:
        count = 0

        def note(_frame: object, event: str, _argument: object) -> None:
            nonlocal count
            count += event in {"call", "c_call"}

        before = sys.getprofile()
        sys.setprofile(note)
        try:
            metrics.show(certificate())
            metrics.forget("shop", "web")
        finally:
            sys.setprofile(before)
        return count

    few = steps()
    for number in range(2000):
        metrics._ready.labels("shop", f"web-{number}").set(1)
        metrics._paused.labels("shop", f"web-{number}").set(1)
    assert steps() <= few + 5
