"""What Ingresses without annotations cost an operator with the shim: their metadata passes by, and nothing is kept."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import httpx

from bench.figure import Figure
from harness import OperatorProcess

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.bed import TestBed

NAMESPACE: Final = "many-ingresses"
SETTLE_SECONDS: Final = 5.0
AT_ONCE: Final = 16


def measure_ingresses(bed: TestBed, folder: Path, number: int) -> list[Figure]:
    """Start the operator beside so many Ingresses, once without the shim and once with it."""
    bed.kubectl("create", "namespace", NAMESPACE)
    with (
        httpx.Client(
            base_url=bed.apiserver.url,
            verify=bed.authority.client_context(bed.apiserver.admin),
            timeout=60.0,
            trust_env=False,
        ) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        for answer in pool.map(lambda one: _create(client, one), range(number)):
            answer.raise_for_status()
    without, with_shim = (_resident(bed, folder / name, arguments) for name, arguments in _RUNS)
    return [
        Figure(f"Idle beside {number:,} Ingresses, without the shim", round(without, 1), "MB", "VmRSS"),
        Figure(f"Idle beside {number:,} Ingresses, with the shim", round(with_shim, 1), "MB", "VmRSS"),
    ]


_RUNS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (("without.log", ()), ("with.log", ("--shim",)))


def _resident(bed: TestBed, log: Path, arguments: tuple[str, ...]) -> float:
    with OperatorProcess(bed.kubeconfig, log, arguments=arguments) as operator:
        time.sleep(SETTLE_SECONDS)
        return operator.resident_megabytes()


def _create(client: httpx.Client, number: int) -> httpx.Response:
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
    return client.post(
        f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses",
        content=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )
