"""What one issuance costs the API server and the CA; it is part of the promise, so a request more fails here."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from harness import OperatorProcess, Tenant, tsig_secret
from harness.pod_answers import pod_answers
from testbed.options import PebbleOptions
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness import Cluster
    from testbed.bed import TestBed

USER: Final = "counted-operator"
QUIET_SECONDS: Final = 5.0
"""While an order is open the status is written again after so long, on a slow machine."""
DNS01: Final = (
    "get secrets",  # is there one already?
    "create events",
    "patch certificates",  # the finalizer
    "patch secrets",  # the pending key
    "patch secrets",
    "create events",
    "delete secrets",
    "patch certificates",
)
HTTP01: Final = (
    "get secrets",
    "create events",
    "patch services",
    "patch ingresses",
    "create pods",
    "patch secrets",
    "patch secrets",
    "create events",
    "deletecollection pods",
    "deletecollection services",
    "deletecollection ingresses",
    "delete secrets",
)
STATUS: Final = "patch certificates/status"
STATUS_WRITES: Final = 3
"""The order and what is to be presented, what it waits for, and the outcome; the second is often left out."""
ACME: Final = ["order-plz", "authZ", "chalZ", "my-order", "finalize-order", "my-order", "certZ"]


@dataclass
class Costs:
    """Counts what an operator of its own asks of a bed."""

    tenant: Tenant
    ca: RecordingProxy
    seen: int = 0

    def issue(self, name: str, host: str, issuer_name: str) -> tuple[list[str], list[str], float]:
        """Issue a certificate; return what the API server and the CA were asked, in order, and how long it took."""
        self.asked_api()
        self.ca.requests.clear()
        began = time.monotonic()
        self.tenant.apply(name, host, issuerRef={"name": issuer_name})
        self.tenant.ready(name)
        took = time.monotonic() - began
        asked: list[str] = []

        def look() -> dict[str, Any]:
            asked.extend(self.asked_api())
            return {"status": asked}

        self.tenant.cluster.wait_for(
            "there are no two Events", look, lambda _: asked.count("create events") > 1 and asked[-1] == STATUS
        )
        paths = [request.path.split("/")[1] for request in self.ca.requests]
        return asked, [path for path, _ in itertools.groupby(paths)], took

    def asked_api(self) -> list[str]:
        """Return what the API server was asked for the namespace since the last call, besides lists and watches."""
        events = self.tenant.bed.apiserver.audit_events(USER)
        new, self.seen = events[self.seen :], len(events)
        return [
            f"{event['verb']} {'/'.join(filter(None, (place['resource'], place.get('subresource'))))}"
            for event in new
            if (place := event.get("objectRef", {})).get("namespace") == self.tenant.namespace
            and event["verb"] not in {"list", "watch"}
        ]


pytestmark = pytest.mark.usefixtures("without_operator")


@pytest.fixture
def costs(bed: TestBed, cluster: Cluster, namespace: str, http_port: int, tmp_path: Path) -> Iterator[Costs]:
    options = PebbleOptions(nonce_reject_percent=0, authz_reuse_percent=0, http_port=http_port)
    kubeconfig = bed.write_kubeconfig(tmp_path / "kubeconfig", USER, ["system:masters"])
    arguments = (
        f"--namespace={namespace}",
        "--lease-name=counted",
        "--solver-image=localhost/certwright:none",
        f"--http01-port={http_port}",
    )
    pebble = bed.start_pebble(f"pebble-{namespace}", options)
    with (
        RecordingProxy.for_pebble(pebble) as ca,
        pod_answers(cluster, http_port),
        OperatorProcess(kubeconfig, tmp_path / "operator.log", arguments=arguments) as operator,
    ):
        cluster.apply(tsig_secret(bed, namespace))
        tenant = Tenant(namespace, bed, cluster, operator)
        tenant.add_issuer("dns", server=ca.directory_url)
        solver = {"http01": {"ingress": {"ingressClassName": "traefik"}, "nameservers": [bed.bind.address]}}
        tenant.add_issuer("http", server=ca.directory_url, solvers=[solver])
        yield Costs(tenant, ca)
    bed.end_pebble(pebble)


def test_an_issuance_costs_no_more_requests_to_the_api_server_and_to_the_ca_than_it_needs(costs: Costs) -> None:
    costs.issue("first", "first.example.test", "dns")
    # One after the other: what one of them asks for late is counted with the next.
    for name, issuer_name, needed in (("web", "dns", DNS01), ("file", "http", HTTP01), ("last", "dns", DNS01)):
        host = f"{costs.tenant.namespace}.http01.example.test" if issuer_name == "http" else f"{name}.example.test"
        api, ca, took = costs.issue(name, host, issuer_name)
        assert ca == ACME, name
        assert Counter(one for one in api if one != STATUS) == Counter(needed), name
        assert api.count(STATUS) <= STATUS_WRITES + int(took / QUIET_SECONDS), f"{name}: {api}"
