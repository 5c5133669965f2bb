"""From cert-manager to Certwright and back: what annotations of Ingresses have made, and people in a hurry."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography import x509

from harness import OperatorProcess, Tenant, tsig_secret
from harness.cert_manager import API, their_certificate
from harness.migrating import (
    DEPLOYMENT,
    UNATTENDED,
    Migration,
    scale,
    their_object,
    wait_running,
    wait_theirs,
    waiting_issuer,
)
from testbed.definitions import GATEWAY_API
from testbed.exchanges import Forward, Respond
from testbed.parts.cert_manager import RESOURCES
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness import Cluster
    from testbed.bed import TestBed
    from testbed.exchanges import Action, Request, Response
    from testbed.parts.cert_manager import CertManager

pytestmark = pytest.mark.usefixtures("without_operator")

NEW_ORDER: Final = ("POST", "/order-plz")


@pytest.fixture(scope="module")
def guarded(
    bed: TestBed, operator_namespace: str, cert_manager: CertManager, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """The operator with its guard, beside cert-manager's controllers."""
    assert cert_manager.name
    log = tmp_path_factory.mktemp("guarded") / "log"
    with OperatorProcess(
        bed.kubeconfig, log, operator_namespace=operator_namespace, arguments=("--cert-manager-guard", "--shim")
    ) as running:
        yield running


@pytest.fixture
def tenant(
    bed: TestBed, cluster: Cluster, namespace: str, guarded: OperatorProcess, cert_manager: CertManager
) -> Tenant:
    """One with cert-manager's controllers running, whatever an earlier test has migrated."""
    scale(bed, 1)
    wait_running(cluster, cert_manager)
    return Tenant(namespace, bed, cluster, guarded)


@pytest.fixture(scope="module")
def migrate(bed: TestBed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migration]:
    with Migration(bed, tmp_path_factory.mktemp("migrate")) as program:
        yield program


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
    bed.kubectl("apply", "-f", "-", stdin=json.dumps(made))
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
    bed.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": issuers}))
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


def test_of_two_who_migrate_at_once_one_is_told_and_who_interrupts_it_leaves_nothing_held(
    tenant: Tenant, cert_manager: CertManager, counted_ca: RecordingProxy, migrate: Migration, tmp_path: Path
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    made = waiting_issuer(bed, "le", space, counted_ca.directory_url)
    bed.kubectl("apply", "-f", "-", stdin=json.dumps(made))
    program = [str(Path(sys.executable).parent / "certwright"), "migrate", "--apply", *UNATTENDED]
    # Without an operator no issuer becomes ready, so the first step waits.
    tenant.operator.stop()
    output = tmp_path / "output"
    try:
        with output.open("w") as file:
            first = subprocess.Popen(  # noqa: S603 - our own program
                program, stdout=file, stderr=file, env={**os.environ, "KUBECONFIG": str(bed.kubeconfig)}
            )
        held = cluster.wait_for(
            "the Lease is not held",
            lambda: cluster.get("Lease", "certwright", "certwright-migration"),
            lambda seen: bool(seen["spec"].get("holderIdentity")),
        )
        code, said = migrate("--back", *UNATTENDED)
        assert code != 0
        assert f"{held['spec']['holderIdentity']} is migrating" in said
        first.send_signal(signal.SIGINT)
        assert first.wait(60) == 130
        assert "Interrupted. What was done stays as it is" in output.read_text()
        assert cluster.get("Lease", "certwright", "certwright-migration") is None
        assert cert_manager.running
    finally:
        tenant.operator.start()
    code, said = migrate("--apply", *UNATTENDED)
    assert code == 0, said
    assert "has begun a migration" not in said
    assert migrate("--back", *UNATTENDED)[0] == 0


def test_an_api_server_that_refuses_loses_and_contradicts_costs_nothing_but_time(
    tenant: Tenant, counted_ca: RecordingProxy, tmp_path: Path
) -> None:
    """Each write is answered by 429 first, then carried out with its answer lost; a Deployment is changed meanwhile."""
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    objects = [
        waiting_issuer(bed, "le", space, counted_ca.directory_url),
        their_certificate(space, "web", f"web.{space}.{bed.bind.zones[0]}", issuerRef={"name": "le"}),
    ]
    bed.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    wait_theirs(bed, space)
    before, orders = cluster.secret_data(space, "web-tls"), counted_ca.counts()[NEW_ORDER]
    asked: Counter[tuple[str, str]] = Counter()

    def on_request(request: Request) -> Action:
        if not request.is_write:
            return Forward()
        asked[request.method, request.path] += 1
        if asked[request.method, request.path] > 1:
            return Forward()
        code = 409 if "/deployments/" in request.path else 429
        return Respond(code, _status(code))

    def on_response(request: Request, _response: Response) -> Action:
        # The program is told here to give up after a second without its Lease.
        renewal = request.path.endswith("/leases/certwright-migration")
        lost = request.is_write and asked[request.method, request.path] == 2 and not renewal
        return Respond(500, _status(500)) if lost else Forward()

    with RecordingProxy.for_apiserver(bed.apiserver) as api:
        kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
        with Migration(bed, tmp_path, kubeconfig=kubeconfig) as migrate:
            for step, said in (
                ("--apply", "1 of 1 Certificates"),
                ("--back", "1 Certificates are cert-manager's again"),
            ):
                asked.clear()
                api.on_request, api.on_response = on_request, on_response
                code, output = migrate(step, *UNATTENDED)
                assert code == 0, output
                assert said in output
                assert max(asked.values()) >= 2
    wait_theirs(bed, space)
    assert cluster.secret_data(space, "web-tls") == before
    assert counted_ca.counts()[NEW_ORDER] == orders


def _status(code: int) -> bytes:
    reason = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError"}[code]
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": "no",
    }
    return json.dumps(status).encode()


