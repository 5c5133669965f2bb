"""Two releases of the operator in one cluster that serve one namespace: one acts, the other says that it does not."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from harness import OperatorProcess, issuer, tsig_secret
from harness.cluster import SECONDS, conditions
from harness.tenant import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness import Cluster
    from testbed.bed import TestBed
    from testbed.proxy import RecordingProxy

pytestmark = pytest.mark.usefixtures("without_operator")

NEW_ORDER = ("POST", "/order-plz")
NAMES = ("one", "two", "three")


@pytest.fixture
def homes(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """The namespaces of two releases."""
    names = tuple(f"release-{letter}-{secrets.token_hex(3)}" for letter in "ab")
    for name in names:
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield names[0], names[1]
    for name in names:
        cluster.delete("Namespace", None, name)


def conflict_of(space: Workspace, kind: str, name: str) -> dict[str, Any]:
    found = conditions(space.cluster.get(kind, space.namespace, name) or {})
    return found.get("OperatorConflict", {})


def wait_conflict(space: Workspace, name: str) -> str:
    """Wait until a Certificate names another release, and return what it says."""
    found = space.cluster.wait_for(
        f"{name} does not name the other release",
        lambda: {"status": conflict_of(space, "Certificate", name)},
        lambda seen: bool(seen["status"]),
    )
    message: str = found["status"]["message"]
    return message


@pytest.mark.parametrize("election", [("--leader-elect",), ()])
def test_of_two_releases_one_orders_and_the_other_names_it_and_takes_over_when_it_ends(
    bed: TestBed,
    cluster: Cluster,
    namespace: str,
    homes: tuple[str, str],
    tmp_path: Path,
    *,
    counted_ca: RecordingProxy,
    election: tuple[str, ...],
) -> None:
    space = Workspace(namespace, bed, cluster)
    first, second = (
        OperatorProcess(
            bed.kubeconfig,
            tmp_path / f"{home}.log",
            operator_namespace=home,
            arguments=(*election, f"--identity={home}"),
        )
        for home in homes
    )
    with first:
        cluster.apply(tsig_secret(bed, namespace))
        cluster.apply(issuer(bed, namespace, server=counted_ca.directory_url))
        cluster.wait_ready("Issuer", namespace, "pebble")
        with second:
            for name in NAMES:
                space.apply(name, f"{name}.{secrets.token_hex(4)}.example.test")
            for name in NAMES:
                space.ready(name)
                told = wait_conflict(space, name)
                assert f"The release {homes[0]}/certwright of Certwright" in told
                assert f"the release {homes[1]}/certwright does nothing with it" in told
            assert conflict_of(space, "Issuer", "pebble")
            assert counted_ca.counts()[NEW_ORDER] == len(NAMES)
            first.stop()
            space.apply("later", f"later.{secrets.token_hex(4)}.example.test")
            space.ready("later", seconds=SECONDS + 60)
            cluster.wait_for(
                "the condition stays",
                lambda: {"status": [conflict_of(space, "Certificate", name) for name in NAMES]},
                lambda seen: not any(seen["status"]),
            )
            assert counted_ca.counts()[NEW_ORDER] == len(NAMES) + 1
