"""From cert-manager to Certwright and back: what annotations of Ingresses have made."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from harness import Tenant, tsig_secret
from harness.cert_manager import API
from harness.migrating import (
    UNATTENDED,
    Migration,
    their_object,
    wait_theirs,
    waiting_issuer,
)
from testbed.parts.pebble import NEW_ORDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.parts.cert_manager import CertManager
    from testbed.proxy import RecordingProxy

pytestmark = pytest.mark.usefixtures("without_operator")


@pytest.fixture(scope="module")
def operator_arguments() -> tuple[str, ...]:
    return ("--shim",)


def annotated_ingress(space: str, name: str, issuer: str, hosts: list[str], **annotations: str) -> dict[str, Any]:
    named = {f"cert-manager.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": space, "annotations": {"cert-manager.io/issuer": issuer, **named}},
        "spec": {
            "ingressClassName": "nginx",
            "tls": [{"secretName": f"{name}-tls", "hosts": hosts}],
            "defaultBackend": {"service": {"name": "shop", "port": {"number": 80}}},
        },
    }


def names_of(tenant: Tenant, secret: str) -> list[str]:
    found = tenant.leaf(secret).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return sorted(found.get_values_for_type(x509.DNSName))


def wait_gone(tenant: Tenant, name: str) -> None:
    """Wait until there is no Certificate of ours of a name."""
    tenant.cluster.wait_for(
        f"our Certificate {name} stays",
        lambda: {"found": tenant.cluster.get("Certificate", tenant.namespace, name)},
        lambda seen: seen["found"] is None,
    )


def test_what_cert_manager_made_for_ingresses_goes_there_and_back_and_there_with_the_same_bytes(  # noqa: PLR0915 - one way, step by step
    tenant: Tenant,
    cert_manager: CertManager,
    counted_ca: RecordingProxy,
    theirs: Callable[..., dict[str, Any]],
    migrate: Migration,
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    web, new = (f"{name}.{space}.{bed.bind.zones[0]}" for name in ("web", "new"))
    cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    made = waiting_issuer(bed, "le", space, counted_ca.directory_url)
    bed.apply(made)
    policy = {"private_key_rotation_policy": "Always", "duration": "2000h"}
    cluster.apply(annotated_ingress(space, "web", "le", [web], **policy))
    cluster.wait_for("cert-manager has made no Certificate", lambda: theirs(space, "web-tls"), bool)
    wait_theirs(bed, space)
    before, orders = cluster.secret_data(space, "web-tls"), counted_ca.counts()[NEW_ORDER]
    assert cluster.find_all("Certificate", space) == []

    def is_as_before() -> None:
        assert cluster.secret_data(space, "web-tls") == before
        assert counted_ca.counts()[NEW_ORDER] == orders

    code, said = migrate("--apply", *UNATTENDED)
    assert code == 0, said
    ours = tenant.ready("web-tls")
    [owner] = ours["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Ingress", "web")
    # Our shim takes it up, as cert-manager is away, and leaves the key to the trial.
    cluster.wait_for(
        "our shim does not look after it",
        lambda: cluster.get("Certificate", space, "web-tls"),
        lambda seen: seen["spec"].get("http01", {}).get("ingress", {}).get("ingressClassName") == "nginx",
    )
    tenant.ready("web-tls")
    assert cluster.get("Certificate", space, "web-tls")["spec"]["privateKey"]["rotationPolicy"] == "Never"  # type: ignore[index]
    is_as_before()

    # Another comes in the trial, which cert-manager has never seen.
    cluster.apply(annotated_ingress(space, "new", "le", [new]))
    tenant.ready("new-tls")
    orders += 1
    assert counted_ca.counts()[NEW_ORDER] == orders

    code, said = migrate("--back", *UNATTENDED)
    assert code == 0, said
    assert "1 Certificates are cert-manager's again" in said
    assert cert_manager.running
    assert cluster.find_all("Certificate", space) == []
    wait_theirs(bed, space)
    assert theirs(space, "web-tls")["status"]["revision"] == 1
    assert cluster.secret_data(space, "web-tls") == before
    # The one that cert-manager knows nothing of it issues itself, in order, and nobody takes it away again.
    cluster.wait_for(
        "cert-manager has not issued its own",
        lambda: theirs(space, "new-tls"),
        lambda seen: seen.get("status", {}).get("revision") == 1,
    )
    wait_theirs(bed, space)
    assert names_of(tenant, "new-tls") == [new]
    after = cluster.secret_data(space, "new-tls")
    orders = counted_ca.counts()[NEW_ORDER]

    code, said = migrate("--apply", *UNATTENDED)
    assert code == 0, said
    assert "2 of 2 Certificates are Certwright's now" in said
    # A host comes in the trial: ours orders, and the end of the trial does not undo it.
    more = f"more.{space}.{bed.bind.zones[0]}"
    cluster.apply(annotated_ingress(space, "web", "le", [web, more], **policy))
    cluster.wait_for(
        "the new host is not there", lambda: {"names": names_of(tenant, "web-tls")}, lambda seen: more in seen["names"]
    )
    tenant.ready("web-tls")
    orders += 1
    code, said = migrate("--finish", *UNATTENDED)
    assert code == 0, said
    for name in ("web-tls", "new-tls"):
        cluster.wait_for(
            "cert-manager's Certificate stays",
            lambda name=name: {"left": theirs(space, name)},  # type: ignore[misc]  # the present one
            lambda at: not at["left"],
        )
        tenant.ready(name)
    assert names_of(tenant, "web-tls") == sorted([web, more])
    assert cluster.secret_data(space, "new-tls") == after
    assert counted_ca.counts()[NEW_ORDER] == orders
    cluster.wait_for(
        "the policy of the Ingress does not apply",
        lambda: cluster.get("Certificate", space, "web-tls"),
        lambda seen: seen["spec"]["privateKey"]["rotationPolicy"] == "Always",
    )
    # And its Ingress has it for good: it goes with its annotation.
    cluster.patch("Ingress", space, "new", {"metadata": {"annotations": {"cert-manager.io/issuer": None}}})
    wait_gone(tenant, "new-tls")
    assert cluster.secret_data(space, "new-tls") == after


def test_in_a_mixed_cluster_what_has_moved_follows_its_ingress_and_cert_managers_shims_are_off(
    tenant: Tenant, cert_manager: CertManager, counted_ca: RecordingProxy, migrate: Migration
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    web, more = (f"{name}.{space}.{bed.bind.zones[0]}" for name in ("web", "more"))
    cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    self_signed = {"apiVersion": API, "kind": "Issuer", "metadata": {"name": "self", "namespace": space}}
    issuers = [
        waiting_issuer(bed, "le", space, counted_ca.directory_url),
        {**self_signed, "spec": {"selfSigned": {}}},
    ]
    bed.apply(*issuers)
    cluster.apply(annotated_ingress(space, "web", "le", [web]))
    cluster.apply(annotated_ingress(space, "inside", "self", ["inside.test"]))
    for name in ("web-tls", "inside-tls"):
        cluster.wait_for(f"there is no {name}", partial(their_object, bed, space, name), bool)
    wait_theirs(bed, space)
    before, orders = cluster.secret_data(space, "web-tls"), counted_ca.counts()[NEW_ORDER]

    code, said = migrate("--apply", *UNATTENDED)
    assert code == 0, said
    assert f"Annotations name issuers that stay with cert-manager at Ingress {space}/inside" in said
    assert cert_manager.running
    assert {"-ingress-shim", "-gateway-shim"} <= set(cert_manager.arguments[-1].partition("=")[2].split(","))
    tenant.ready("web-tls")
    assert cluster.secret_data(space, "web-tls") == before
    assert counted_ca.counts()[NEW_ORDER] == orders
    # The Ingress is followed by ours alone, though cert-manager runs.
    cluster.apply(annotated_ingress(space, "web", "le", [web, more]))
    cluster.wait_for(
        "the host is not followed", lambda: {"names": names_of(tenant, "web-tls")}, lambda seen: more in seen["names"]
    )
    tenant.ready("web-tls")
    assert their_object(bed, space, "web-tls")["spec"]["dnsNames"] == [web]
    assert counted_ca.counts()[NEW_ORDER] == orders + 1
    assert {one["metadata"]["name"] for one in cluster.find_all("Certificate", space)} == {"web-tls"}
    renewed = cluster.secret_data(space, "web-tls")
    assert renewed["tls.key"] == before["tls.key"]

    code, said = migrate("--back", *UNATTENDED)
    assert code == 0, said
    cluster.wait_for(
        "cert-manager does not follow the Ingress",
        lambda: their_object(bed, space, "web-tls"),
        lambda seen: seen["spec"]["dnsNames"] == [web, more],
    )
    assert cluster.find_all("Certificate", space) == []
    wait_theirs(bed, space)
