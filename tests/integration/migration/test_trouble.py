"""From cert-manager to Certwright and back when something gets in the way: people, rights, the API server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from harness import Tenant, tsig_secret
from harness.cert_manager import their_certificate
from harness.migrating import UNATTENDED, Migration, wait_theirs, waiting_issuer
from testbed.exchanges import Forward, Respond
from testbed.parts.pebble import NEW_ORDER
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from testbed.exchanges import Action, Request, Response
    from testbed.parts.cert_manager import CertManager

pytestmark = pytest.mark.usefixtures("without_operator")


def test_of_two_who_migrate_at_once_one_is_told_and_who_interrupts_it_leaves_nothing_held(
    tenant: Tenant, cert_manager: CertManager, counted_ca: RecordingProxy, migrate: Migration, tmp_path: Path
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    made = waiting_issuer(bed, "le", space, counted_ca.directory_url)
    bed.apply(made)
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


def have_theirs_issued(tenant: Tenant, ca: RecordingProxy) -> None:
    """Have cert-manager issue the Certificate `web` by its Issuer `le`."""
    space, bed = tenant.namespace, tenant.bed
    tenant.cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    bed.apply(
        waiting_issuer(bed, "le", space, ca.directory_url),
        their_certificate(space, "web", f"web.{space}.{bed.bind.zones[0]}", issuerRef={"name": "le"}),
    )
    wait_theirs(bed, space)


def test_an_api_server_that_refuses_loses_and_contradicts_costs_nothing_but_time(
    tenant: Tenant, counted_ca: RecordingProxy, tmp_path: Path
) -> None:
    """Each write is answered by 429 first, then carried out with its answer lost; a Deployment is changed meanwhile."""
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    have_theirs_issued(tenant, counted_ca)
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
    have_theirs_issued(tenant, counted_ca)
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
