"""One tenant, or one account, that asks for much: the others get their turns, and the CA is left alone."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from harness import issuer, tsig_secret
from testbed.exchanges import Forward, Hang, Respond
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Cluster, Tenant
    from testbed.exchanges import Action, Request

HOSTILE_ISSUERS = 60
ORDERS = 8
EACH_SECONDS = 1.5


@pytest.fixture
def proxy(tenant: Tenant) -> Iterator[RecordingProxy]:
    with RecordingProxy.for_pebble(tenant.bed.pebble) as front:
        yield front


@pytest.fixture
def hostile(tenant: Tenant, cluster: Cluster) -> Iterator[str]:
    """Another tenant's namespace."""
    name = f"hostile-{uuid.uuid4().hex[:8]}"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    cluster.apply(tsig_secret(tenant.bed, name))
    yield name
    for found in cluster.find_all("Issuer", name):
        cluster.delete("Issuer", name, found["metadata"]["name"])
    tenant.bed.kubectl("delete", "namespace", name, "--wait=false")


def test_a_tenant_with_many_issuers_at_a_ca_that_hangs_holds_up_no_neighbour(
    tenant: Tenant, cluster: Cluster, hostile: str, proxy: RecordingProxy
) -> None:
    proxy.on_request = lambda _: Hang()
    for number in range(HOSTILE_ISSUERS):
        cluster.apply(issuer(tenant.bed, hostile, name=f"slow-{number}", server=proxy.directory_url))
    cluster.wait_for(
        "the CA is not waited for",
        lambda: {"status": {"aside": _metric(tenant, "certwright_queue_aside")}},
        lambda seen: seen["status"]["aside"] >= 10,
    )
    began = time.monotonic()
    tenant.add_issuer("neighbour")
    tenant.apply("web", f"web.{tenant.namespace}.example.test", issuerRef={"name": "neighbour"})
    tenant.ready("web")
    assert time.monotonic() - began < 10
    assert _metric(tenant, "certwright_queue_held") <= 24
    assert tenant.operator.why_not_ready() is None, "the backlog of one tenant is no trouble of the operator"


def test_all_who_use_an_account_share_the_wait_that_its_ca_asks_for(tenant: Tenant, proxy: RecordingProxy) -> None:
    taken: list[float] = []
    refused: list[float] = []
    problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many new orders from this account"}

    def limit(request: Request) -> Action:
        if "order-plz" not in request.path:
            return Forward()
        now = time.monotonic()
        if taken and now - taken[-1] < EACH_SECONDS:
            refused.append(now)
            headers = {"Content-Type": "application/problem+json", "Retry-After": "2"}
            return Respond(429, json.dumps(problem | {"status": 429}).encode(), headers)
        taken.append(now)
        return Forward()

    proxy.on_request = limit
    tenant.add_issuer("limited", server=proxy.directory_url)
    names = [f"limited-{number}" for number in range(ORDERS)]
    for name in names:
        tenant.apply(name, f"{name}.{tenant.namespace}.example.test", issuerRef={"name": "limited"})
    tenant.cluster.wait_all_ready("Certificate", tenant.namespace, names, seconds=120)
    # Pebble refuses nonces on purpose; such a request counts at the limit, and is sent again at once, which is refused.
    assert len(taken) < 3 * ORDERS
    assert len(refused) <= ORDERS + (len(taken) - ORDERS)


def _metric(tenant: Tenant, name: str) -> float:
    line = next(line for line in tenant.operator.metrics().splitlines() if line.startswith(f"{name} "))
    return float(line.split()[1])
