"""cert-manager's objects without cert-manager, on a real API server with its CRDs: served, and reported on."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import secrets
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from certwright.cert_manager.crds import cert_manager_definitions
from certwright.mirror.conditions import Fact, composed
from certwright.mirror.metrics import CertManagerMetrics
from certwright.mirror.reconciler import QUIET_SECONDS
from harness import Cluster, OperatorProcess, Tenant, tsig_secret
from harness.cert_manager import (
    API,
    CERTIFICATE,
    CLUSTER_ISSUER,
    ISSUER,
    LEASE,
    rfc2136,
    their_certificate,
    their_issuer,
)
from harness.cluster import CLUSTER_SCOPED, PLURALS, conditions
from harness.mistakes import wait_event
from testbed.definitions import CERT_MANAGER
from testbed.exchanges import Forward, Respond
from testbed.locations import PROJECT
from testbed.proxy import RecordingProxy
from testbed.sources import module_folder
from tests.fakes.cert_manager import OBJECTS
from tests.health.kstatus import kstatus
from tests.mirror.judges import argo_cd, kubectl_wait, renewed_by_cmctl, shown_by_cmctl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chart import Helm
    from harness.cluster import Object
    from testbed.bed import TestBed
    from testbed.exchanges import Action, Request, Response

pytestmark = pytest.mark.usefixtures("without_operator")

GROUPS: Final = ("cert-manager.io", "certwright.io")
TIMES: Final = ("notBefore", "notAfter", "renewalTime", "revision")
HASH: Final = re.compile(r"\b[0-9a-f]{8,}\b")
CHART: Final = """
{{- $name := printf "%s-%s" .Release.Name .Chart.Name }}
apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  name: {{ $name }}
  labels:
    app.kubernetes.io/instance: {{ .Release.Name }}
spec:
  acme:
    email: {{ .Values.email }}
    server: {{ .Values.server }}
    caBundle: {{ .Values.caBundle }}
    privateKeySecretRef:
      name: {{ $name }}-account
    solvers:
    - dns01:
        rfc2136: {{- toYaml .Values.rfc2136 | nindent 10 }}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: {{ $name }}
  labels:
    app.kubernetes.io/instance: {{ .Release.Name }}
spec:
  secretName: {{ $name }}-tls
  dnsNames:
  - {{ .Values.host }}
  issuerRef:
    name: {{ $name }}
    kind: Issuer
    group: cert-manager.io
  privateKey:
    rotationPolicy: Always
  usages: [digital signature, key encipherment]
"""
"""What charts in the wild have: their own issuer beside the Certificate that refers to it."""


@pytest.fixture(scope="module")
def api(bed: TestBed) -> Iterator[RecordingProxy]:
    """Counts the operator's requests."""
    with RecordingProxy.for_apiserver(bed.apiserver) as running:
        yield running


@pytest.fixture(scope="module")
def mirror(
    bed: TestBed, cluster: Cluster, operator_namespace: str, api: RecordingProxy, tmp_path_factory: Any
) -> Iterator[OperatorProcess]:
    folder: Path = tmp_path_factory.mktemp("mirror")
    bed.apply_crds(CERT_MANAGER.find())
    arguments = (
        "--serve-cert-manager-objects",
        "--cert-manager-metrics",
        f"--cert-manager-arguments=--dns01-recursive-nameservers={bed.bind.address} --dns01-recursive-nameservers-only",
    )
    kubeconfig = api.kubeconfig(folder / "kubeconfig")
    cluster.apply(tsig_secret(bed, operator_namespace, name="cm-tsig"))
    cluster.apply(LEASE)
    with OperatorProcess(
        kubeconfig, folder / "log", operator_namespace=operator_namespace, arguments=arguments
    ) as running:
        yield running


@pytest.fixture(scope="module")
def alone(cluster: Cluster, mirror: OperatorProcess) -> OperatorProcess:
    """The operator, where cert-manager's controller does not run any more."""
    cluster.delete("Lease", "kube-system", "cert-manager-controller")
    # A Lease counts for as long as it lasts.
    mirror.stop()
    mirror.start()
    return mirror


