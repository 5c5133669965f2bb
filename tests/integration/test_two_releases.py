"""Two releases of the operator in one cluster that serve one namespace: one acts, the other says that it does not."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from certwright.kube.claims import OPERATOR_LABEL
from harness import OperatorProcess, issuer, tsig_secret
from harness.cluster import SECONDS, conditions
from harness.tenant import Workspace
from testbed.parts.pebble import NEW_ORDER
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness import Cluster, Tenant
    from testbed.bed import TestBed
    from testbed.parts.pebble import Pebble

NAMES = ("one", "two", "three")


@dataclass(frozen=True)
class Stage:
    """Two releases and their own namespaces, the one that both serve, and the CA that counts their orders."""

    space: Workspace
    homes: tuple[str, str]
    releases: tuple[OperatorProcess, OperatorProcess]
    ca: RecordingProxy


@pytest.fixture(scope="module", autouse=True)
def _no_other_release(bed: TestBed, without_operator: None) -> None:
    """Remove the Leases of operators that were killed: for a while they count as releases, and are older than ours."""
    del without_operator
    bed.kubectl("delete", "leases", "--all-namespaces", "--selector", f"{OPERATOR_LABEL}=true")


@pytest.fixture
def namespaces(cluster: Cluster) -> Iterator[Callable[[str], str]]:
    """Makes namespaces, which go with the test."""
    made: list[str] = []

    def make(label: str) -> str:
        made.append(f"{label}-{secrets.token_hex(3)}")
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": made[-1]}})
        return made[-1]

    yield make
    for name in made:
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


def stage(
    bed: TestBed, cluster: Cluster, namespaces: Callable[[str], str], *, ca: RecordingProxy, logs: Path, election: bool
) -> Stage:
    shared = namespaces("shared")
    homes = namespaces("release-a"), namespaces("release-b")
    # They serve the one namespace only, and are no others to the pair that is tried beside them.
    arguments = (f"--namespace={shared}", *(("--leader-elect",) if election else ()))
    first, second = (
        OperatorProcess(
            bed.kubeconfig,
            logs / f"{home}.log",
            operator_namespace=home,
            arguments=(*arguments, f"--identity={home}"),
        )
        for home in homes
    )
    cluster.apply(tsig_secret(bed, shared))
    cluster.apply(issuer(bed, shared, server=ca.directory_url))
    return Stage(Workspace(shared, bed, cluster), homes, (first, second), ca)


def play(on: Stage) -> None:
    space, (first, second) = on.space, on.releases
    with first:
        space.cluster.wait_ready("Issuer", space.namespace, "pebble")
        with second:
            for name in NAMES:
                space.apply(name, f"{name}.{space.namespace}.example.test")
            for name in NAMES:
                space.ready(name)
                told = wait_conflict(space, name)
                assert f"The release {on.homes[0]}/certwright of Certwright" in told
                assert f"the release {on.homes[1]}/certwright leaves it alone" in told
            assert conflict_of(space, "Issuer", "pebble")
            assert on.ca.counts()[NEW_ORDER] == len(NAMES)
            first.stop()
            space.apply("later", f"later.{space.namespace}.example.test")
            space.ready("later", seconds=SECONDS + 60)
            space.cluster.wait_for(
                "the condition stays",
                lambda: {"status": [conflict_of(space, "Certificate", name) for name in NAMES]},
                lambda seen: not any(seen["status"]),
            )
            assert on.ca.counts()[NEW_ORDER] == len(NAMES) + 1


def test_of_two_releases_one_orders_and_the_other_names_it_and_takes_over_when_it_ends(
    bed: TestBed,
    cluster: Cluster,
    namespaces: Callable[[str], str],
    make_pebble: Callable[..., Pebble],
    tmp_path: Path,
) -> None:
    """With an election and without, at the same time: most of it is waiting until the Lease of the first has ended."""
    pebbles = [make_pebble(nonce_reject_percent=0, authz_reuse_percent=0) for _ in range(2)]
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        proxies = [stack.enter_context(RecordingProxy.for_pebble(pebble)) for pebble in pebbles]
        stages = [
            stage(bed, cluster, namespaces, ca=ca, logs=tmp_path, election=election)
            for ca, election in zip(proxies, (True, False), strict=True)
        ]
        for played in [pool.submit(play, on) for on in stages]:
            played.result()


def test_of_two_releases_for_all_namespaces_the_second_touches_nothing_and_says_so(
    tenant: Tenant, namespaces: Callable[[str], str], tmp_path: Path
) -> None:
    """Neither names any namespace: both serve every one, those included that are made later."""
    home = namespaces("release-all")
    second = OperatorProcess(
        tenant.bed.kubeconfig, tmp_path / "second.log", operator_namespace=home, arguments=(f"--identity={home}",)
    )
    with second:
        tenant.apply("both", f"both.{tenant.namespace}.example.test")
        tenant.ready("both")
        told = wait_conflict(tenant, "both")
        assert f"the release {home}/certwright leaves it alone" in told
        assert told.startswith("The release certwright/certwright of Certwright")
        reasons = [event["reason"] for event in tenant.cluster.events(tenant.namespace, "both")]
        assert reasons.count("Issuing") == reasons.count("Issued") == 1
