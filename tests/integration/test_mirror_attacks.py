"""What a tenant may write into objects of cert-manager, and what he does not gain by it; on a real API server."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import TYPE_CHECKING, Any, Final

import pytest

from certwright.cert_manager.api import CONTROLLER_LEASE, LEASE_NAMESPACE
from harness import Cluster, OperatorProcess, Tenant, tsig_secret
from harness.cert_manager import CERTIFICATE, CLUSTER_ISSUER, ISSUER, their_certificate, their_issuer
from harness.cluster import conditions
from testbed.definitions import CERT_MANAGER
from testbed.parts.pebble import NEW_ORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.cluster import Object
    from testbed.bed import TestBed
    from testbed.proxy import RecordingProxy

pytestmark = pytest.mark.usefixtures("without_operator")

LONG: Final = f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}"
"""A name of 253 characters."""


@pytest.fixture(scope="module")
def mirror(
    bed: TestBed, cluster: Cluster, operator_namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    bed.apply_crds(CERT_MANAGER.find())
    cluster.delete("Lease", LEASE_NAMESPACE, CONTROLLER_LEASE)
    arguments = (
        "--serve-cert-manager-objects",
        f"--cert-manager-arguments=--dns01-recursive-nameservers={bed.bind.address} --dns01-recursive-nameservers-only",
    )
    log = tmp_path_factory.mktemp("mirror-attacks") / "log"
    with OperatorProcess(bed.kubeconfig, log, operator_namespace=operator_namespace, arguments=arguments) as running:
        yield running


@pytest.fixture
def space(bed: TestBed, cluster: Cluster, namespace: str, mirror: OperatorProcess) -> Tenant:
    """A namespace with an Issuer of cert-manager."""
    cluster.apply(tsig_secret(bed, namespace))
    cluster.apply(their_issuer(bed, namespace))
    cluster.wait_ready(ISSUER, namespace, "pebble")
    return Tenant(namespace, bed, cluster, mirror)


@pytest.fixture
def host() -> Callable[[], str]:
    return lambda: f"{secrets.token_hex(5)}.example.test"


def refused(space: Tenant, name: str, reason: str, kind: str = CERTIFICATE) -> str:
    """Wait until an object is not Ready for a reason; return the message."""
    found = space.cluster.wait_condition(kind, space.namespace, name, "Ready", "False", reason=reason)
    message: str = conditions(found)["Ready"]["message"]
    return message


def is_described(found: Object) -> bool:
    """Whether Ready is about the spec as it is."""
    ready = conditions(found).get("Ready", {})
    return ready.get("status") == "True" and ready["observedGeneration"] == found["metadata"]["generation"]


def is_told(found: Object) -> bool:
    """Whether a status says anything."""
    return bool(conditions(found))


def opaque(namespace: str, name: str) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": "s3cr3t-of-a-db"}}


def test_a_certificate_that_names_a_secret_of_somebody_else_changes_nothing_in_it(
    space: Tenant, host: Callable[[], str]
) -> None:
    cluster, namespace = space.cluster, space.namespace
    cluster.apply(opaque(namespace, "db"))
    cluster.apply(their_certificate(namespace, "good", host()))
    cluster.wait_ready(CERTIFICATE, namespace, "good")
    before = {name: cluster.get("Secret", namespace, name) for name in ("db", "pebble-account", "good-tls", "tsig")}
    for name in before:
        cluster.apply(their_certificate(namespace, f"thief-of-{name}", host(), secretName=name))
    for name in before:
        message = refused(space, f"thief-of-{name}", "IncorrectCertificate")
        assert "s3cr3t" not in message
    assert {name: cluster.get("Secret", namespace, name) for name in before} == before
    cluster.wait_ready(CERTIFICATE, namespace, "good")


def test_of_two_certificates_with_one_secret_the_first_has_it_and_the_other_says_so(
    space: Tenant, counted_ca: RecordingProxy, host: Callable[[], str]
) -> None:
    cluster, namespace = space.cluster, space.namespace
    cluster.apply(their_issuer(space.bed, namespace, server=counted_ca.directory_url))
    cluster.apply(their_certificate(namespace, "first", host(), secretName="shared"))
    cluster.wait_ready(CERTIFICATE, namespace, "first")
    serial = space.leaf("shared").serial_number
    counted_ca.reset()
    cluster.apply(their_certificate(namespace, "second", host(), secretName="shared"))
    assert "first" in refused(space, "second", "IncorrectCertificate")
    assert space.leaf("shared").serial_number == serial
    assert counted_ca.counts()[NEW_ORDER] == 0
    # Once the first is gone, the second has it.
    cluster.delete(CERTIFICATE, namespace, "first")
    cluster.wait_ready(CERTIFICATE, namespace, "second")
    assert space.leaf("shared").serial_number != serial


def test_an_issuer_that_names_a_secret_of_somebody_else_or_leads_elsewhere_is_not_ready(
    space: Tenant, host: Callable[[], str]
) -> None:
    cluster, namespace = space.cluster, space.namespace
    cluster.apply(opaque(namespace, "db"))
    cluster.apply(their_certificate(namespace, "good", host()))
    cluster.wait_ready(CERTIFICATE, namespace, "good")
    before = {name: cluster.get("Secret", namespace, name) for name in ("db", "good-tls")}
    tricks: dict[str, Object] = {
        "account-db": {"privateKeySecretRef": {"name": "db"}},
        "path-account": {"privateKeySecretRef": {"name": "../../kube-system/secrets/x"}},
        "path-server": {"server": f"{space.bed.apiserver.url}/api/v1/namespaces/kube-system/secrets/../../"},
        "file": {"server": "file:///etc/passwd"},
        "user": {"server": "https://admin:s3cr3t@ca.example.test/directory"},
        "query": {"server": "https://169.254.169.254/latest/meta-data#"},
        "newline": {"server": "https://ca.example.test/\r\nX-Evil: 1"},
        "long": {"server": f"https://ca.example.test/{'x' * 100_000}"},
    }
    for name, acme in tricks.items():
        cluster.apply(their_issuer(space.bed, namespace, name, **acme))
    # A key of the namespace's own is as good as any other for its account; it stays as it is.
    cluster.apply(their_issuer(space.bed, namespace, "account-tls", privateKeySecretRef={"name": "good-tls"}))
    cluster.wait_for("it is not looked at", lambda: cluster.get(ISSUER, namespace, "account-tls"), is_told)
    for name in tricks:
        found = cluster.wait_condition(ISSUER, namespace, name, "Ready", "False")
        ready = conditions(found)["Ready"]
        assert ready["reason"] in {"InvalidConfig", "ErrRegisterACMEAccount"}, (name, ready)
        assert len(ready["message"]) < 4096
        assert "s3cr3t" not in ready["message"]
        assert "uri" not in found["status"].get("acme", {})
    assert {name: cluster.get("Secret", namespace, name) for name in before} == before
    assert space.operator.healthy()


def test_a_status_that_a_user_wrote_is_obeyed_in_nothing(
    space: Tenant, counted_ca: RecordingProxy, host: Callable[[], str]
) -> None:
    cluster, namespace = space.cluster, space.namespace
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(days=3000)).strftime("%Y-%m-%dT%H:%M:%SZ")
    cluster.apply(their_issuer(space.bed, namespace, server=counted_ca.directory_url))
    cluster.wait_for("the CA is the former", lambda: cluster.get(ISSUER, namespace, "pebble"), is_described)
    created = cluster.apply(their_certificate(namespace, "web", host()))
    forged = {
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "Ready", "message": "m", "lastTransitionTime": later},
            {"type": "Issuing", "status": "False", "reason": "Failed", "message": "m", "lastTransitionTime": later},
        ],
        "notAfter": later,
        "renewalTime": later,
        "lastFailureTime": later,
        "failedIssuanceAttempts": 30,
        "revision": 41,
        "nextPrivateKeySecretName": "tsig",
    }
    cluster.patch_status(CERTIFICATE, namespace, "web", forged)

    def is_true(found: Object) -> bool:
        status = found["status"]
        return (
            status.get("notAfter", later) != later
            and {"failedIssuanceAttempts", "lastFailureTime", "nextPrivateKeySecretName"}.isdisjoint(status)
            and list(conditions(found)) == ["Ready"]
            and conditions(found)["Ready"]["status"] == "True"
        )

    found = cluster.wait_for("the lies stay", lambda: cluster.get(CERTIFICATE, namespace, "web"), is_true)
    assert conditions(found)["Ready"]["lastTransitionTime"] < later
    assert found["metadata"]["uid"] == created["metadata"]["uid"]
    ours = space.ready("web")
    assert ours["status"]["revision"] == 1
    assert counted_ca.counts()[NEW_ORDER] == 1
    assert cluster.get("Secret", namespace, "tsig") is not None
    # An issuer that has it that its account is another's.
    account = (cluster.get(ISSUER, namespace, "pebble") or {})["status"]["acme"]
    cluster.patch_status(ISSUER, namespace, "pebble", {"acme": {"uri": "https://evil.example/acct/1"}})
    cluster.wait_for(
        "the account is another's",
        lambda: cluster.get(ISSUER, namespace, "pebble"),
        lambda seen: seen["status"]["acme"] == account,
    )
    cluster.apply(their_certificate(namespace, "after", host()))
    cluster.wait_ready(CERTIFICATE, namespace, "after")


def test_forged_owners_and_names_as_long_as_can_be_are_served_like_any_other(
    space: Tenant, host: Callable[[], str]
) -> None:
    cluster, namespace = space.cluster, space.namespace
    owner = {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "name": "x", "controller": True}
    forged = their_certificate(namespace, "forged", host())
    # Of an object that is there, or Kubernetes would delete it at once.
    account = cluster.get("Secret", namespace, "pebble-account")
    assert account is not None
    owner |= {"apiVersion": "v1", "kind": "Secret", "name": "pebble-account", "uid": account["metadata"]["uid"]}
    forged["metadata"]["ownerReferences"] = [owner]
    long = their_certificate(namespace, LONG, host(), secretName=LONG[:200])
    for one in (forged, long, their_issuer(space.bed, namespace, LONG, privateKeySecretRef={"name": "long"})):
        cluster.apply(one)
    for name in ("forged", LONG):
        cluster.wait_ready(CERTIFICATE, namespace, name)
        [seen] = (space.ready(name))["metadata"]["ownerReferences"]
        assert (seen["kind"], seen["name"]) == ("Certificate", name)
    cluster.wait_ready(ISSUER, namespace, LONG)
    cluster.apply(their_certificate(namespace, "by-long", host(), issuer=LONG))
    cluster.wait_ready(CERTIFICATE, namespace, "by-long")


def test_an_object_that_is_deleted_under_way_or_held_by_a_finalizer_leaves_nothing_behind(
    bed: TestBed, space: Tenant, host: Callable[[], str]
) -> None:
    cluster, namespace = space.cluster, space.namespace
    # Its records are not seen, so the order waits.
    bed_issuer = their_issuer(bed, namespace, "waits")
    cluster.apply(bed_issuer)
    held = their_certificate(namespace, "held", host())
    held["metadata"]["finalizers"] = ["finalizer.acme.cert-manager.io/x"]
    cluster.apply(held)
    cluster.wait_ready(CERTIFICATE, namespace, "held")
    cluster.delete(CERTIFICATE, namespace, "held")
    going = cluster.get(CERTIFICATE, namespace, "held")
    assert going is not None
    assert "deletionTimestamp" in going["metadata"]
    assert cluster.get("Certificate", namespace, "held") is not None
    for number in range(5):
        cluster.apply(their_certificate(namespace, f"gone-{number}", host(), issuer="waits"))
        if number % 2:
            cluster.wait_for(
                "it is not served",
                lambda name=f"gone-{number}": cluster.get("Certificate", namespace, name),  # type: ignore[misc]
                bool,
            )
        cluster.delete(CERTIFICATE, namespace, f"gone-{number}")
    for number in range(5):
        cluster.wait_gone("Certificate", namespace, f"gone-{number}")
    cluster.patch(CERTIFICATE, namespace, "held", {"metadata": {"finalizers": None}})
    cluster.wait_gone("Certificate", namespace, "held")
    assert cluster.get("Secret", namespace, "held-tls") is not None
    cluster.delete(ISSUER, namespace, "waits")
    cluster.wait_gone("Issuer", namespace, "waits")
    assert cluster.get("Secret", namespace, "waits-account") is not None


def test_a_cluster_issuer_reads_no_secret_but_the_operators_and_a_namespace_gains_nothing_by_its_name(
    bed: TestBed, space: Tenant, operator_namespace: str, host: Callable[[], str]
) -> None:
    cluster, namespace, name = space.cluster, space.namespace, f"shared-{secrets.token_hex(3)}"
    cluster.apply(opaque(operator_namespace, "platform-db"))
    before = cluster.get("Secret", operator_namespace, "platform-db")
    # The tenant's Secret has the key, the operator's namespace has none of this name.
    cluster.apply(their_issuer(bed, None, name, tsig="tsig-of-nobody"))
    cluster.apply(their_issuer(bed, None, f"{name}-2", privateKeySecretRef={"name": "platform-db"}))
    try:
        reference = {"name": name, "kind": "ClusterIssuer"}
        cluster.apply(their_certificate(namespace, "web", host(), issuerRef=reference))
        cluster.wait_condition(CLUSTER_ISSUER, None, f"{name}-2", "Ready", "False")
        found = cluster.wait_condition(CERTIFICATE, namespace, "web", "Ready", "False")
        assert conditions(found)["Ready"]["reason"] == "DoesNotExist"
        assert cluster.get("Secret", operator_namespace, "platform-db") == before
        # A Certificate in the operator's namespace that names an account's Secret.
        cluster.apply(their_certificate(operator_namespace, name, host(), secretName=f"{name}-account"))
        found = cluster.wait_condition(CERTIFICATE, operator_namespace, name, "Ready", "False")
        account: Any = cluster.get("Secret", operator_namespace, f"{name}-account")
        assert account is None or "tls.crt" not in account["data"]
    finally:
        cluster.delete(CERTIFICATE, operator_namespace, name)
        for one in (name, f"{name}-2"):
            cluster.delete(CLUSTER_ISSUER, None, one)
        cluster.delete("Secret", operator_namespace, "platform-db")