@pytest.fixture
def quiet_ca(bed: TestBed) -> Iterator[RecordingProxy]:
    """The CA without renewal information."""
    with RecordingProxy.for_pebble(bed.pebble) as running:
        running.on_response = without_renewal_info
        yield running


@pytest.fixture
def space(bed: TestBed, cluster: Cluster, namespace: str, alone: OperatorProcess) -> Tenant:
    """A namespace with an Issuer of cert-manager."""
    cluster.apply(tsig_secret(bed, namespace))
    cluster.apply(their_issuer(bed, namespace, "pebble"))
    cluster.wait_ready(ISSUER, namespace, "pebble")
    return Tenant(namespace, bed, cluster, alone)


@pytest.fixture
def host() -> Callable[[], str]:
    return lambda: f"{secrets.token_hex(5)}.example.test"


def writes(api: RecordingProxy, namespace: str) -> list[tuple[str, str]]:
    """Return what was written in a namespace, or about ClusterIssuers."""
    calls = api.counts().elements()
    return [one for one in calls if one[0] != "GET" and (namespace in one[1] or "/clusterissuers/" in one[1])]


@pytest.mark.usefixtures("mirror")
def test_while_cert_managers_controller_lives_nothing_is_written_and_its_objects_say_so(
    cluster: Cluster, namespace: str, api: RecordingProxy, bed: TestBed, host: Callable[[], str]
) -> None:
    cluster.apply(their_issuer(bed, namespace, "pebble"))
    cluster.apply(their_certificate(namespace, "web", host()))
    for name in ("web", "pebble"):
        event = wait_event(cluster, namespace, name, "LeftToCertManager")
        assert "certManager.serveObjects.enabled" in event["message"]
    assert [path for _, path in writes(api, namespace) if not path.endswith("/events")] == []
    assert "status" not in (cluster.get(CERTIFICATE, namespace, "web") or {})
    assert cluster.get("Certificate", namespace, "web") is None


def requests_of(api: RecordingProxy, namespace: str, name: str) -> Counter[str]:
    """Return what was requested about one issuance, whatever its objects are called."""
    calls = (f"{method} {path}" for method, path in api.counts().elements() if f"/namespaces/{namespace}/" in path)
    return Counter(HASH.sub("*", re.sub(rf"\b{re.escape(name)}\b", "NAME", call)) for call in calls)


def without_renewal_info(request: Request, response: Response) -> Action:
    """Answer as a CA that suggests no times, which would be written whenever another one is chosen."""
    if request.path != "/dir":
        return Forward()
    directory = json.loads(response.body)
    del directory["renewalInfo"]
    return Respond(200, json.dumps(directory).encode(), {"Content-Type": "application/json"})


def test_a_certificate_of_cert_manager_is_issued_by_three_requests_more_and_at_rest_nothing_is_written(
    space: Tenant, api: RecordingProxy, host: Callable[[], str]
) -> None:
    cluster = space.cluster

    def issued(kind: str, name: str) -> Counter[str]:
        """Return the requests of an issuance that was quick: one that waits says so in between."""
        for number in range(5):
            place, begun = f"{name}{number}", time.monotonic()
            api.reset()
            if kind == "Certificate":
                # What cert-manager's would ask for.
                key = {"algorithm": "RSA", "size": 2048, "encoding": "PKCS1", "rotationPolicy": "Always"}
                space.apply(place, host(), privateKey=key)
            else:
                cluster.apply(their_certificate(space.namespace, place, host()))
            cluster.wait_ready(kind, space.namespace, place)
            took = time.monotonic() - begun
            wait_event(cluster, space.namespace, place, "Issued")
            if took < QUIET_SECONDS:
                return requests_of(api, space.namespace, place)
        raise AssertionError("no issuance was quick")

    # The first one reads the credentials.
    space.apply("first", host())
    space.ready("first")
    without, through = issued("Certificate", "own"), issued(CERTIFICATE, "theirs")
    theirs, ours = (f"/apis/{group}/v1/namespaces/test-*/certificates/NAME" for group in GROUPS)
    more = through - without
    assert more == Counter({f"PATCH {ours}": 1, f"PATCH {theirs}/status": 2}), more
    assert without - through == Counter()


