"""dns-account-01 as a solver of Issuers: two accounts that validate the same domain at the same time."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import account_label
from harness import Cluster, Tenant, issuer, tsig_secret
from harness.dns_front import DnsFront

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.bed import TestBed
    from testbed.parts.pebble import Pebble


@pytest.fixture
def resolver(bed: TestBed) -> Iterator[DnsFront]:
    """What a CA asks, which follows CNAMEs from one zone into another."""
    with DnsFront(bed.bind, follow_cnames=True) as front:
        yield front


def of_account(bed: TestBed, namespace: str, pebble: Pebble, **settings: Any) -> dict[str, Any]:
    body = issuer(bed, namespace, name="own", pebble=pebble, **settings)
    [solver] = body["spec"]["acme"]["solvers"]
    solver["dns01"]["challengeType"] = "dns-account-01"
    return body


def test_two_accounts_validate_one_domain_at_once_each_with_a_cname_of_its_own(
    tenant: Tenant, bed: TestBed, cluster: Cluster, resolver: DnsFront, make_pebble: Callable[..., Pebble]
) -> None:
    other = Tenant(f"test-{secrets.token_hex(4)}", bed, cluster, tenant.operator)
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other.namespace}})
    name = f"{tenant.namespace}.example.test"
    cnames: list[str] = []
    try:
        pebble = make_pebble(dns_server=resolver.address)
        for space in (tenant, other):
            cluster.apply(tsig_secret(bed, space.namespace))
            cluster.apply(of_account(bed, space.namespace, pebble))
            status = cluster.wait_ready("Issuer", space.namespace, "own")["status"]["acme"]
            assert status["dnsAccountLabel"] == account_label(status["uri"])
            label = f"{status['dnsAccountLabel']}._acme-challenge.{tenant.namespace}"
            bed.bind.change("example.test", "add", label, 1, "CNAME", f"{space.namespace}.delegated.test.")
            cnames.append(label)
        assert len(set(cnames)) == 2
        for space in (tenant, other):
            space.apply("own", name, f"*.{name}", issuerRef={"name": "own"})
        for space in (tenant, other):
            space.ready("own", seconds=60)
            assert space.challenge_values(f"{space.namespace}.delegated.test") == []
            found = cluster.get("Certificate", space.namespace, "own") or {}
            assert found["metadata"].get("finalizers", []) == []
    finally:
        cluster.delete("Namespace", None, other.namespace)
        for label in cnames:
            bed.bind.change("example.test", "delete", label)


def test_records_that_an_operator_left_when_it_was_killed_are_removed_by_the_next(
    tenant: Tenant, bed: TestBed, cluster: Cluster, dns_front: DnsFront
) -> None:
    cluster.apply(of_account(bed, tenant.namespace, bed.pebble, dns_server=dns_front.address))
    label = cluster.wait_ready("Issuer", tenant.namespace, "own")["status"]["acme"]["dnsAccountLabel"]
    name = f"{tenant.namespace}.example.test"
    dns_front.hide(f"{label}._acme-challenge.{name}")  # the order waits
    tenant.apply("killed", name, issuerRef={"name": "own"})
    [entry] = tenant.under_way("killed")["status"]["order"]["authorizations"]
    assert entry["challenge"]["type"] == "dns-account-01"
    tenant.operator.kill()
    tenant.operator.start()
    cluster.delete("Certificate", tenant.namespace, "killed")
    cluster.wait_gone("Certificate", tenant.namespace, "killed")  # the finalizer stays until the record is removed
    assert tenant.challenge_values(entry["record"]["name"]) == []
