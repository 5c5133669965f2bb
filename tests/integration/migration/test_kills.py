"""From cert-manager to Certwright and back, with a kill -9 after each write."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from harness import Tenant, tsig_secret
from harness.cert_manager import their_certificate
from harness.migrating import UNATTENDED, Migration, remove_shared, wait_running, wait_theirs, waiting_issuer
from testbed.parts.pebble import NEW_ORDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.parts.cert_manager import CertManager
    from testbed.proxy import RecordingProxy

pytestmark = pytest.mark.usefixtures("without_operator")


@pytest.fixture
def killed(migrate: Migration) -> Callable[[str], list[str]]:
    """Takes a step of the migration with a kill -9 after each of its writes, until it comes to its end."""

    def run(step: str) -> list[str]:
        writes: list[str] = []
        while True:
            code, said = migrate(step, *UNATTENDED, known=writes)
            if code != -signal.SIGKILL:
                assert code == 0, said
                return writes
            writes.append(said.rpartition("WROTE ")[2].strip())
            assert len(writes) < 40

    return run


def test_killed_after_each_of_its_writes_every_step_is_taken_up_again_without_an_order(  # noqa: PLR0917 - fixtures
    tenant: Tenant,
    cert_manager: CertManager,
    counted_ca: RecordingProxy,
    theirs: Callable[..., dict[str, Any]],
    killed: Callable[[str], list[str]],
    migrate: Migration,
    operator_namespace: str,
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    shared = {"name": f"le-{space}", "kind": "ClusterIssuer"}
    objects = [
        waiting_issuer(bed, shared["name"], None, counted_ca.directory_url),
        *(
            their_certificate(space, name, f"{name}.{space}.{bed.bind.zones[0]}", issuerRef=shared)
            for name in ("web", "api")
        ),
    ]
    bed.apply(*objects)
    wait_theirs(bed, space)
    before = {name: cluster.secret_data(space, f"{name}-tls") for name in ("web", "api")}
    orders = counted_ca.counts()[NEW_ORDER]

    def is_as_before() -> None:
        assert {name: cluster.secret_data(space, f"{name}-tls") for name in before} == before
        assert counted_ca.counts()[NEW_ORDER] == orders

    # The account's Secret and the credential, the issuer, the Deployment, two Certificates.
    assert len(killed("--apply")) == 6
    for name in before:
        tenant.ready(name)
    assert not cert_manager.running
    is_as_before()
    # The same, taken away.
    assert len(killed("--back")) == 6
    wait_running(cluster, cert_manager)
    bed.kubectl("annotate", "certificates.cert-manager.io", "--all", "-n", space, "seen=again")
    wait_theirs(bed, space)
    assert {name: theirs(space, name)["status"]["revision"] for name in before} == {"web": 1, "api": 1}
    assert cluster.get("ClusterIssuer", None, shared["name"]) is None
    is_as_before()
    assert migrate("--apply", *UNATTENDED)[0] == 0
    # Our two Certificates changed, theirs deleted, their issuer deleted.
    assert len(killed("--finish")) == 5
    for name in before:
        tenant.ready(name)
        assert theirs(space, name) == {}
    is_as_before()
    remove_shared(cluster, shared["name"], operator_namespace)
