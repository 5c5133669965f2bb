"""cert-manager's own controller beside the operator that would serve its objects: they are left to it while it runs."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from harness import Cluster, OperatorProcess, tsig_secret
from harness.cert_manager import CERTIFICATE, ISSUER, their_certificate
from harness.cluster import SECONDS, conditions
from harness.migrating import waiting_issuer
from harness.mistakes import wait_event
from testbed.definitions import CERT_MANAGER
from testbed.parts.cert_manager import RESOURCES
from testbed.parts.pebble import NEW_ORDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.cluster import Object
    from testbed.bed import TestBed
    from testbed.parts.cert_manager import CertManager
    from testbed.proxy import RecordingProxy

pytestmark = pytest.mark.usefixtures("without_operator")


@pytest.fixture
def controller(bed: TestBed, cluster: Cluster) -> Iterator[CertManager]:
    bed.apply_crds(CERT_MANAGER.find())
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RESOURCES}})
    yield bed.start_cert_manager()
    bed.end_cert_manager()


@pytest.mark.timeout(900)
def test_it_has_its_objects_while_it_runs_and_ours_take_over_without_a_reissue_when_it_ends(  # noqa: PLR0917 - fixtures
    bed: TestBed,
    cluster: Cluster,
    namespace: str,
    operator_namespace: str,
    controller: CertManager,
    counted_ca: RecordingProxy,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    log = tmp_path_factory.mktemp("mirror-controller") / "log"
    flags = f"--dns01-recursive-nameservers={bed.bind.address} --dns01-recursive-nameservers-only"
    arguments = ("--serve-cert-manager-objects", f"--cert-manager-arguments={flags}", "--cert-manager-metrics")
    host = f"{secrets.token_hex(5)}.example.test"
    cluster.apply(tsig_secret(bed, namespace, name="cm-tsig"))
    with OperatorProcess(bed.kubeconfig, log, operator_namespace=operator_namespace, arguments=arguments) as operator:
        cluster.apply(waiting_issuer(bed, "pebble", namespace, counted_ca.directory_url))
        cluster.apply(their_certificate(namespace, "web", host))
        cluster.wait_ready(CERTIFICATE, namespace, "web", seconds=2 * SECONDS)
        found = cluster.wait_for(
            "its controller is not done",
            lambda: cluster.get(CERTIFICATE, namespace, "web"),
            lambda seen: "revision" in seen["status"] and "Issuing" not in conditions(seen),
        )
        wait_event(cluster, namespace, "web", "LeftToCertManager")
        assert cluster.get("Certificate", namespace, "web") is None
        assert "certmanager_certificate_ready_status{" not in operator.metrics()
        assert managers_of(found).isdisjoint({"certwright-mirror"})
        before, orders = cluster.secret_data(namespace, "web-tls"), counted_ca.counts()[NEW_ORDER]
        assert orders == 1
        # It ends, as when its Deployment is scaled to 0.
        controller.stop()
        cluster.wait_ready("Certificate", namespace, "web", seconds=3 * SECONDS)
        after = cluster.wait_for(
            "the status is not ours",
            lambda: cluster.get(CERTIFICATE, namespace, "web"),
            lambda seen: "certwright-mirror" in managers_of(seen),
        )
        assert cluster.secret_data(namespace, "web-tls") == before
        assert counted_ca.counts()[NEW_ORDER] == orders
        assert {name: after["status"][name] for name in ("notAfter", "revision")} == {
            name: found["status"][name] for name in ("notAfter", "revision")
        }
        account = (cluster.get(ISSUER, namespace, "pebble") or {})["status"]["acme"]["uri"]
        ours = cluster.wait_ready("Issuer", namespace, "pebble")
        assert ours["status"]["acme"]["uri"] == account
        assert "certmanager_certificate_ready_status{" in operator.metrics()
        # And it comes back, while what was made for it is there.
        controller.start()

        def touched() -> Object:
            """Change what means nothing, so that the object is looked at; its Lease is looked at now and then."""
            note = {"example.test/at": secrets.token_hex(4)}
            cluster.patch(CERTIFICATE, namespace, "web", {"metadata": {"annotations": note}})
            return {"status": {"shown": "certmanager_certificate_ready_status{" in operator.metrics()}}

        cluster.wait_for("it is not left to it", touched, lambda seen: not seen["status"]["shown"])
        cluster.apply(their_certificate(namespace, "later", f"later.{host}"))
        cluster.wait_ready(CERTIFICATE, namespace, "later", seconds=2 * SECONDS)
        cluster.wait_ready(CERTIFICATE, namespace, "web")
        assert cluster.get("Certificate", namespace, "later") is None
        assert cluster.secret_data(namespace, "web-tls") == before


def managers_of(found: Object) -> set[str]:
    """Return the field managers of an object."""
    return {one["manager"] for one in found["metadata"]["managedFields"]}
