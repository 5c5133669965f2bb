"""`check` finds what is missing, says what to do, and fails for it."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from certwright.cli.cluster.app import plugin
from certwright.cli.cluster.checks import authorities as of_authorities
from certwright.cli.cluster.checks import issuers as of_issuers
from certwright.cli.cluster.checks import operator as of_operator
from certwright.cli.cluster.checks.authorities import Way
from certwright.cli.cluster.checks.operator import Operator
from certwright.cli.cluster.checks.result import Result
from certwright.cli.cluster.checks.rights import (
    CLUSTER,
    GUARD,
    HTTP01,
    MIRROR,
    MIRROR_CLUSTER,
    SERVED,
    SHIM,
    TLS_ALPN01,
)
from certwright.cli.cluster.connection import Session
from certwright.cli.cluster.views import IssuerView
from certwright.issuers.authorities import Authority
from certwright.kube.claims import NAMESPACES_ANNOTATION
from certwright.resources.crd import custom_resource_definitions
from testbed.locations import PROJECT
from tests.fakes.tls import answering, issue, serving, tunnelling

from .objects import issuer

if TYPE_CHECKING:
    from pathlib import Path

    from .objects import Body
    from .server import FakeServer

AUTHORITY, NAME_SERVER = of_authorities.check_authority, of_issuers.check_name_server
"""The real ones: the other tests ask nothing outside."""


def lease(*, holder: str = "pod-1", seconds_ago: float = 3, serves: str = "*") -> Body:
    renewed = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds_ago)
    annotations = {NAMESPACES_ANNOTATION: serves}
    return {
        "metadata": {"name": "certwright", "namespace": "ops", "annotations": annotations},
        "spec": {"holderIdentity": holder, "renewTime": renewed.isoformat()},
    }


def pod(name: str = "certwright-1", *, ready: bool = True) -> Body:
    return {
        "metadata": {"name": name, "namespace": "ops", "labels": {"app.kubernetes.io/name": "certwright"}},
        "spec": {"serviceAccountName": "cw", "containers": [{"image": "registry/certwright:1"}]},
        "status": {
            "phase": "Pending",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [] if ready else [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}],
        },
    }


@pytest.fixture(autouse=True)
def installation(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is well; nothing outside is asked."""
    for definition in custom_resource_definitions():
        body = json.loads(json.dumps(definition))
        body["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
        server.add("customresourcedefinitions", body)
    server.add("leases", lease())
    server.add("pods", pod())
    server.add("issuers", issuer())

    async def answers(*_: Any, **__: Any) -> Result:
        return Result("pass", "asked", "answers")

    monkeypatch.setattr(of_authorities, "check_authority", answers)
    monkeypatch.setattr(of_issuers, "check_name_server", answers)
    monkeypatch.setattr(of_operator, "SECOND_LOOK", 0.01)


def check(*words: str) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    """The exit code, and what was found by the check's name."""
    result = CliRunner().invoke(plugin, ["check", "-o", "json", *words])
    document = json.loads(result.stdout)
    assert document["ok"] == (result.exit_code == 0)
    found: dict[str, list[tuple[str, str]]] = {}
    for one in document["checks"]:
        found.setdefault(one["name"], []).append((one["level"], one["message"]))
    return result.exit_code, found


def test_all_is_well() -> None:
    code, found = check()
    assert code == 0
    assert {level for results in found.values() for level, _ in results} == {"pass"}
    assert found["operator in ops"][0][1] == "pod-1 leads, serves all namespaces"
    assert found["pods"][0][1] == "1 ready in ops, image registry/certwright:1"
    table = CliRunner().invoke(plugin, ["check"]).stdout.splitlines()
    assert table[0].split() == ["RESULT", "CHECK", "FOUND"]
    assert re.fullmatch(r"\d+ passed, 0 warnings, 0 failed", table[-1])


def test_crds_that_are_missing_older_or_newer_are_told(server: FakeServer) -> None:
    name = "certificates.certwright.io"
    schema = server.objects["customresourcedefinitions", "", name]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["paused"]
    del server.objects["customresourcedefinitions", "", "issuers.certwright.io"]
    code, found = check()
    assert code == 1
    outdated = "is older than this version, it lacks spec.paused: kubectl apply --server-side -f crds/"
    level, message = found[f"CRD {name}"][0]
    assert (level, message.startswith(outdated)) == ("fail", True)
    assert found["CRD issuers.certwright.io"][0][1].startswith("is missing")
    schema["properties"]["spec"]["properties"] |= {"paused": {}, "tomorrow": {}}
    assert check()[1][f"CRD {name}"][0] == ("warn", "is newer than this command, it also has spec.tomorrow")
    server.objects["customresourcedefinitions", "", name]["status"] = {}
    assert "not established" in check()[1][f"CRD {name}"][0][1]


def test_an_operator_that_does_not_run_or_lead_is_told(server: FakeServer) -> None:
    server.add("leases", lease(seconds_ago=3600))
    assert check()[1]["operator in ops"][0] == (
        "fail",
        "Lease certwright of pod-1 was last renewed 1h ago: the operator is not running",
    )
    server.add("leases", lease(holder=""))
    assert "has no holder" in check()[1]["operator in ops"][0][1]
    server.add("leases", lease(serves="other"))
    code, found = check()
    assert (code, found["operator"][0][0]) == (1, "fail")
    assert "no release serves the namespace shop" in found["operator"][0][1]
    server.objects.pop(("leases", "ops", "certwright"))
    assert "no release has a Lease" in check()[1]["operator"][0][1]


def test_an_operator_whose_clock_differs_is_seen_to_be_alive(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add("leases", lease(seconds_ago=300))

    async def sleep(_: float) -> None:
        server.add("leases", lease(seconds_ago=295))

    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert check()[1]["operator in ops"][0][0] == "warn"


def test_pods_that_are_not_ready_are_told_with_why(server: FakeServer) -> None:
    server.add("pods", pod("certwright-2", ready=False))
    assert check()[1]["pods"][0] == ("warn", "1 of 2 in ops not ready: certwright-2 (ImagePullBackOff)")
    server.add("pods", pod(ready=False))
    assert check()[1]["pods"][0][0] == "fail"


def test_missing_rights_are_told_by_verb_and_purpose(server: FakeServer) -> None:
    server.rights = lambda one: (one["verb"], one["resource"]) not in {("patch", "certificates"), ("create", "secrets")}
    code, found = check()
    assert code == 1
    assert found["your rights"] == [
        ("warn", "missing in shop: patch certificates (for renew, revoke, rollback, pause, resume)")
    ]
    assert found["rights of ops/cw"][0][0] == "fail"
    assert "create secrets (for certificates and keys)" in found["rights of ops/cw"][0][1]


def test_what_may_not_be_looked_at_is_a_warning(server: FakeServer) -> None:
    server.denied = {
        "get customresourcedefinitions", "list leases", "list pods", "list issuers", "create SubjectAccessReview",
        "create configmaps",
    }  # fmt: skip
    code, found = check()
    assert code == 1, "the API server of this test does not serve discovery"
    assert found["rights of certwright/certwright"][0][0] == "warn"
    assert found["operator"][0] == ("warn", "you may not read Leases in the cluster: not checked")
    assert found["clock"][0][0] == "warn"


def test_issuers_that_cannot_be_listed_are_not_said_to_be_missing(server: FakeServer) -> None:
    server.unknown = {"issuers", "clusterissuers"}
    found = check()[1]
    assert found["Issuers"][0][0] == found["ClusterIssuers"][0][0] == "warn"
    assert "issuers" not in found


def test_a_clock_that_differs_is_told(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    past = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10)
    monkeypatch.setattr(server, "now", past.isoformat)
    level, message = check()[1]["clock"][0]
    assert level == "warn"
    assert re.match(r"this machine's clock is 10m ahead of the API server's", message)


def test_an_issuer_that_is_not_ready_fails(server: FakeServer) -> None:
    server.add("issuers", issuer(ready=False))
    code, found = check()
    assert code == 1
    assert found["Issuer shop/pebble"] == [("fail", "not Ready (CAUnreachable): The CA does not answer.")]


def test_records_that_are_left_in_the_dns_are_a_warning(server: FakeServer) -> None:
    body = issuer()
    left = {"type": "OrphanedRecords", "status": "True", "reason": "OrphanedRecordFound", "message": "Left behind: x."}
    body["status"]["conditions"].append(left)
    server.add("issuers", body)
    _, found = check()
    assert found["Issuer shop/pebble"][1:] == [("warn", "OrphanedRecords: Left behind: x.")]


def way(server: str, **connection: Any) -> Way:
    return Way(Authority(server, **connection), (), 10)


async def test_a_ca_and_a_dns_server_that_do_not_answer_are_warnings() -> None:
    ca = await AUTHORITY(way("https://127.0.0.1:9/dir"))
    server = await NAME_SERVER("127.0.0.1:9")
    assert (ca.level, server.level) == ("warn", "warn")
    assert ca.message.endswith(", seen from this machine; the operator's pod may have another route")
    assert server.message.endswith(", seen from this machine; the operator's pod may have another route")
    assert (await AUTHORITY(way("http://x"))).level == "warn"
    assert (await AUTHORITY(way("https://127.0.0.1:9/dir", ca_bundle_pem="%%%"))).level == "warn"
    assert (await NAME_SERVER("not a server")).level == "warn"


@pytest.mark.parametrize("proxy", [None, "http://169.254.169.254:3128"])
async def test_an_issuer_leads_the_administrators_machine_to_no_metadata_service(proxy: str | None) -> None:
    server = "https://169.254.169.254/latest" if proxy is None else "https://ca.example.test/dir"
    refused = await AUTHORITY(way(server, skip_tls_verify=True, proxy=proxy))
    assert "metadata" in refused.message


@pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:9"])
async def test_an_issuer_leads_to_this_machine_only_if_the_api_server_is_here(
    proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_authorities, "check_authority", AUTHORITY)
    acme = issuer_spec(server="https://127.0.0.1:9/dir" if proxy is None else "https://ca.example.test/dir")
    if proxy is not None:
        acme["proxy"] = {"url": proxy}
    for url, refused in (("https://api.example.test", True), ("https://127.0.0.1:6443", False)):
        connected = Session(None, "shop", url)  # type: ignore[arg-type]  # no Secret is read
        (found,) = await of_authorities.check_authorities(connected, [view(acme)], Operator("ops"))
        assert ("leads to a loopback address" in found.message) == refused, found.message


def issuer_spec(**fields: Any) -> Body:
    return {**issuer()["spec"]["acme"], **fields}


def view(acme: Body, kind: str = "Issuer") -> IssuerView:
    body = issuer(kind=kind)
    body["spec"]["acme"] = acme
    if kind == "ClusterIssuer":
        del body["metadata"]["namespace"]
    return IssuerView(body, kind)


def secret(server: FakeServer, namespace: str, name: str, **entries: str | bytes) -> None:
    data = {
        key: base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()
        for key, text in entries.items()
    }
    server.add("secrets", {"metadata": {"name": name, "namespace": namespace, "resourceVersion": "1"}, "data": data})


DIRECTORY = json.dumps(
    {name: f"https://localhost/{name}" for name in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")}
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(DIRECTORY) + DIRECTORY


@pytest.mark.parametrize("kind", ["Issuer", "ClusterIssuer"])
async def test_a_ca_is_asked_by_the_issuers_proxy_with_its_client_certificate_and_bundle(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(of_authorities, "check_authority", AUTHORITY)
    root = issue(tmp_path, "root")
    leaf, client = issue(tmp_path, "leaf", issuer=root), issue(tmp_path, "client", issuer=root)
    asked: list[bytes] = []
    place = "shop" if kind == "Issuer" else "ops"
    certificate, key = client.files
    secret(server, place, "mtls", **{"tls.crt": certificate.read_bytes(), "tls.key": key.read_bytes()})
    secret(server, place, "proxy", username="user", password="pass-words")
    connected = Session(server, "shop", "https://127.0.0.1:6443")  # type: ignore[arg-type]  # a stand-in
    async with serving(answering(ANSWER), leaf, client_ca=root) as ca, tunnelling(asked, ca) as port:
        acme = issuer_spec(
            server=f"{ca.url}/dir",
            caBundle=base64.b64encode(root.pem.encode()).decode(),
            clientCertificateSecretRef={"name": "mtls"},
            proxy={"url": f"http://127.0.0.1:{port}", "credentialsSecretRef": {"name": "proxy"}},
        )
        same = [view(acme, kind), view(acme, kind)]
        (found,) = await of_authorities.check_authorities(connected, same, Operator("ops"))
        assert (found.level, found.name) == ("pass", f"CA {ca.url}/dir"), found.message
        assert found.message == (
            f"answers this machine, through its proxy 127.0.0.1:{port}, with the client certificate in Secret mtls,"
            " trusting its caBundle"
        )
        assert len(asked) == 1
        assert asked[0].startswith(f"CONNECT localhost:{ca.port} ".encode())
        assert base64.b64encode(b"user:pass-words") in asked[0]
        without = {name: part for name, part in acme.items() if name != "clientCertificateSecretRef"}
        (found,) = await of_authorities.check_authorities(connected, [view(without, kind)], Operator("ops"))
        assert found.level == "warn"
        assert "pass-words" not in found.message


async def test_the_time_outs_of_an_issuer_are_kept_to(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_authorities, "check_authority", AUTHORITY)
    root = issue(tmp_path, "root")
    leaf = issue(tmp_path, "leaf", issuer=root)

    async def silent(*_: Any) -> None:
        await asyncio.sleep(60)

    connected = Session(server, "shop", "https://127.0.0.1:6443")  # type: ignore[arg-type]  # a stand-in
    async with serving(silent, leaf) as ca:
        bundle = base64.b64encode(root.pem.encode()).decode()
        acme = issuer_spec(server=f"{ca.url}/dir", caBundle=bundle, timeouts={"total": "1s"})
        (found,) = await of_authorities.check_authorities(connected, [view(acme)], Operator("ops"))
    assert found.level == "warn"
    assert "1 s" in found.message
    assert "trusting its caBundle, seen from this machine" in found.message


@pytest.mark.parametrize(
    ("kind", "known", "level", "place"),
    [
        ("Issuer", False, "fail", "shop"),
        ("ClusterIssuer", True, "fail", "ops"),
        ("ClusterIssuer", False, "warn", "ops"),
    ],
)
async def test_a_secret_for_the_connection_that_is_missing_or_may_not_be_read_is_told(
    server: FakeServer, kind: str, *, known: bool, level: str, place: str
) -> None:
    connected = Session(server, "shop", "https://api.example.test")  # type: ignore[arg-type]  # a stand-in
    issuers = [view(issuer_spec(clientCertificateSecretRef={"name": "mtls"}), kind)]
    operator = Operator("ops", is_known=known)
    (missing,) = await of_authorities.check_authorities(connected, issuers, operator)
    assert missing.level == level
    assert missing.name == f"CA of {issuers[0].label}"
    assert f"Secret {place}/mtls" in missing.message
    assert "does not exist" in missing.message
    server.denied = {"get secrets"}
    (unread,) = await of_authorities.check_authorities(connected, issuers, operator)
    assert (unread.level, "secrets is forbidden" in unread.message) == ("warn", True)


async def test_an_issuer_of_another_version_is_not_asked_for(server: FakeServer) -> None:
    connected = Session(server, "shop", "https://api.example.test")  # type: ignore[arg-type]  # a stand-in
    (found,) = await of_authorities.check_authorities(connected, [view({"server": 7})], Operator("ops"))
    assert (found.level, found.name) == ("warn", "CA of Issuer shop/pebble")
    assert "this version cannot read its spec" in found.message


@pytest.mark.parametrize(
    ("rights", "template"),
    [((*SERVED, *HTTP01, *TLS_ALPN01, *SHIM, *GUARD, *MIRROR), "served"), ((*CLUSTER, *MIRROR_CLUSTER), "cluster")],
)
def test_the_rights_are_those_of_the_table_in_the_docs(rights: Any, template: str) -> None:
    page = (PROJECT / "docs" / "operating.md").read_text()
    rows = re.findall(r"^\| (served|cluster) \| (\S+) \| ([^|]+) \| ([^|]+) \|", page, re.MULTILINE)
    granted = {
        ("" if group == "core" else group, resource, verb)
        for where, group, resources, verbs in rows
        if where == template
        for resource in resources.split(", ")
        for verb in verbs.split(", ")
    }
    wanted = {(one.group, one.resource, verb) for one in rights for verb in one.verbs}
    assert wanted <= granted
    # What is left out only explains failures, or is for the chart values namespaces and dns01.webhooks.
    assert {resource for _, resource, _ in granted - wanted} <= {
        "networkpolicies",
        "gateways",
        "ingressclasses",
        "namespaces",
        "`solverName`",
        "apiservices (its own)",
    }
