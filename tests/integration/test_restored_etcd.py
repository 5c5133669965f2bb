"""A cluster whose etcd is restored from a backup: its resourceVersions go back."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest

from harness import Cluster, OperatorProcess
from testbed.bed import TestBed
from testbed.options import BedOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = "certwright"
WRITES_SINCE_THE_BACKUP = 400
SOON_SECONDS = 30.0


@pytest.fixture
def own_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestBed]:
    """An API server of its own, whose etcd is restored."""
    options = BedOptions(acme=False, challtestsrv=False, ingress=False)
    with TestBed(options, folder=tmp_path_factory.mktemp("restored-bed")) as started:
        started.kubectl("create", "namespace", HOME)
        started.apply_crds()
        yield started


def certificate(name: str, issuer: str) -> dict[str, object]:
    return {
        "apiVersion": "certwright.io/v1",
        "kind": "Certificate",
        "metadata": {"namespace": HOME, "name": name},
        "spec": {
            "dnsNames": [f"{name}.example.test"],
            "secretName": f"{name}-tls",
            "issuerRef": {"name": issuer},
        },
    }


def wait_names_issuer(cluster: Cluster, name: str, issuer: str, *, seconds: float = SOON_SECONDS) -> None:
    """Wait until the condition of a Certificate names the issuer that its spec names, and that does not exist."""
    cluster.wait_for(
        f"Certificate {name} was not looked at",
        lambda: cluster.get("Certificate", HOME, name),
        lambda found: f"{HOME}/{issuer} does not exist" in str(found.get("status", {}).get("conditions")),
        seconds=seconds,
    )


def restart(bed: TestBed, *, restore: bool) -> None:
    """Stop API server and etcd, take or restore a backup, and start them again."""
    etcd = bed.parts["etcd"]
    data, backup = etcd.folder / "data", etcd.folder / "backup"
    bed.apiserver.stop()
    etcd.stop()
    if restore:
        shutil.rmtree(data)
        shutil.copytree(backup, data)
    else:
        shutil.copytree(data, backup)
    etcd.start()
    bed.apiserver.start()


def test_after_etcd_was_restored_what_is_new_is_taken_up_and_what_went_back_is_looked_at(
    own_bed: TestBed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("restored") / "operator.log"
    # A leader would lose its lease meanwhile, end, and list everything at its start.
    with Cluster(own_bed) as cluster, OperatorProcess(own_bed.kubeconfig, log, operator_namespace=HOME):
        cluster.apply(certificate("kept", "as-it-was"))
        wait_names_issuer(cluster, "kept", "as-it-was")
        restart(own_bed, restore=False)
        cluster.apply(certificate("kept", "as-it-became"))
        wait_names_issuer(cluster, "kept", "as-it-became")
        for number in range(WRITES_SINCE_THE_BACKUP):
            cluster.patch("Namespace", None, HOME, {"metadata": {"labels": {"write": str(number)}}})
        cluster.apply(certificate("lost", "as-it-became"))
        wait_names_issuer(cluster, "lost", "as-it-became")
        restart(own_bed, restore=True)
        began = time.monotonic()
        cluster.apply(certificate("new", "afterwards"))
        wait_names_issuer(cluster, "new", "afterwards")
        cluster.apply(certificate("kept", "afterwards"))
        wait_names_issuer(cluster, "kept", "afterwards")
        cluster.apply(certificate("lost", "afterwards"))
        wait_names_issuer(cluster, "lost", "afterwards")
        assert time.monotonic() - began < SOON_SECONDS
        said = log.read_text()
    assert "was etcd restored from a backup?" in said
    assert "Traceback" not in said
