"""What objects of others cost an idle operator.

Of Ingresses without annotations the metadata passes by the shim, and nothing is kept; of cert-manager's Certificates
the guard keeps which Secrets they name.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import httpx

from bench.figure import Figure
from harness import OperatorProcess
from testbed.definitions import CERT_MANAGER
from testbed.parts.cert_manager import LEASE

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.bed import TestBed

NAMESPACE: Final = "many-ingresses"
SETTLE_SECONDS: Final = 5.0
AT_ONCE: Final = 16


def measure_ingresses(bed: TestBed, folder: Path, number: int) -> list[Figure]:
    """Start the operator beside so many Ingresses, without the shim and with it, and beside as many Certificates."""
    bed.kubectl("create", "namespace", NAMESPACE)
    bed.apply_crds(CERT_MANAGER.find())
    with (
        httpx.Client(
            base_url=bed.apiserver.url,
            verify=bed.authority.client_context(bed.apiserver.admin),
            timeout=60.0,
            trust_env=False,
        ) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        for make in (_ingress, _certificate):
            for answer in pool.map(lambda one, make=make: _create(client, *make(one)), range(number)):
                answer.raise_for_status()
        # As its controller does; one lease is believed for as long as it says of itself.
        lease = {"metadata": {"name": LEASE[1]}, "spec": {"holderIdentity": "bench", "leaseDurationSeconds": 300}}
        _create(client, f"/apis/coordination.k8s.io/v1/namespaces/{LEASE[0]}/leases", lease).raise_for_status()
    return [
        Figure(name.format(f"{number:,}"), round(_resident(bed, folder / f"{index}.log", arguments), 1), "MB", "VmRSS")
        for index, (name, arguments) in enumerate(_RUNS)
    ]


_RUNS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("Idle beside {} Ingresses, without the shim", ()),
    ("Idle beside {} Ingresses, with the shim", ("--shim",)),
    ("Idle beside {} Certificates of a cert-manager that runs, with the guard", ("--cert-manager-guard",)),
)


def _resident(bed: TestBed, log: Path, arguments: tuple[str, ...]) -> float:
    with OperatorProcess(bed.kubeconfig, log, arguments=arguments) as operator:
        time.sleep(SETTLE_SECONDS)
        return operator.resident_megabytes()


def _ingress(number: int) -> tuple[str, dict[str, Any]]:
    host = f"host-{number}.example.test"
    backend = {"service": {"name": "shop", "port": {"number": 80}}}
    body: dict[str, Any] = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": f"shop-{number}",
            "labels": {"app.kubernetes.io/name": "shop", "app.kubernetes.io/instance": f"shop-{number}"},
            "annotations": {"meta.helm.sh/release-name": f"shop-{number}", "nginx.ingress.kubernetes.io/rewrite": "/"},
        },
        "spec": {
            "tls": [{"hosts": [host], "secretName": f"shop-{number}-tls"}],
            "rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
        },
    }
    return f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses", body


def _certificate(number: int) -> tuple[str, dict[str, Any]]:
    body = {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": f"shop-{number}"},
        "spec": {
            "dnsNames": [f"host-{number}.example.test"],
            "secretName": f"shop-{number}-tls",
            "issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer", "group": "cert-manager.io"},
            "usages": ["digital signature", "key encipherment"],
        },
    }
    return f"/apis/cert-manager.io/v1/namespaces/{NAMESPACE}/certificates", body


def _create(client: httpx.Client, path: str, body: dict[str, Any]) -> httpx.Response:
    return client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
