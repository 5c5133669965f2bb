"""Objects of cert-manager with the chart's rights, and in a cluster with two releases that serve a namespace each."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import pytest

from certwright.cert_manager.api import CONTROLLER_LEASE, LEASE_NAMESPACE
from harness import OperatorProcess, tsig_secret
from harness.cert_manager import CERTIFICATE, CLUSTER_ISSUER, ISSUER, their_certificate, their_issuer
from harness.chart_rights import ChartRights
from testbed.definitions import CERT_MANAGER
from testbed.parts.pebble import NEW_ORDER
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chart import Helm
    from harness import Cluster
    from testbed.bed import TestBed

pytestmark = pytest.mark.usefixtures("without_operator")

ARGUMENTS: Final = ("--dns01-recursive-nameservers={}", "--dns01-recursive-nameservers-only")


@pytest.fixture
def namespaces(bed: TestBed, cluster: Cluster) -> Iterator[Callable[[str], str]]:
    """Makes namespaces with the credentials of the DNS server, which go with the test."""
    made: list[str] = []

    def make(label: str) -> str:
        made.append(f"{label}-{secrets.token_hex(3)}")
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": made[-1]}})
        cluster.apply(tsig_secret(bed, made[-1]))
        return made[-1]

    bed.apply_crds(CERT_MANAGER.find())
    cluster.delete("Lease", LEASE_NAMESPACE, CONTROLLER_LEASE)
    yield make
    for name in made:
        cluster.delete("Namespace", None, name)


def test_two_releases_serve_a_namespace_each_and_share_a_cluster_issuer_without_a_fight(
    bed: TestBed,
    cluster: Cluster,
    helm: Helm,
    tmp_path: Path,
    *,
    namespaces: Callable[[str], str],
    counted_ca: RecordingProxy,
) -> None:
    first, second = namespaces("first"), namespaces("second")
    homes = namespaces("home"), namespaces("home")
    arguments = [one.format(bed.bind.address) for one in ARGUMENTS]
    values = {
        "namespaces": [first],
        "shim": {"enabled": False},
        "certManager": {"guard": False, "serveObjects": {"enabled": True, "arguments": arguments}},
    }
    shared = f"shared-{secrets.token_hex(3)}"
    with (
        ChartRights(bed, helm, homes[0], values) as rights,
        RecordingProxy.for_apiserver(bed.apiserver) as api,
    ):
        environment = rights.environment
        # The account of the first has the chart's rights; its requests bear its token.
        one = OperatorProcess(
            rights.kubeconfig(tmp_path / "one"),
            tmp_path / "one.log",
            operator_namespace=homes[0],
            environment=environment,
        )
        two = OperatorProcess(
            api.kubeconfig(tmp_path / "two"),
            tmp_path / "two.log",
            operator_namespace=homes[1],
            arguments=(
                f"--namespace={second}",
                "--serve-cert-manager-objects",
                f"--cert-manager-arguments={' '.join(arguments)}",
                "--identity=two",
            ),
        )
        cluster.apply(their_issuer(bed, None, shared, server=counted_ca.directory_url))
        for place in (first, second):
            cluster.apply(their_issuer(bed, place, server=counted_ca.directory_url))
        try:
            with one, two:
                cluster.wait_ready(CLUSTER_ISSUER, None, shared)
                reference = {"name": shared, "kind": "ClusterIssuer"}
                for number in range(3):
                    for place in (first, second):
                        cluster.wait_ready(ISSUER, place, "pebble")
                        own = their_certificate(place, f"own{number}", f"own{number}.{place}.example.test")
                        by_shared = their_certificate(
                            place, f"shared{number}", f"shared{number}.{place}.example.test", issuerRef=reference
                        )
                        for body in (own, by_shared):
                            cluster.apply(body)
                    for place in (first, second):
                        for name in (f"own{number}", f"shared{number}"):
                            cluster.wait_ready(CERTIFICATE, place, name)
                writes = [call for call in api.counts().elements() if call[0] != "GET" and "events" not in call[1]]
                elsewhere = [path for _, path in writes if f"/{first}/" in path]
                about = [path for _, path in writes if f"/clusterissuers/{shared}" in path]
                assert elsewhere == []
                # Both write what they know of it; three rounds of issuances later nothing is written again.
                assert len(about) < 6, about
                assert counted_ca.counts()[NEW_ORDER] == 12
                for place, home in zip((first, second), homes, strict=True):
                    assert cluster.get("Secret", place, "own0-tls")
                    assert cluster.get("Secret", home, f"{shared}-account")
        finally:
            cluster.delete(CLUSTER_ISSUER, None, shared)
    cluster.wait_gone("ClusterIssuer", None, shared)
