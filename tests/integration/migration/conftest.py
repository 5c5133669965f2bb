"""From cert-manager to Certwright and back: cert-manager's own controllers, our operator beside them, the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness import OperatorProcess, Tenant
from harness.migrating import Migration, scale, wait_running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Cluster
    from testbed.bed import TestBed
    from testbed.parts.cert_manager import CertManager


@pytest.fixture(scope="module")
def operator_arguments() -> tuple[str, ...]:
    """Of the operator, besides its guard; a file may have its own."""
    return ()


@pytest.fixture(scope="module")
def guarded(
    bed: TestBed,
    operator_namespace: str,
    operator_arguments: tuple[str, ...],
    cert_manager: CertManager,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OperatorProcess]:
    """The operator with its guard, beside cert-manager's controllers."""
    assert cert_manager.name
    log = tmp_path_factory.mktemp("guarded") / "log"
    arguments = ("--cert-manager-guard", *operator_arguments)
    with OperatorProcess(bed.kubeconfig, log, operator_namespace=operator_namespace, arguments=arguments) as running:
        yield running


@pytest.fixture
def tenant(
    bed: TestBed, cluster: Cluster, namespace: str, guarded: OperatorProcess, cert_manager: CertManager
) -> Tenant:
    """One with cert-manager's controllers running, whatever an earlier test has migrated."""
    scale(bed, 1)
    wait_running(cluster, cert_manager)
    return Tenant(namespace, bed, cluster, guarded)


@pytest.fixture(scope="module")
def migrate(bed: TestBed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migration]:
    """The program."""
    with Migration(bed, tmp_path_factory.mktemp("migrate")) as program:
        yield program
