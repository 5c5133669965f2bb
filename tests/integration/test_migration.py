"""From cert-manager to Certwright and back, with cert-manager's own controllers and a CA that counts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
import pytest
from cryptography import x509

from certwright.migration.assessment import assess
from certwright.migration.inventory import of_manifests
from harness import OperatorProcess, Tenant, certificate, issuer, tsig_secret
from harness.mistakes import wait_event
from testbed.definitions import CERT_MANAGER
from testbed.parts.cert_manager import RESOURCES
from tests.fakes.cert_manager import OBJECTS, STAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from certwright.migration.assessment import Assessed
    from harness import Cluster
    from testbed.bed import TestBed
    from testbed.parts.cert_manager import CertManager
    from testbed.proxy import RecordingProxy

pytestmark = pytest.mark.usefixtures("without_operator")

NEW_ORDER: Final = ("POST", "/order-plz")
UNATTENDED: Final = ("--yes", "--timeout=90s", "--operator-namespace=certwright")
API: Final = "cert-manager.io/v1"
SECONDS: Final = 120
DEPLOYMENT: Final = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "cert-manager", "namespace": RESOURCES},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "cert-manager"}},
        "template": {
            "metadata": {"labels": {"app": "cert-manager"}},
            "spec": {
                "containers": [
                    {
                        "name": "cert-manager-controller",
                        "image": "localhost/cert-manager:none",
                        "args": [f"--cluster-resource-namespace={RESOURCES}"],
                    }
                ]
            },
        },
    },
}


class Kubelet:
    """Runs cert-manager's controllers as its Deployment says: the bed has no node for it.

    Its pods are real objects that no scheduler takes; they are said to be ready, so that a roll-out comes to its end.
    """

    def __init__(self, cluster: Cluster, controller: CertManager) -> None:
        self._cluster = cluster
        self._controller = controller
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(0.2):
            found = self._cluster.get("Deployment", RESOURCES, "cert-manager")
            if found is None:
                continue
            arguments = tuple(found["spec"]["template"]["spec"]["containers"][0]["args"][1:])
            if self._controller.running and (not found["spec"]["replicas"] or arguments != self._controller.arguments):
                self._controller.stop()
            if found["spec"]["replicas"] and not self._controller.running:
                self._controller.arguments = arguments
                self._controller.start()
            self._make_ready()

    def _make_ready(self) -> None:
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        for pod in self._cluster.find_all("Pod", RESOURCES):
            if pod["status"].get("phase") == "Pending":
                with suppress(httpx.HTTPStatusError):  # it may be gone by now
                    self._cluster.patch_status("Pod", RESOURCES, pod["metadata"]["name"], ready)


@pytest.fixture(scope="module")
def cert_manager(bed: TestBed, cluster: Cluster) -> Iterator[CertManager]:
    """cert-manager's controllers with their CRDs, in a namespace of their own."""
    bed.apply_crds(CERT_MANAGER.find())
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RESOURCES}})
    cluster.apply(tsig_secret(bed, RESOURCES, name="cm-tsig"))
    cluster.apply(DEPLOYMENT)
    controller = bed.start_cert_manager()
    with Kubelet(cluster, controller):
        yield controller
    bed.end_cert_manager()


