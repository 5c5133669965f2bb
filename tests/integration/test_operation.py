"""What those see who run the operator: Events, kubectl's columns, metrics; and how it ends, and lets go."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from harness import issuer, tsig_secret
from testbed.parts.pebble import NEW_ORDER

if TYPE_CHECKING:
    from harness import Tenant
    from harness.dns_front import DnsFront
    from testbed.proxy import RecordingProxy


def test_events_tell_the_story(tenant: Tenant) -> None:
    tenant.apply("web", "events.example.test")
    found = tenant.ready("web")
    until = found["status"]["notAfter"]
    tenant.cluster.wait_for(
        "the Events are not Issuing and Issued",
        lambda: {"status": [event["reason"] for event in tenant.cluster.events(tenant.namespace, "web")]},
        lambda seen: seen["status"] == ["Issuing", "Issued"],
    )
    issuing, issued = tenant.cluster.events(tenant.namespace, "web")
    assert issuing["message"] == "Ordering a certificate (DoesNotExist): Secret web-tls does not exist."
    assert issued["message"] == f"The certificate is in Secret web-tls (revision 1), valid until {until}."
    assert {event["type"] for event in (issuing, issued)} == {"Normal"}
    assert issued["involvedObject"]["uid"] == found["metadata"]["uid"]
    registered = tenant.cluster.events(tenant.namespace, "pebble")
    assert [event["reason"] for event in registered] == ["AccountRegistered"]


def test_kubectl_shows_what_matters(tenant: Tenant) -> None:
    tenant.apply("web", "columns.example.test")
    tenant.ready("web")
    header, row = tenant.bed.kubectl("get", "cwcert", "-n", tenant.namespace, "-o", "wide").splitlines()
    assert header.split() == ["NAME", "READY", "REASON", "SECRET", "ISSUER", "EXPIRES", "RENEWS", "STATUS", "AGE"]
    assert row.split()[:5] == ["web", "True", "Ready", "web-tls", "pebble"]
    header, row = tenant.bed.kubectl("get", "cwiss", "-n", tenant.namespace).splitlines()
    assert header.split()[:2] == ["NAME", "READY"]
    assert row.split()[:2] == ["pebble", "True"]


def test_metrics_show_certificates_and_issuers(tenant: Tenant) -> None:
    tenant.apply("web", "metrics.example.test")
    found = tenant.ready("web")
    labels = f'{{name="web",namespace="{tenant.namespace}"}}'
    lines = dict(line.rsplit(" ", 1) for line in tenant.operator.metrics().splitlines() if not line.startswith("#"))
    assert lines[f"certwright_certificate_ready{labels}"] == "1.0"
    expiry = float(lines[f"certwright_certificate_expiration_timestamp_seconds{labels}"])
    assert expiry == pytest.approx(tenant.leaf("web-tls").not_valid_after_utc.timestamp(), abs=1)
    assert float(lines[f"certwright_certificate_renewal_timestamp_seconds{labels}"]) < expiry
    issuer = f'{{kind="Issuer",name="pebble",namespace="{tenant.namespace}"}}'
    assert lines[f"certwright_issuer_ready{issuer}"] == "1.0"
    assert float(lines['certwright_acme_request_seconds_count{action="newOrder",status="201"}']) >= 1
    assert found["status"]["revision"] == 1
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_for(
        "the metrics still show the deleted Certificate",
        lambda: {"status": [line for line in tenant.operator.metrics().splitlines() if labels in line]},
        lambda seen: not seen["status"],
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_asked_to(tenant: Tenant, number: signal.Signals) -> None:
    assert tenant.operator.healthy()
    assert tenant.operator.stop(number) == 0


def test_an_order_under_way_is_taken_up_again_after_a_stop(
    tenant: Tenant, counted_ca: RecordingProxy, dns_front: DnsFront
) -> None:
    dns_front.hide("_acme-challenge.stop.example.test")
    tenant.add_issuer("slow", server=counted_ca.directory_url, dns_server=dns_front.address)
    tenant.apply("web", "stop.example.test", issuerRef={"name": "slow"})
    tenant.under_way("web")
    assert tenant.operator.stop() == 0
    dns_front.show()
    tenant.operator.start()
    found = tenant.ready("web")
    assert found["status"]["revision"] == 1
    assert counted_ca.counts()[NEW_ORDER] == 1


def test_a_certificate_deleted_during_its_order_leaves_nothing(tenant: Tenant, dns_front: DnsFront) -> None:
    place = "_acme-challenge.leaves.example.test"
    dns_front.hide(place)
    tenant.add_issuer("slow", dns_server=dns_front.address)
    tenant.apply("web", "leaves.example.test", issuerRef={"name": "slow"})
    tenant.under_way("web")
    assert len(tenant.challenge_values(place)) == 1
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    assert tenant.challenge_values(place) == []
    assert tenant.cluster.get("Secret", tenant.namespace, "web-tls") is None


def test_a_namespace_can_be_deleted_during_an_order(tenant: Tenant, dns_front: DnsFront) -> None:
    place = "_acme-challenge.namespace.example.test"
    dns_front.hide(place)
    tenant.add_issuer("slow", dns_server=dns_front.address)
    tenant.apply("web", "namespace.example.test", issuerRef={"name": "slow"})
    tenant.under_way("web")
    tenant.cluster.delete("Namespace", None, tenant.namespace)
    tenant.cluster.wait_gone("Namespace", None, tenant.namespace)
    assert tenant.challenge_values(place) == []


def test_the_end_of_a_namespace_orders_nothing(tenant: Tenant, counted_ca: RecordingProxy) -> None:
    tenant.add_issuer("counted", server=counted_ca.directory_url)
    names = [f"web{number}" for number in range(5)]
    for name in names:
        tenant.apply(name, f"{name}.end.example.test", issuerRef={"name": "counted"})
    for name in names:
        tenant.ready(name)
    tenant.cluster.delete("Namespace", None, tenant.namespace)  # its Secrets may go before its Certificates
    for name in names:
        tenant.cluster.wait_gone("Certificate", tenant.namespace, name)
    assert counted_ca.counts()[NEW_ORDER] == len(names)


def test_a_namespace_deleted_during_an_order_while_the_operator_is_down_leaves_no_record(
    tenant: Tenant, dns_front: DnsFront
) -> None:
    name, place = f"shared-{tenant.namespace}", "_acme-challenge.both.example.test"
    tenant.cluster.apply(tsig_secret(tenant.bed, "certwright", name=name))
    tenant.cluster.apply(issuer(tenant.bed, None, name=name, tsig=name, dns_server=dns_front.address))
    try:
        dns_front.hide(place)
        tenant.apply("web", "both.example.test", issuerRef={"name": name, "kind": "ClusterIssuer"})
        tenant.under_way("web")
        tenant.operator.kill()
        tenant.cluster.delete("Namespace", None, tenant.namespace)
        tenant.operator.start()
        tenant.cluster.wait_gone("Namespace", None, tenant.namespace)
        assert tenant.challenge_values(place) == []
    finally:
        tenant.cluster.delete("ClusterIssuer", None, name)
        tenant.cluster.delete("Secret", "certwright", name)


def test_a_namespace_can_be_deleted_while_the_operator_is_down(tenant: Tenant) -> None:
    tenant.apply("web", "down.example.test")
    tenant.ready("web")
    tenant.operator.kill()
    tenant.cluster.delete("Namespace", None, tenant.namespace)
    tenant.cluster.wait_gone("Namespace", None, tenant.namespace)
