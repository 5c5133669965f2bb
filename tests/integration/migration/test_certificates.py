"""From cert-manager to Certwright and back, with cert-manager's own controllers and a CA that counts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from certwright.migration.assessment import assess
from certwright.migration.inventory import of_manifests
from harness import Tenant, certificate, issuer, tsig_secret
from harness.cert_manager import API, their_certificate
from harness.migrating import (
    SECONDS,
    UNATTENDED,
    Migration,
    remove_shared,
    scale,
    wait_running,
    wait_theirs,
    waiting_issuer,
)
from harness.mistakes import wait_event
from testbed.parts.pebble import NEW_ORDER
from tests.fakes.cert_manager import OBJECTS, STAYS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from certwright.migration.assessment import Assessed
    from testbed.parts.cert_manager import CertManager
    from testbed.proxy import RecordingProxy

pytestmark = pytest.mark.usefixtures("without_operator")


def test_fifty_objects_are_cert_managers_own_and_what_moves_is_ours(
    cert_manager: CertManager, tenant: Tenant, tmp_path: Path
) -> None:
    assert cert_manager.name
    bed = tenant.bed
    objects = [
        {**one, "metadata": {**one["metadata"], "namespace": tenant.namespace}}
        if one["kind"] != "ClusterIssuer"
        else one
        for one, _ in OBJECTS
    ]
    file = tmp_path / "theirs.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    # Their API server's schema takes every fixture, and ours takes what we make of it.
    assert bed.kubectl("create", "--dry-run=server", "-f", str(file)).count("created") == len(objects)
    ours = [one.translation.manifest for one in _assessed(objects) if one.moves]
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": ours}))
    assert bed.kubectl("create", "--dry-run=server", "--validate=strict", "-f", str(file)).count("created") == len(ours)
    assert len(ours) == sum(verdict != STAYS for _, verdict in OBJECTS)


def _assessed(objects: list[dict[str, Any]]) -> list[Assessed]:
    found = assess(of_manifests(objects))
    return [*found.issuers, *found.certificates]


def test_ours_holds_still_while_cert_manager_looks_after_the_secret_and_goes_on_when_its_controller_ends(
    tenant: Tenant, counted_ca: RecordingProxy
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    host = f"web.{space}.{bed.bind.zones[0]}"
    for name in ("cm-tsig", "tsig"):
        cluster.apply(tsig_secret(bed, space, name=name))
    cluster.apply(issuer(bed, space, name="ours", server=counted_ca.directory_url))
    objects = [
        waiting_issuer(bed, "le", space, counted_ca.directory_url),
        their_certificate(space, "theirs", host, issuerRef={"name": "le"}, secretName="shared-tls"),
    ]
    bed.apply(*objects)
    wait_theirs(bed, space)
    before, orders = cluster.secret_data(space, "shared-tls"), counted_ca.counts()[NEW_ORDER]

    cluster.apply(certificate(space, "ours", [host], issuerRef={"name": "ours"}, secretName="shared-tls"))
    message = tenant.not_ready("ours", "ClaimedByCertManager")["message"]
    assert message.startswith("cert-manager's Certificate theirs names Secret shared-tls too")
    wait_event(cluster, space, "ours", "ClaimedByCertManager")
    # Another Secret is none of its business.
    cluster.apply(certificate(space, "own", [f"own.{host}"], issuerRef={"name": "ours"}))
    tenant.ready("own")
    assert cluster.secret_data(space, "shared-tls") == before
    assert counted_ca.counts()[NEW_ORDER] == orders + 1

    scale(bed, 0)
    try:
        tenant.ready("ours")  # adopted, with what is there
        assert cluster.secret_data(space, "shared-tls") == before
    finally:
        scale(bed, 1)
    tenant.not_ready("ours", "ClaimedByCertManager")
    bed.kubectl("delete", "certificates.cert-manager.io", "theirs", "-n", space)
    tenant.ready("ours")
    assert cluster.secret_data(space, "shared-tls") == before
    assert counted_ca.counts()[NEW_ORDER] == orders + 1


def test_there_and_back_and_there_for_good_without_an_order(  # noqa: PLR0917 - fixtures
    tenant: Tenant,
    cert_manager: CertManager,
    counted_ca: RecordingProxy,
    theirs: Callable[..., dict[str, Any]],
    migrate: Migration,
    operator_namespace: str,
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    zone = bed.bind.zones[0]
    cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    shared = {"name": f"le-{space}", "kind": "ClusterIssuer"}
    objects = [
        waiting_issuer(bed, shared["name"], None, counted_ca.directory_url),
        waiting_issuer(bed, "le", space, counted_ca.directory_url),
        their_certificate(space, "web", f"web.{space}.{zone}", f"www.{space}.{zone}", issuerRef=shared),
        their_certificate(
            space, "api", f"api.{space}.{zone}", issuerRef={"name": "le"}, privateKey={"algorithm": "ECDSA"}
        ),
    ]
    bed.apply(*objects)
    bed.kubectl(
        "wait", "--for=condition=Ready", "certificates.cert-manager.io", "--all", "-n", space, f"--timeout={SECONDS}s"
    )
    before = {name: cluster.secret_data(space, f"{name}-tls") for name in ("web", "api")}
    orders = counted_ca.counts()[NEW_ORDER]
    uri = theirs("", shared["name"], "clusterissuers")["status"]["acme"]["uri"]

    verdicts = {one["name"]: one["verdict"] for one in json.loads(migrate("-o", "json")[1])["objects"]}
    assert {"web": "moves", "api": "moves", "le": "moves", shared["name"]: "moves"}.items() <= verdicts.items()

    code, said = migrate("--apply", "--yes", "--timeout", "90s")
    assert code == 0, said
    assert "2 of 2 Certificates are Certwright's now" in said
    assert not cert_manager.running
    for name, data in before.items():
        tenant.ready(name)
        assert cluster.secret_data(space, f"{name}-tls") == data
    found = cluster.get("ClusterIssuer", None, shared["name"])
    assert found is not None
    assert found["status"]["acme"]["uri"] == uri
    assert counted_ca.counts()[NEW_ORDER] == orders

    code, said = migrate("--back", "--yes")
    assert code == 0, said
    assert "2 Certificates are cert-manager's again" in said
    wait_running(cluster, cert_manager)
    # It looks at everything when it starts, and writes the status of what it has judged.
    bed.kubectl("annotate", "certificates.cert-manager.io", "--all", "-n", space, "seen=again")
    bed.kubectl("wait", "--for=condition=Ready", "certificates.cert-manager.io", "--all", "-n", space)
    assert {name: theirs(space, name)["status"]["revision"] for name in before} == {"web": 1, "api": 1}
    assert counted_ca.counts()[NEW_ORDER] == orders

    assert migrate("--apply", *UNATTENDED)[0] == 0
    code, said = migrate("--finish", *UNATTENDED)
    assert code == 0, said
    assert "uninstall it the way you installed it" in said
    cluster.wait_for(
        "cert-manager's Certificate stays", lambda: {"left": theirs(space, "web")}, lambda at: not at["left"]
    )
    for name, data in before.items():
        assert tenant.ready(name)["spec"]["privateKey"]["rotationPolicy"] == "Always"
        assert cluster.secret_data(space, f"{name}-tls") == data
    assert counted_ca.counts()[NEW_ORDER] == orders
    remove_shared(cluster, shared["name"], operator_namespace)


def test_in_a_mixed_cluster_cert_manager_goes_on_for_what_stays_and_fights_for_nothing_that_has_moved(
    tenant: Tenant,
    counted_ca: RecordingProxy,
    theirs: Callable[..., dict[str, Any]],
    migrate: Migration,
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    host = f"web.{space}.{bed.bind.zones[0]}"
    cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    at = {"namespace": space}
    objects = [
        waiting_issuer(bed, "le", space, counted_ca.directory_url),
        {"apiVersion": API, "kind": "Issuer", "metadata": {"name": "self", **at}, "spec": {"selfSigned": {}}},
        {"apiVersion": API, "kind": "Issuer", "metadata": {"name": "ca", **at}, "spec": {"ca": {"secretName": "root"}}},
        their_certificate(
            space, "root", "root.test", issuerRef={"name": "self"}, secretName="root", isCA=True, commonName="root"
        ),
        their_certificate(space, "internal", "internal.test", issuerRef={"name": "ca"}),
        their_certificate(space, "web", host, issuerRef={"name": "le"}),
    ]
    bed.apply(*objects)
    wait_theirs(bed, space)
    before, orders = cluster.secret_data(space, "web-tls"), counted_ca.counts()[NEW_ORDER]

    def reissue_internal() -> None:
        cluster.delete("Secret", space, "internal-tls")
        cluster.wait_for(
            "cert-manager has not issued it again", lambda: cluster.get("Secret", space, "internal-tls"), bool
        )
        wait_theirs(bed, space)

    code, said = migrate("--apply", *UNATTENDED)
    assert code == 0, said
    assert "1 of 1 Certificates are Certwright's now" in said
    tenant.ready("web")
    assert cluster.secret_data(space, "web-tls") == before
    reissue_internal()
    # A renewal of ours, with the key kept, is no reason for its controller to issue.
    renewal = {"request": {"id": "once", "action": "Renew"}}
    cluster.patch("Certificate", space, "web", {"spec": renewal})
    cluster.wait_for(
        "it was not renewed",
        lambda: {"data": cluster.secret_data(space, "web-tls")["tls.crt"]},
        lambda found: found["data"] != before["tls.crt"],
    )
    renewed = cluster.secret_data(space, "web-tls")
    reissue_internal()
    assert renewed["tls.key"] == before["tls.key"]
    assert theirs(space, "web")["status"]["revision"] == 1
    assert counted_ca.counts()[NEW_ORDER] == orders + 1

    code, said = migrate("--back", *UNATTENDED)
    assert code == 0, said
    reissue_internal()
    assert cluster.secret_data(space, "web-tls") == renewed
    assert theirs(space, "web")["status"]["revision"] == 1
    assert counted_ca.counts()[NEW_ORDER] == orders + 1