MOVER: Final = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "mover"},
    "rules": [
        *(
            {"apiGroups": [group], "resources": ["*"], "verbs": ["*"]}
            for group in ("", "apps", "coordination.k8s.io", "cert-manager.io", "acme.cert-manager.io")
        ),
        {"apiGroups": ["certwright.io"], "resources": ["issuers", "clusterissuers"], "verbs": ["*"]},
        {"apiGroups": ["certwright.io"], "resources": ["certificates"], "verbs": ["get", "list"]},
    ],
}
"""Whoever has this may do all that a migration does, but for creating Certificates of ours."""


def test_who_may_not_create_certificates_stops_nothing(
    tenant: Tenant, cert_manager: CertManager, counted_ca: RecordingProxy, tmp_path: Path
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    objects = [
        waiting_issuer(bed, "le", space, counted_ca.directory_url),
        their_certificate(space, "web", f"web.{space}.{bed.bind.zones[0]}", issuerRef={"name": "le"}),
    ]
    bed.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    wait_theirs(bed, space)
    cluster.apply(MOVER)
    bed.kubectl("create", "clusterrolebinding", "mover", "--clusterrole=mover", "--user=mover")
    kubeconfig = bed.write_kubeconfig(tmp_path / "kubeconfig", "mover", ())
    try:
        with Migration(bed, tmp_path, kubeconfig=kubeconfig) as migrate:
            code, said = migrate("--apply", *UNATTENDED)
    finally:
        bed.kubectl("delete", "clusterrolebinding,clusterrole", "mover")
    assert code != 0
    assert "Nothing was stopped" in said
    assert f"Certificate {space}/web: cannot be moved: could not write certificates.certwright.io {space}/web" in said
    assert cert_manager.running
    assert cluster.find_all("Certificate", space) == []


def test_what_cert_manager_made_for_a_gateway_goes_there_and_back(
    tenant: Tenant, cert_manager: CertManager, counted_ca: RecordingProxy, migrate: Migration
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    plurals = ("gateways", "httproutes")
    bed.apply_crds(*GATEWAY_API.of(*plurals))
    crds = [f"{plural}.{GATEWAY_API.group}" for plural in plurals]
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
        bed.kubectl("apply", "-f", "-", stdin=json.dumps(made))
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
        bed.kubectl("delete", "crd", *crds, "--wait=false")