def test_what_is_issued_is_told_and_at_rest_nothing_is_written(
    bed: TestBed, space: Tenant, api: RecordingProxy, quiet_ca: RecordingProxy, host: Callable[[], str]
) -> None:
    cluster, one = space.cluster, host()
    cluster.apply(their_issuer(bed, space.namespace, server=quiet_ca.directory_url))
    cluster.apply(their_certificate(space.namespace, "web", one))
    found = cluster.wait_ready(CERTIFICATE, space.namespace, "web")
    seen = conditions(found)
    assert (seen["Ready"]["reason"], "Issuing" in seen) == ("Ready", False)
    status, ours = found["status"], space.ready("web")
    assert {name: status[name] for name in TIMES} == {name: ours["status"][name] for name in TIMES}
    assert "nextPrivateKeySecretName" not in status
    assert (argo_cd()({**found, "kind": "Certificate"}), kstatus(found)) == ("Healthy", "Current")
    [owner] = ours["metadata"]["ownerReferences"]
    assert (owner["apiVersion"], owner["uid"], owner["controller"]) == (API, found["metadata"]["uid"], True)
    secret = cluster.get("Secret", space.namespace, "web-tls")
    assert secret is not None
    written = {
        key: text for key, text in secret["metadata"]["annotations"].items() if key.startswith("cert-manager.io/")
    }
    assert written == {
        "cert-manager.io/certificate-name": "web",
        "cert-manager.io/issuer-name": "pebble",
        "cert-manager.io/issuer-kind": "Issuer",
        "cert-manager.io/issuer-group": "cert-manager.io",
    }
    issuer = cluster.get(ISSUER, space.namespace, "pebble")
    lines = shown_by_cmctl(found, issuer, secret)
    assert "Issuer: pebble" in lines
    assert "Ready: True, Reason: ACMEAccountRegistered" in lines
    assert "Secret: web-tls" in lines
    # Touched in every way that changes nothing of what is asked for, and seen anew by a process that starts.
    api.reset()
    cluster.patch(CERTIFICATE, space.namespace, "web", {"metadata": {"annotations": {"example.test/a": "b"}}})
    cluster.patch(CERTIFICATE, space.namespace, "web", {"metadata": {"labels": {"a": "b"}}})
    space.operator.stop()
    space.operator.start()
    cluster.apply(their_certificate(space.namespace, "last", host()))
    cluster.wait_ready(CERTIFICATE, space.namespace, "last")
    about = [path for _, path in writes(api, space.namespace) if "/web" in path or "/pebble" in path]
    assert about == []
    # Deleted: ours goes with it, and the Secret stays.
    cluster.delete(CERTIFICATE, space.namespace, "web")
    cluster.wait_gone("Certificate", space.namespace, "web")
    assert cluster.get("Secret", space.namespace, "web-tls") is not None


