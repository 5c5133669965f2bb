"""Names and contents of certificates on real parts: addresses, spellings, and what a CA leaves out."""

from __future__ import annotations

import base64
import ipaddress
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from harness.cluster import conditions
from harness.manifests import certificate, issuer
from harness.operator_process import OperatorProcess
from testbed.ports import allocator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness import Cluster, Tenant
    from testbed import TestBed
    from testbed.parts.pebble import Pebble

ROUTE = {"ingress": {"ingressClassName": "traefik"}}


def names_of(leaf: x509.Certificate) -> tuple[list[str], list[str]]:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName), [str(one) for one in names.get_values_for_type(x509.IPAddress)]


def secret_annotations(cluster: Cluster, namespace: str, secret: str) -> dict[str, str]:
    found = cluster.get("Secret", namespace, secret)
    assert found is not None
    return dict(found["metadata"]["annotations"])


def warnings(tenant: Tenant, name: str, reason: str) -> list[str]:
    found = tenant.cluster.events(tenant.namespace, name)
    return [event["message"] for event in found if event["reason"] == reason]


def test_names_in_any_spelling_are_one_and_a_common_name_is_added(tenant: Tenant) -> None:
    host = f"Web.{tenant.namespace}.Example.TEST"
    tenant.apply("web", host, f"{host.lower()}.", f"Bücher.{host}", commonName=f"www.{host}", secretName="web")
    before = tenant.ready("web")
    expected = sorted([host.lower(), f"xn--bcher-kva.{host.lower()}", f"www.{host.lower()}"])
    leaf = tenant.leaf("web")
    assert sorted(names_of(leaf)[0]) == expected
    assert secret_annotations(tenant.cluster, tenant.namespace, "web")["certwright.io/alt-names"] == ",".join(expected)
    # Another spelling of the same: nothing is ordered.
    tenant.apply("web", f"bücher.{host.lower()}", host.lower(), commonName=f"WWW.{host}", secretName="web")
    after = tenant.cluster.wait_for(
        "the new generation is not observed",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, "web"),
        lambda found: found["status"]["observedGeneration"] > before["status"]["observedGeneration"],
    )
    assert conditions(after)["Ready"]["status"] == "True"
    assert after["status"]["revision"] == 1
    assert tenant.leaf("web") == leaf


def test_what_the_ca_leaves_out_is_told_and_not_ordered_again(tenant: Tenant) -> None:
    host = f"contents.{tenant.namespace}.example.test"
    tenant.apply(
        "contents",
        host,
        secretName="contents",
        usages=["server auth", "code signing"],
        subject={"organizations": ["Example, Inc."], "countries": ["DE"]},
    )
    assert tenant.ready("contents")["status"]["revision"] == 1
    (told,) = warnings(tenant, "contents", "ContentsIgnored")
    assert "usages code signing; subject C=DE, O=Example\\, Inc." in told
    # A change is asked for once, and again left out by the CA.
    tenant.apply("contents", host, secretName="contents", usages=["ocsp signing"])
    tenant.cluster.wait_for(
        "the change is not issued",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, "contents"),
        lambda found: found["status"]["revision"] == 2 and conditions(found)["Ready"]["status"] == "True",
    )


def test_uris_that_the_ca_does_not_take_are_told_and_reissue_nothing(tenant: Tenant) -> None:
    host = f"uris.{tenant.namespace}.example.test"
    tenant.apply("uris", host, secretName="uris", uris=["spiffe://example/a"], emailAddresses=["a@b.example"])
    assert tenant.ready("uris")["status"]["revision"] == 1
    (told,) = warnings(tenant, "uris", "ContentsIgnored")
    assert "names spiffe://example/a, a@b.example" in told


def test_addresses_are_not_ordered_where_only_dns01_could_validate_them(tenant: Tenant) -> None:
    tenant.apply("address", ipAddresses=["2001:DB8::1"], secretName="address")
    told = tenant.not_ready("address", "AddressNeedsHTTP01")["message"]
    assert "2001:db8::1 is an IP address, which no CA validates by DNS" in told


@pytest.fixture
def serving(bed: TestBed, operator_namespace: str, tmp_path: Path) -> Iterator[int]:
    """An operator whose own responder answers at every address, at the port that is returned."""
    port = allocator.take()
    arguments = ("--responder-address=192.0.2.1", f"--responder-port={port}", f"--http01-port={port}")
    with OperatorProcess(bed.kubeconfig, tmp_path / "log", operator_namespace=operator_namespace, arguments=arguments):
        yield port


@pytest.mark.usefixtures("without_operator")
def test_addresses_of_both_families_are_validated_by_http01(
    bed: TestBed, cluster: Cluster, namespace: str, serving: int, make_pebble: Callable[..., Pebble]
) -> None:
    pebble = make_pebble(http_port=serving)
    solvers: list[dict[str, Any]] = [{"http01": {"responder": "shared", **ROUTE}}]
    cluster.apply(issuer(bed, namespace, name="pebble", pebble=pebble, solvers=solvers))
    cluster.wait_ready("Issuer", namespace, "pebble")
    addresses = ["127.0.0.1", "0:0:0:0:0:0:0:1", "::0001"]
    cluster.apply(
        certificate(namespace, "addresses", (), ipAddresses=addresses, commonName="127.0.0.1", secretName="addresses")
    )
    ready = cluster.wait_ready("Certificate", namespace, "addresses")
    data = cluster.secret_data(namespace, "addresses")
    leaf = x509.load_pem_x509_certificate(data["tls.crt"])
    assert names_of(leaf) == ([], ["127.0.0.1", "::1"])
    assert secret_annotations(cluster, namespace, "addresses")["certwright.io/ip-sans"] == "127.0.0.1,::1"
    assert ready["status"]["revision"] == 1
    # Its Secret as a backup has it is adopted elsewhere, without an order.
    copy = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"namespace": namespace, "name": "moved"},
        "data": {name: base64.b64encode(content).decode() for name, content in data.items()},
    }
    cluster.apply(copy)
    moved = certificate(namespace, "moved", (), ipAddresses=["::1", "127.0.0.1"], secretName="moved")
    cluster.apply(moved)
    assert cluster.wait_ready("Certificate", namespace, "moved")["status"].get("revision", 0) == 0
    assert cluster.secret_data(namespace, "moved")["tls.crt"] == data["tls.crt"]
    assert ipaddress.ip_address("::1") in {
        *leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.IPAddress)
    }
