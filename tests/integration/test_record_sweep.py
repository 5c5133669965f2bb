"""Records that an operator left in the DNS when it was killed, found and removed by the next one."""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING, Any, Final

import pytest

from harness import Cluster, OperatorProcess, certificate, issuer, tsig_secret
from harness.tenant import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.dns_front import DnsFront
    from testbed.bed import TestBed

PAUSES: Final = """
import datetime as dt
from certwright.issuers import record_sweep
record_sweep.LOOK_SECONDS = 0.5
record_sweep.SETTLING = record_sweep.FIRST_TRY = record_sweep.FIRST_PAUSE = dt.timedelta(seconds=2)
record_sweep.IN_PLACE_FOR = dt.timedelta(seconds=1)
"""
FOREIGN: Final = "a value of another client"


@pytest.fixture
def release(
    bed: TestBed, operator_namespace: str, without_operator: None, tmp_path: Path
) -> Iterator[tuple[str, OperatorProcess]]:
    """A release of its own, by name, whose sweep is in a hurry."""
    del without_operator
    name = f"sweep-{secrets.token_hex(4)}"
    arguments = (f"--lease-name={name}",)
    log = tmp_path / "operator.log"
    with OperatorProcess(
        bed.kubeconfig, log, operator_namespace=operator_namespace, arguments=arguments, prepare=PAUSES
    ) as running:
        yield name, running


@pytest.fixture
def shared(bed: TestBed, cluster: Cluster, operator_namespace: str, dns_front: DnsFront) -> Iterator[str]:
    """A ClusterIssuer whose DNS server can hide records."""
    name = f"sweep-{secrets.token_hex(4)}"
    cluster.apply(tsig_secret(bed, operator_namespace, name=name))
    cluster.apply(issuer(bed, None, name=name, dns_server=dns_front.address, tsig=name))
    yield name
    cluster.delete("ClusterIssuer", None, name)


def on_list(cluster: Cluster, release: str) -> dict[str, Any]:
    """The list of a release; an empty one if there is none."""
    found = cluster.get("Secret", "certwright", f"{release}-challenge-records")
    return {"records": []} if found is None else dict(json.loads(base64.b64decode(found["data"]["records.json"])))


def test_after_a_kill_records_of_namespaces_that_were_removed_meanwhile_are_removed_and_foreign_values_stay(
    bed: TestBed, cluster: Cluster, shared: str, release: tuple[str, OperatorProcess], dns_front: DnsFront
) -> None:
    name, operator = release
    cluster.wait_ready("ClusterIssuer", None, shared)
    spaces = {how: Workspace(f"test-{how}-{secrets.token_hex(4)}", bed, cluster) for how in ("forced", "held")}
    records = {how: f"_acme-challenge.{space.namespace}.example.test" for how, space in spaces.items()}
    dns_front.hide(*records.values())
    for how, space in spaces.items():
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space.namespace}})
        bed.bind.change("example.test", "add", f"{records[how]}.", 60, "TXT", f'"{FOREIGN}"')
        reference = {"name": shared, "kind": "ClusterIssuer"}
        cluster.apply(certificate(space.namespace, "web", [f"{space.namespace}.example.test"], issuerRef=reference))
    for space in spaces.values():
        space.under_way("web")
    noted = cluster.wait_for(
        "the orders are not on the list", lambda: on_list(cluster, name), lambda found: len(found["records"]) == 2
    )
    assert {one["cause"] for one in noted["records"]} == {"InPlace"}

    operator.kill()
    for how, space in spaces.items():
        cluster.delete("Namespace", None, space.namespace)
        if how == "forced":
            cluster.patch("Certificate", space.namespace, "web", {"metadata": {"finalizers": None}})
            cluster.wait_gone("Namespace", None, space.namespace)
    assert all(len(space.challenge_values(records[how])) == 2 for how, space in spaces.items())

    dns_front.show()
    operator.start()
    cluster.wait_gone("Namespace", None, spaces["held"].namespace)
    cluster.wait_for(
        "records are still on the list", lambda: on_list(cluster, name), lambda found: not found["records"]
    )
    assert all(space.challenge_values(records[how]) == [FOREIGN] for how, space in spaces.items())
    told = cluster.wait_for(
        "nothing is said of the record",
        lambda: {one["reason"]: one["message"] for one in cluster.events("default", shared)},
        lambda found: {"OrphanedRecordFound", "OrphanedRecordRemoved"} <= set(found),
    )
    for reason in ("OrphanedRecordFound", "OrphanedRecordRemoved"):
        assert records["forced"] in told[reason]
        assert records["held"] not in told[reason]
    assert 'certwright_orphaned_records_total{outcome="removed"} 1.0' in operator.metrics()