def test_prometheus_sees_the_series_of_cert_manager_for_as_long_as_there_is_the_object(
    space: Tenant, host: Callable[[], str]
) -> None:
    cluster, namespace = space.cluster, space.namespace

    def shown(kind: str, **labels: str) -> list[tuple[str, float]]:
        wanted = {"namespace": namespace, **labels}
        return [
            (sample.name.removeprefix(f"certmanager_{kind}_"), sample.value)
            for family in text_string_to_metric_families(space.operator.metrics())
            for sample in family.samples
            if sample.name.startswith(f"certmanager_{kind}_") and wanted.items() <= sample.labels.items()
        ]

    cluster.apply(their_certificate(namespace, "web", host(), issuerRef={"name": "pebble", "kind": "Issuer"}))
    found = cluster.wait_ready(CERTIFICATE, namespace, "web")["status"]
    issuer = {"issuer_name": "pebble", "issuer_kind": "Issuer", "issuer_group": ""}
    at = {name: dt.datetime.fromisoformat(found[name]).timestamp() for name in TIMES if name != "revision"}
    series = [
        ("expiration_timestamp_seconds", at["notAfter"]),
        ("not_after_timestamp_seconds", at["notAfter"]),
        ("not_before_timestamp_seconds", at["notBefore"]),
        ("ready_status", 0.0),
        ("ready_status", 0.0),
        ("ready_status", 1.0),
        ("renewal_timestamp_seconds", at["renewalTime"]),
    ]
    cluster.wait_for(
        "the series are not there",
        lambda: {"status": {"seen": sorted(shown("certificate", name="web", **issuer))}},
        lambda seen: seen["status"]["seen"] == series,
    )
    assert shown("certificate", name="web", condition="True") == [("ready_status", 1.0)]
    assert shown("issuer", name="pebble", condition="True") == [("ready_status", 1.0)]
    cluster.delete(CERTIFICATE, namespace, "web")
    cluster.wait_for(
        "the series stay",
        lambda: {"status": {"seen": shown("certificate")}},
        lambda seen: seen["status"]["seen"] == [],
    )


def test_names_and_labels_of_the_metrics_are_those_of_the_release_that_is_pinned() -> None:
    collectors = module_folder(CERT_MANAGER.name, CERT_MANAGER.module) / "internal" / "collectors"
    text = "\n".join(path.read_text() for path in collectors.glob("*_collector.go"))
    found = re.findall(r'NewDesc\(\s*"(certmanager_\w+)",\s*"[^"]*",\s*\[\]string\{([^}]*)\}', text)
    theirs = {name: set(re.findall(r'"(\w+)"', labels)) for name, labels in found}
    # There are no challenges of cert-manager's.
    del theirs["certmanager_certificate_challenge_status"]
    page = (PROJECT / "docs" / "drop-in.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`certmanager_[^|]+) \| ([a-z_, ]+) \|", page, re.MULTILINE)
    told = {name: set(labels.split(", ")) for names, labels in rows for name in re.findall(r"`(\w+)`", names)}
    assert told == theirs
    assert {one.name: set(one._labelnames) for one in CertManagerMetrics(list).describe()} == theirs  # type: ignore[attr-defined]  # the library tells it nowhere else


