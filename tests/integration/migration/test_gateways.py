"""From cert-manager to Certwright and back: what annotations of Gateways have made."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

from harness import Tenant, tsig_secret
from harness.migrating import (
    DEPLOYMENT,
    UNATTENDED,
    Migration,
    their_object,
    wait_running,
    wait_theirs,
    waiting_issuer,
)
from testbed.definitions import GATEWAY_API
from testbed.parts.cert_manager import RESOURCES
from testbed.parts.pebble import NEW_ORDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.bed import TestBed
    from testbed.parts.cert_manager import CertManager
    from testbed.proxy import RecordingProxy

pytestmark = pytest.mark.usefixtures("without_operator")


@pytest.fixture(scope="module")
def operator_arguments() -> tuple[str, ...]:
    return ("--shim",)


@pytest.fixture
def _gateway_api(bed: TestBed) -> Iterator[None]:
    with bed.crds(*GATEWAY_API.of("gateways", "httproutes")):
        yield


@pytest.mark.usefixtures("_gateway_api")
def test_what_cert_manager_made_for_a_gateway_goes_there_and_back(
    tenant: Tenant, cert_manager: CertManager, counted_ca: RecordingProxy, migrate: Migration
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    argument = {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--enable-gateway-api"}
    bed.kubectl("patch", "deployment", "cert-manager", "-n", RESOURCES, "--type=json", "-p", json.dumps([argument]))
    try:
        cluster.wait_for(
            "its controllers do not look at Gateways",
            lambda: {"runs": cert_manager.running and "--enable-gateway-api" in cert_manager.arguments},
            lambda found: found["runs"],
        )
        wait_running(cluster, cert_manager)
        cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
        made = waiting_issuer(bed, "le", space, counted_ca.directory_url)
        bed.apply(made)
        tls = {"mode": "Terminate", "certificateRefs": [{"name": "front-tls"}]}
        listener = {"name": "web", "hostname": f"gw.{space}.{bed.bind.zones[0]}", "port": 443, "protocol": "HTTPS"}
        gateway = {
            "apiVersion": f"{GATEWAY_API.group}/v1",
            "kind": "Gateway",
            "metadata": {"name": "front", "namespace": space, "annotations": {"cert-manager.io/issuer": "le"}},
            "spec": {"gatewayClassName": "none", "listeners": [{**listener, "tls": tls}]},
        }
        cluster.apply(gateway)
        cluster.wait_for("cert-manager has made no Certificate", partial(their_object, bed, space, "front-tls"), bool)
        wait_theirs(bed, space)
        before, orders = cluster.secret_data(space, "front-tls"), counted_ca.counts()[NEW_ORDER]

        code, said = migrate("--apply", *UNATTENDED)
        assert code == 0, said
        found = cluster.wait_for(
            "our shim does not look after it",
            lambda: cluster.get("Certificate", space, "front-tls"),
            lambda seen: "certwright-shim" in {one["manager"] for one in seen["metadata"]["managedFields"]},
        )
        assert [one["kind"] for one in found["metadata"]["ownerReferences"]] == ["Gateway"]
        tenant.ready("front-tls")
        assert cluster.secret_data(space, "front-tls") == before

        code, said = migrate("--back", *UNATTENDED)
        assert code == 0, said
        assert cluster.find_all("Certificate", space) == []
        wait_theirs(bed, space)
        assert their_object(bed, space, "front-tls")["status"]["revision"] == 1
        assert cluster.secret_data(space, "front-tls") == before
        assert counted_ca.counts()[NEW_ORDER] == orders
    finally:
        cluster.apply(DEPLOYMENT)