@pytest.fixture(scope="module")
def guarded(
    bed: TestBed, operator_namespace: str, cert_manager: CertManager, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """The operator with its guard, beside cert-manager's controllers."""
    assert cert_manager.name
    log = tmp_path_factory.mktemp("guarded") / "log"
    with OperatorProcess(
        bed.kubeconfig, log, operator_namespace=operator_namespace, arguments=("--cert-manager-guard", "--shim")
    ) as running:
        yield running


@pytest.fixture
def tenant(
    bed: TestBed, cluster: Cluster, namespace: str, guarded: OperatorProcess, cert_manager: CertManager
) -> Tenant:
    """One with cert-manager's controllers running, whatever an earlier test has migrated."""
    scale(bed, 1)
    wait_running(cluster, cert_manager)
    return Tenant(namespace, bed, cluster, guarded)


@pytest.fixture
def theirs(bed: TestBed) -> Callable[..., Any]:
    """Returns an object of cert-manager as it is; empty if there is none."""

    def get(namespace: str, name: str, kind: str = "certificates") -> dict[str, Any]:
        said = bed.kubectl("get", f"{kind}.cert-manager.io", name, "--namespace", namespace, "-o", "json", check=False)
        return json.loads(said) if said else {}

    return get


DRIVER: Final = """
import functools, json, os, signal, sys
from certwright.cli.cluster import migrate
from certwright.cli.main import main
from certwright.kube.client import KubeClient
from certwright.migration import alone, back
from certwright.migration.progress import Progress

migrate.Progress = functools.partial(Progress, interval=0.2)
alone.LOOK_SECONDS, alone.DURATION = 0.1, 1
send = KubeClient.request

def kill_after_others_than(known):
    async def request(self, method, path, **more):
        answer = await send(self, method, path, **more)
        write = f"{method} {path}"
        if method != "GET" and "/leases" not in path and write not in known:
            print("WROTE", write, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    KubeClient.request = request

for line in sys.stdin:
    words, known, output = json.loads(line)
    child = os.fork()
    if not child:
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(1, 2)
        if known is not None:
            kill_after_others_than(known)
        sys.argv[1:] = ["migrate", *words]
        main()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Runs the program with short pauses, each time in a process of its own that need not import everything again.

With a list of writes, it is killed right after the first other one.
"""

Ended = tuple[int, str]
"""How the program has ended, and what it said."""


@pytest.fixture(scope="module")
def migrate(bed: TestBed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Ended]]:
    """Runs `certwright migrate`."""
    output = tmp_path_factory.mktemp("migrate") / "output"
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", DRIVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "KUBECONFIG": str(bed.kubeconfig)},
    ) as driver:

        def run(*words: str, known: list[str] | None = None) -> Ended:
            assert driver.stdin is not None
            assert driver.stdout is not None
            print(json.dumps([words, known, str(output)]), file=driver.stdin, flush=True)
            code = int(driver.stdout.readline())
            return code, output.read_text()

        yield run
        assert driver.stdin is not None
        driver.stdin.close()


@pytest.fixture
def killed(migrate: Callable[..., Ended]) -> Callable[[str], list[str]]:
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


def their_issuer(bed: TestBed, kind: str, name: str, namespace: str | None, server: str) -> dict[str, Any]:
    ours = issuer(bed, namespace, name=name, server=server, tsig="cm-tsig")["spec"]["acme"]
    # Otherwise it sleeps for the TTL of each record, a minute.
    solver = {"dns01": {"rfc2136": ours["solvers"][0]["dns01"]["rfc2136"]}, "waitInsteadOfSelfCheck": "1s"}
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": {"acme": {**ours, "solvers": [solver]}}}


def their_certificate(namespace: str, name: str, *names: str, **spec: Any) -> dict[str, Any]:
    made = certificate(namespace, name, names, **spec)
    return {**made, "apiVersion": API}


def test_fifty_objects_are_cert_managers_own_and_what_moves_is_ours(
    cert_manager: CertManager, tenant: Tenant, tmp_path: Path
) -> None:
    assert cert_manager.name
    bed = tenant.bed
    objects = [
        {**one, "metadata": {**one["metadata"], "namespace": tenant.namespace}}
        if one["kind"] != "ClusterIssuer"
        else one
        for one, _ in OBJECTS
    ]
    file = tmp_path / "theirs.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    # Their API server's schema takes every fixture, and ours takes what we make of it.
    assert bed.kubectl("create", "--dry-run=server", "-f", str(file)).count("created") == len(objects)
    ours = [one.translation.manifest for one in _assessed(objects) if one.moves]
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": ours}))
    assert bed.kubectl("create", "--dry-run=server", "--validate=strict", "-f", str(file)).count("created") == len(ours)
    assert len(ours) == sum(verdict != STAYS for _, verdict in OBJECTS)