def test_a_chart_that_ships_its_issuer_and_certificate_is_ready_for_helm_kubectl_and_flux(
    bed: TestBed, space: Tenant, helm: Helm, host: Callable[[], str], tmp_path: Path
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    (tmp_path / "templates/tls.yaml").write_text(CHART)
    values = {
        "email": "admin@example.test",
        "server": bed.pebble.directory_url,
        "caBundle": base64.b64encode(bed.pebble.ca_bundle_pem).decode(),
        "rfc2136": rfc2136(bed, "tsig"),
        "host": host(),
    }
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(helm.run("template", "front", str(tmp_path)))
    bed.kubectl("apply", "-n", space.namespace, "-f", str(rendered))
    for kind in ("issuers", "certificates"):
        wanted = f"{kind}.cert-manager.io/front-shop"
        bed.kubectl("wait", "--for=condition=Ready", wanted, "-n", space.namespace, "--timeout=60s")
    issuer = space.cluster.get(ISSUER, space.namespace, "front-shop")
    assert issuer is not None
    assert conditions(issuer)["Ready"]["reason"] == "ACMEAccountRegistered"
    assert issuer["status"]["acme"]["uri"].startswith("https://")
    assert issuer["status"]["acme"]["lastRegisteredEmail"] == "admin@example.test"
    ours = space.ready("front-shop")
    assert "app.kubernetes.io/instance" not in ours["metadata"].get("labels", {}), "GitOps tools would prune it"
    assert space.leaf("front-shop-tls").not_valid_after_utc > dt.datetime.now(dt.UTC)


def test_a_cluster_issuer_serves_it_and_what_is_refused_or_somebody_elses_says_so_in_its_condition(
    bed: TestBed, space: Tenant, host: Callable[[], str]
) -> None:
    cluster, name = space.cluster, f"shared-{secrets.token_hex(3)}"
    cluster.apply(their_issuer(bed, None, name, tsig="cm-tsig"))
    cluster.wait_ready(CLUSTER_ISSUER, None, name)
    reference = {"name": name, "kind": "ClusterIssuer", "group": "cert-manager.io"}
    one = host()
    cluster.apply(their_certificate(space.namespace, "web", one, issuerRef=reference))
    good = cluster.wait_ready(CERTIFICATE, space.namespace, "web")
    # The last good certificate stays, and stays shown.
    cluster.apply(their_certificate(space.namespace, "web", one, issuerRef=reference, isCA=True))
    found = cluster.wait_condition(CERTIFICATE, space.namespace, "web", "Ready", "False", reason="InvalidSpec")
    assert "spec.isCA" in conditions(found)["Ready"]["message"]
    assert found["status"]["notAfter"] == good["status"]["notAfter"]
    assert space.ready("web")["spec"]["dnsNames"] == [one]
    assert "spec.isCA" in wait_event(cluster, space.namespace, "web", "InvalidSpec")["message"]
    cluster.apply(their_certificate(space.namespace, "web", one, issuerRef=reference))
    cluster.wait_ready(CERTIFICATE, space.namespace, "web")
    # No ACME.
    plain = {"apiVersion": API, "kind": "Issuer", "metadata": {"name": "self", "namespace": space.namespace}}
    cluster.apply({**plain, "spec": {"selfSigned": {}}})
    cluster.wait_condition(ISSUER, space.namespace, "self", "Ready", "False", reason="InvalidConfig")
    cluster.apply(their_certificate(space.namespace, "root", host(), issuer="self"))
    found = cluster.wait_condition(CERTIFICATE, space.namespace, "root", "Ready", "False", reason="InvalidSpec")
    assert "is not an ACME issuer" in conditions(found)["Ready"]["message"]
    # Ours, made by somebody.
    space.apply("own", host(), issuerRef={"name": "pebble"})
    space.ready("own")
    cluster.apply(their_certificate(space.namespace, "own", host()))
    found = cluster.wait_condition(CERTIFICATE, space.namespace, "own", "Ready", "False", reason="CertificateNotOurs")
    assert "was created by something else" in conditions(found)["Ready"]["message"]
    ours = cluster.get("Certificate", space.namespace, "own")
    assert ours is not None
    assert "ownerReferences" not in ours["metadata"]
    cluster.delete(CLUSTER_ISSUER, None, name)
    cluster.wait_gone("ClusterIssuer", None, name)


def test_what_cmctl_renew_writes_renews_once_and_whoever_writes_a_status_gains_nothing_more(
    space: Tenant, host: Callable[[], str]
) -> None:
    cluster, one = space.cluster, host()
    cluster.apply(their_certificate(space.namespace, "web", one))
    first = cluster.wait_ready(CERTIFICATE, space.namespace, "web")
    before = space.leaf("web-tls").serial_number
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    cluster.patch_status(CERTIFICATE, space.namespace, "web", renewed_by_cmctl(first, now)["status"])

    def is_renewed(found: Object) -> bool:
        return found["status"].get("revision") == 2 and "Issuing" not in conditions(found)

    found = cluster.wait_for("it is not renewed", lambda: cluster.get(CERTIFICATE, space.namespace, "web"), is_renewed)
    assert kubectl_wait(found)
    assert space.leaf("web-tls").serial_number != before
    [request] = space.ready("web")["status"]["requests"]
    assert (request["action"], request["state"]) == ("Renew", "Succeeded")
    # The same transition again is the same request; an old one, and whatever else is in a status, is none.
    lies: list[Object] = [
        renewed_by_cmctl(found, now)["status"],
        renewed_by_cmctl(found, "2020-01-01T00:00:00Z")["status"],
        {"revision": 77, "notAfter": "2020-01-01T00:00:00Z", "nextPrivateKeySecretName": "x" * 500_000},
        {"conditions": [{"type": "Ready", "status": "False", "reason": "R" * 100_000, "message": "M" * 100_000}]},
    ]
    for lie in lies:
        cluster.patch_status(CERTIFICATE, space.namespace, "web", lie)
        cluster.wait_for(
            f"the status is not put right: {str(lie)[:100]}",
            lambda: cluster.get(CERTIFICATE, space.namespace, "web"),
            lambda seen: (
                list(conditions(seen)) == ["Ready"]
                and conditions(seen)["Ready"]["reason"] == "Ready"
                and seen["status"]["notAfter"] == found["status"]["notAfter"]
                and "nextPrivateKeySecretName" not in seen["status"]
            ),
        )
    ours = space.ready("web")
    assert len(ours["status"]["requests"]) == 1
    assert ours["status"]["revision"] == 2


def test_a_hostile_namespace_holds_up_nobody(space: Tenant, host: Callable[[], str]) -> None:
    cluster = space.cluster
    junk = {f"example.test/{number}": "x" * 60_000 for number in range(4)}
    many = [f"{number}.{'a' * 50}.example.test" for number in range(15_000)]
    large = their_certificate(space.namespace, "large", *many)
    noted = their_certificate(space.namespace, "noted", host())
    noted["metadata"]["annotations"] = junk
    for one in (large, noted, their_certificate(space.namespace, "good", host())):
        cluster.apply(one)
    cluster.wait_ready(CERTIFICATE, space.namespace, "good")
    found = cluster.wait_condition(CERTIFICATE, space.namespace, "large", "Ready", "False", reason="InvalidSpec")
    assert len(conditions(found)["Ready"]["message"]) < 4096
    cluster.wait_ready(CERTIFICATE, space.namespace, "noted")
    assert "annotations" not in space.ready("noted")["metadata"]


def test_where_cert_managers_crds_are_missing_ours_take_and_keep_every_object_that_it_has(
    bed: TestBed, cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    group = f"g{secrets.token_hex(4)}.example.test"
    names = []
    for definition in cert_manager_definitions():
        # Beside cert-manager's own, which other tests use.
        spec = definition["spec"]
        names.append(f"{spec['names']['plural']}.{group}")
        spec["names"] = {key: text for key, text in spec["names"].items() if key != "shortNames"}
        definition["metadata"]["name"], spec["group"] = names[-1], group
        (tmp_path / f"{names[-1]}.yaml").write_text(yaml.safe_dump(definition))
        monkeypatch.setitem(PLURALS, f"{spec['names']['kind']}.{group}", (f"apis/{group}/v1", spec["names"]["plural"]))
    monkeypatch.setattr("harness.cluster.CLUSTER_SCOPED", {*CLUSTER_SCOPED, f"ClusterIssuer.{group}"})
    bed.apply_crds(tmp_path)
    try:
        for body, _ in OBJECTS:
            metadata = dict(body["metadata"])
            if "namespace" in metadata:
                metadata["namespace"] = namespace
            kept = cluster.apply({**body, "apiVersion": f"{group}/v1", "metadata": metadata})
            assert kept["spec"] == body["spec"]
        served = served_as_ready()
        found = cluster.patch_status(f"Certificate.{group}", namespace, "plain", served)
        assert found["status"] == served
    finally:
        bed.kubectl("delete", "crd", *names, "--wait=false")


def served_as_ready() -> Object:
    """Return a status with every field that is kept."""
    times = dict.fromkeys(("notBefore", "notAfter", "renewalTime", "lastFailureTime"), "2026-06-01T12:00:00Z")
    fact = Fact("True", "Ready", "It is.")
    conditions = composed((), {"Ready": fact}, generation=1, now=dt.datetime(2026, 6, 1, tzinfo=dt.UTC))
    numbers = {"revision": 3, "failedIssuanceAttempts": 1}
    return {"conditions": conditions, **times, **numbers, "nextPrivateKeySecretName": "next"}