@pytest.fixture
def replicas(
    bed: TestBed, operator_namespace: str, without_operator: None, tmp_path: Path
) -> Iterator[tuple[str, tuple[OperatorProcess, OperatorProcess]]]:
    """Two replicas of a release of its own, by its name, that are not running yet."""
    del without_operator
    name = f"sweep-{secrets.token_hex(4)}"
    arguments = (f"--lease-name={name}", "--leader-elect")
    first, second = (
        OperatorProcess(
            bed.kubeconfig,
            tmp_path / f"operator-{number}.log",
            operator_namespace=operator_namespace,
            arguments=arguments,
            prepare=PAUSES,
        )
        for number in range(2)
    )
    yield name, (first, second)
    first.kill()  # after a failure it may be suspended
    second.stop()  # which gives up the Lease: another release would otherwise be taken for a second one


def test_two_replicas_hand_the_list_over_and_a_forged_entry_removes_nothing(
    bed: TestBed,
    cluster: Cluster,
    shared: str,
    replicas: tuple[str, tuple[OperatorProcess, OperatorProcess]],
    dns_front: DnsFront,
) -> None:
    """The leader is killed after it has lost an order's object, and before it could remove the record."""
    name, (first, second) = replicas
    first.start()
    space = Workspace(f"test-handed-{secrets.token_hex(4)}", bed, cluster)
    record = f"_acme-challenge.{space.namespace}.example.test"
    theirs = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    cluster.wait_ready("ClusterIssuer", None, shared)
    dns_front.hide(record)
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space.namespace}})
    for value in (FOREIGN, theirs):
        bed.bind.change("example.test", "add", f"{record}.", 60, "TXT", f'"{value}"')
    reference = {"name": shared, "kind": "ClusterIssuer"}
    cluster.apply(certificate(space.namespace, "web", [f"{space.namespace}.example.test"], issuerRef=reference))
    space.under_way("web")
    cluster.wait_for(
        "the order is not on the list", lambda: on_list(cluster, name), lambda found: len(found["records"]) == 1
    )
    second.start(wait=False)
    first.suspend()  # as on a node that stands still: it does not see what is deleted, and loses its lease
    cluster.delete("Namespace", None, space.namespace)
    cluster.patch("Certificate", space.namespace, "web", {"metadata": {"finalizers": None}})
    cluster.wait_gone("Namespace", None, space.namespace)
    # Somebody who may write this Secret, and read none, has it name the value of another client as well.
    [entry] = on_list(cluster, name)["records"]
    forged = {**entry, "value": theirs}
    forged.pop("keyAuthorization", None)
    content = base64.b64encode(json.dumps({"records": [entry, forged]}).encode()).decode()
    cluster.patch("Secret", "certwright", f"{name}-challenge-records", {"data": {"records.json": content}})
    dns_front.show()
    second.wait_ready()
    cluster.wait_for(
        "records are still on the list", lambda: on_list(cluster, name), lambda found: not found["records"]
    )
    assert sorted(space.challenge_values(record)) == sorted([FOREIGN, theirs])
    first.resume()  # it finds out that its lease is gone, and removes nothing
    first.wait_end(60)
    assert sorted(space.challenge_values(record)) == sorted([FOREIGN, theirs])
    told = cluster.wait_for(
        "nothing is said of the records",
        lambda: {one["reason"]: one["message"] for one in cluster.events("default", shared)},
        lambda found: {"OrphanedRecordGivenUp", "OrphanedRecordRemoved"} <= set(found),
    )
    assert theirs in told["OrphanedRecordGivenUp"]
    assert theirs not in told["OrphanedRecordRemoved"]