def _assessed(objects: list[dict[str, Any]]) -> list[Assessed]:
    found = assess(of_manifests(objects))
    return [*found.issuers, *found.certificates]


def scale(bed: TestBed, replicas: int) -> None:
    bed.kubectl("scale", "deployment/cert-manager", "-n", RESOURCES, f"--replicas={replicas}")


def wait_running(cluster: Cluster, controller: CertManager) -> None:
    cluster.wait_for("its controllers do not run", lambda: {"runs": controller.running}, lambda found: found["runs"])


def wait_theirs(bed: TestBed, space: str) -> None:
    kind = "certificates.cert-manager.io"
    bed.kubectl("wait", "--for=condition=Ready", kind, "--all", "-n", space, f"--timeout={SECONDS}s")


def test_ours_holds_still_while_cert_manager_looks_after_the_secret_and_goes_on_when_its_controller_ends(
    tenant: Tenant, counted_ca: RecordingProxy
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    host = f"web.{space}.{bed.bind.zones[0]}"
    for name in ("cm-tsig", "tsig"):
        cluster.apply(tsig_secret(bed, space, name=name))
    cluster.apply(issuer(bed, space, name="ours", server=counted_ca.directory_url))
    objects = [
        their_issuer(bed, "Issuer", "le", space, counted_ca.directory_url),
        their_certificate(space, "theirs", host, issuerRef={"name": "le"}, secretName="shared-tls"),
    ]
    bed.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    wait_theirs(bed, space)
    before, orders = cluster.secret_data(space, "shared-tls"), counted_ca.counts()[NEW_ORDER]

    cluster.apply(certificate(space, "ours", [host], issuerRef={"name": "ours"}, secretName="shared-tls"))
    message = tenant.not_ready("ours", "ClaimedByCertManager")["message"]
    assert message.startswith("cert-manager's Certificate theirs names Secret shared-tls too")
    wait_event(cluster, space, "ours", "ClaimedByCertManager")
    # Another Secret is none of its business.
    cluster.apply(certificate(space, "own", [f"own.{host}"], issuerRef={"name": "ours"}))
    tenant.ready("own")
    assert cluster.secret_data(space, "shared-tls") == before
    assert counted_ca.counts()[NEW_ORDER] == orders + 1

    scale(bed, 0)
    try:
        tenant.ready("ours")  # adopted, with what is there
        assert cluster.secret_data(space, "shared-tls") == before
    finally:
        scale(bed, 1)
    tenant.not_ready("ours", "ClaimedByCertManager")
    bed.kubectl("delete", "certificates.cert-manager.io", "theirs", "-n", space)
    tenant.ready("ours")
    assert cluster.secret_data(space, "shared-tls") == before
    assert counted_ca.counts()[NEW_ORDER] == orders + 1


def remove_shared(tenant: Tenant, issuer: str, operator_namespace: str) -> None:
    """Remove a ClusterIssuer that has moved, and what was copied for it: the next migration would find it there."""
    tenant.cluster.delete("ClusterIssuer", None, issuer)
    for secret in ("cm-tsig", f"{issuer}-account"):
        tenant.cluster.delete("Secret", operator_namespace, secret)


def test_there_and_back_and_there_for_good_without_an_order(  # noqa: PLR0917 - fixtures
    tenant: Tenant,
    cert_manager: CertManager,
    counted_ca: RecordingProxy,
    theirs: Callable[..., dict[str, Any]],
    migrate: Callable[..., Ended],
    operator_namespace: str,
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    zone = bed.bind.zones[0]
    cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    shared = {"name": f"le-{space}", "kind": "ClusterIssuer"}
    objects = [
        their_issuer(bed, "ClusterIssuer", shared["name"], None, counted_ca.directory_url),
        their_issuer(bed, "Issuer", "le", space, counted_ca.directory_url),
        their_certificate(space, "web", f"web.{space}.{zone}", f"www.{space}.{zone}", issuerRef=shared),
        their_certificate(
            space, "api", f"api.{space}.{zone}", issuerRef={"name": "le"}, privateKey={"algorithm": "ECDSA"}
        ),
    ]
    bed.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    bed.kubectl(
        "wait", "--for=condition=Ready", "certificates.cert-manager.io", "--all", "-n", space, f"--timeout={SECONDS}s"
    )
    before = {name: cluster.secret_data(space, f"{name}-tls") for name in ("web", "api")}
    orders = counted_ca.counts()[NEW_ORDER]
    uri = theirs("", shared["name"], "clusterissuers")["status"]["acme"]["uri"]

    verdicts = {one["name"]: one["verdict"] for one in json.loads(migrate("-o", "json")[1])["objects"]}
    assert {"web": "moves", "api": "moves", "le": "moves", shared["name"]: "moves"}.items() <= verdicts.items()

    code, said = migrate("--apply", "--yes", "--timeout", "90s")
    assert code == 0, said
    assert "2 of 2 Certificates are Certwright's now" in said
    assert not cert_manager.running
    for name, data in before.items():
        tenant.ready(name)
        assert cluster.secret_data(space, f"{name}-tls") == data
    found = cluster.get("ClusterIssuer", None, shared["name"])
    assert found is not None
    assert found["status"]["acme"]["uri"] == uri
    assert counted_ca.counts()[NEW_ORDER] == orders

    code, said = migrate("--back", "--yes")
    assert code == 0, said
    assert "2 Certificates are cert-manager's again" in said
    wait_running(cluster, cert_manager)
    # It looks at everything when it starts, and writes the status of what it has judged.
    bed.kubectl("annotate", "certificates.cert-manager.io", "--all", "-n", space, "seen=again")
    bed.kubectl("wait", "--for=condition=Ready", "certificates.cert-manager.io", "--all", "-n", space)
    assert {name: theirs(space, name)["status"]["revision"] for name in before} == {"web": 1, "api": 1}
    assert counted_ca.counts()[NEW_ORDER] == orders

    assert migrate("--apply", *UNATTENDED)[0] == 0
    code, said = migrate("--finish", *UNATTENDED)
    assert code == 0, said
    assert "uninstall it as you installed it" in said
    cluster.wait_for(
        "cert-manager's Certificate stays", lambda: {"left": theirs(space, "web")}, lambda at: not at["left"]
    )
    for name, data in before.items():
        assert tenant.ready(name)["spec"]["privateKey"]["rotationPolicy"] == "Always"
        assert cluster.secret_data(space, f"{name}-tls") == data
    assert counted_ca.counts()[NEW_ORDER] == orders
    remove_shared(tenant, shared["name"], operator_namespace)


def test_killed_after_each_of_its_writes_every_step_is_taken_up_again_without_an_order(  # noqa: PLR0917 - fixtures
    tenant: Tenant,
    cert_manager: CertManager,
    counted_ca: RecordingProxy,
    theirs: Callable[..., dict[str, Any]],
    killed: Callable[[str], list[str]],
    migrate: Callable[..., Ended],
    operator_namespace: str,
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    shared = {"name": f"le-{space}", "kind": "ClusterIssuer"}
    objects = [
        their_issuer(bed, "ClusterIssuer", shared["name"], None, counted_ca.directory_url),
        *(
            their_certificate(space, name, f"{name}.{space}.{bed.bind.zones[0]}", issuerRef=shared)
            for name in ("web", "api")
        ),
    ]
    bed.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
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
    remove_shared(tenant, shared["name"], operator_namespace)


def test_in_a_mixed_cluster_cert_manager_goes_on_for_what_stays_and_fights_for_nothing_that_has_moved(
    tenant: Tenant,
    counted_ca: RecordingProxy,
    theirs: Callable[..., dict[str, Any]],
    migrate: Callable[..., Ended],
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    host = f"web.{space}.{bed.bind.zones[0]}"
    cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    at = {"namespace": space}
    objects = [
        their_issuer(bed, "Issuer", "le", space, counted_ca.directory_url),
        {"apiVersion": API, "kind": "Issuer", "metadata": {"name": "self", **at}, "spec": {"selfSigned": {}}},
        {"apiVersion": API, "kind": "Issuer", "metadata": {"name": "ca", **at}, "spec": {"ca": {"secretName": "root"}}},
        their_certificate(
            space, "root", "root.test", issuerRef={"name": "self"}, secretName="root", isCA=True, commonName="root"
        ),
        their_certificate(space, "internal", "internal.test", issuerRef={"name": "ca"}),
        their_certificate(space, "web", host, issuerRef={"name": "le"}),
    ]
    bed.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    wait_theirs(bed, space)
    before, orders = cluster.secret_data(space, "web-tls"), counted_ca.counts()[NEW_ORDER]

    def reissue_internal() -> None:
        cluster.delete("Secret", space, "internal-tls")
        cluster.wait_for(
            "cert-manager has not issued it again", lambda: cluster.get("Secret", space, "internal-tls"), bool
        )
        wait_theirs(bed, space)

    code, said = migrate("--apply", *UNATTENDED)
    assert code == 0, said
    assert "1 of 1 Certificates are Certwright's now" in said
    tenant.ready("web")
    assert cluster.secret_data(space, "web-tls") == before
    reissue_internal()
    # A renewal of ours, with the key kept, is no reason for its controller to issue.
    renewal = {"request": {"id": "once", "action": "Renew"}}
    cluster.patch("Certificate", space, "web", {"spec": renewal})
    cluster.wait_for(
        "it was not renewed",
        lambda: {"data": cluster.secret_data(space, "web-tls")["tls.crt"]},
        lambda found: found["data"] != before["tls.crt"],
    )
    renewed = cluster.secret_data(space, "web-tls")
    reissue_internal()
    assert renewed["tls.key"] == before["tls.key"]
    assert theirs(space, "web")["status"]["revision"] == 1
    assert counted_ca.counts()[NEW_ORDER] == orders + 1

    code, said = migrate("--back", *UNATTENDED)
    assert code == 0, said
    reissue_internal()
    assert cluster.secret_data(space, "web-tls") == renewed
    assert theirs(space, "web")["status"]["revision"] == 1
    assert counted_ca.counts()[NEW_ORDER] == orders + 1


def annotated_ingress(space: str, name: str, issuer: str, hosts: list[str], **annotations: str) -> dict[str, Any]:
    named = {f"cert-manager.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": space, "annotations": {"cert-manager.io/issuer": issuer, **named}},
        "spec": {
            "ingressClassName": "nginx",
            "tls": [{"secretName": f"{name}-tls", "hosts": hosts}],
            "defaultBackend": {"service": {"name": "shop", "port": {"number": 80}}},
        },
    }


def names_of(tenant: Tenant, secret: str) -> list[str]:
    found = tenant.leaf(secret).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return sorted(found.get_values_for_type(x509.DNSName))


def wait_gone(tenant: Tenant, name: str) -> None:
    """Wait until there is no Certificate of ours of a name."""
    tenant.cluster.wait_for(
        f"our Certificate {name} stays",
        lambda: {"found": tenant.cluster.get("Certificate", tenant.namespace, name)},
        lambda seen: seen["found"] is None,
    )


def test_what_cert_manager_made_for_ingresses_goes_there_and_back_and_there_with_the_same_bytes(  # noqa: PLR0915 - one way, step by step
    tenant: Tenant,
    cert_manager: CertManager,
    counted_ca: RecordingProxy,
    theirs: Callable[..., dict[str, Any]],
    migrate: Callable[..., Ended],
) -> None:
    space, cluster, bed = tenant.namespace, tenant.cluster, tenant.bed
    web, new = (f"{name}.{space}.{bed.bind.zones[0]}" for name in ("web", "new"))
    cluster.apply(tsig_secret(bed, space, name="cm-tsig"))
    made = their_issuer(bed, "Issuer", "le", space, counted_ca.directory_url)
    bed.kubectl("apply", "-f", "-", stdin=json.dumps(made))
    policy = {"private_key_rotation_policy": "Always", "duration": "2000h"}
    cluster.apply(annotated_ingress(space, "web", "le", [web], **policy))
    cluster.wait_for("cert-manager has made no Certificate", lambda: theirs(space, "web-tls"), bool)
    wait_theirs(bed, space)
    before, orders = cluster.secret_data(space, "web-tls"), counted_ca.counts()[NEW_ORDER]
    assert cluster.find_all("Certificate", space) == []

    def is_as_before() -> None:
        assert cluster.secret_data(space, "web-tls") == before
        assert counted_ca.counts()[NEW_ORDER] == orders

    code, said = migrate("--apply", *UNATTENDED)
    assert code == 0, said
    ours = tenant.ready("web-tls")
    [owner] = ours["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Ingress", "web")
    # Our shim takes it up, as cert-manager is away, and leaves the key to the trial.
    cluster.wait_for(
        "our shim does not look after it",
        lambda: cluster.get("Certificate", space, "web-tls"),
        lambda seen: seen["spec"].get("http01", {}).get("ingress", {}).get("ingressClassName") == "nginx",
    )
    tenant.ready("web-tls")
    assert cluster.get("Certificate", space, "web-tls")["spec"]["privateKey"]["rotationPolicy"] == "Never"  # type: ignore[index]
    is_as_before()

    # Another comes in the trial, which cert-manager has never seen.
    cluster.apply(annotated_ingress(space, "new", "le", [new]))
    tenant.ready("new-tls")
    orders += 1
    assert counted_ca.counts()[NEW_ORDER] == orders

    code, said = migrate("--back", *UNATTENDED)
    assert code == 0, said
    assert "1 Certificates are cert-manager's again" in said
    assert cert_manager.running
    assert cluster.find_all("Certificate", space) == []
    wait_theirs(bed, space)
    assert theirs(space, "web-tls")["status"]["revision"] == 1
    assert cluster.secret_data(space, "web-tls") == before
    # The one that cert-manager knows nothing of it issues itself, in order, and nobody takes it away again.
    cluster.wait_for(
        "cert-manager has not issued its own",
        lambda: theirs(space, "new-tls"),
        lambda seen: seen.get("status", {}).get("revision") == 1,
    )
    wait_theirs(bed, space)
    assert names_of(tenant, "new-tls") == [new]
    after = cluster.secret_data(space, "new-tls")
    orders = counted_ca.counts()[NEW_ORDER]

    code, said = migrate("--apply", *UNATTENDED)
    assert code == 0, said
    assert "2 of 2 Certificates are Certwright's now" in said
    # A host comes in the trial: ours orders, and the end of the trial does not undo it.
    more = f"more.{space}.{bed.bind.zones[0]}"
    cluster.apply(annotated_ingress(space, "web", "le", [web, more], **policy))
    cluster.wait_for(
        "the new host is not there", lambda: {"names": names_of(tenant, "web-tls")}, lambda seen: more in seen["names"]
    )
    tenant.ready("web-tls")
    orders += 1
    code, said = migrate("--finish", *UNATTENDED)
    assert code == 0, said
    for name in ("web-tls", "new-tls"):
        cluster.wait_for(
            "cert-manager's Certificate stays",
            lambda name=name: {"left": theirs(space, name)},  # type: ignore[misc]  # the present one
            lambda at: not at["left"],
        )
        tenant.ready(name)
    assert names_of(tenant, "web-tls") == sorted([web, more])
    assert cluster.secret_data(space, "new-tls") == after
    assert counted_ca.counts()[NEW_ORDER] == orders
    cluster.wait_for(
        "the policy of the Ingress does not apply",
        lambda: cluster.get("Certificate", space, "web-tls"),
        lambda seen: seen["spec"]["privateKey"]["rotationPolicy"] == "Always",
    )
    # And its Ingress has it for good: it goes with its annotation.
    cluster.patch("Ingress", space, "new", {"metadata": {"annotations": {"cert-manager.io/issuer": None}}})
    wait_gone(tenant, "new-tls")
    assert cluster.secret_data(space, "new-tls") == after
