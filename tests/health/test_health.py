"""What Argo CD and kstatus say of our objects, in every state that they can be in."""

from __future__ import annotations

import datetime as dt
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from certwright.certificates.observation import Note
from certwright.certificates.status import report
from certwright.issuers.circuits import AVAILABLE
from certwright.issuers.issuer_status import KEY_ROTATED, TERMS_ACCEPTED, Problem, composed
from certwright.resources import RECORDS_PUBLISHED, UNOBSERVED, Issuer
from certwright.resources.crd import custom_resource_definitions
from tests.fakes.operator import NOW
from tests.health.kstatus import kstatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.operator import Build

DAY = dt.timedelta(days=1)
CONFIG = Path(__file__).parents[2] / "deploy/argocd/argocd-cm.yaml"
PREFIX = "resource.customizations.health.certwright.io_"
GOING = Note("WaitingForDNS", "ns1.example.test has no record yet.", under_way=True)
FAILED = Note("ValidationFailed", "The CA found no record.", under_way=False)

Body = dict[str, Any]


@pytest.fixture(scope="module")
def argo_cd() -> Callable[[Body], tuple[str, str]]:
    """Judge as Argo CD does: the script of the kind, in Lua 5.1, with the object as `obj`."""
    lua51 = import_module("lupa.lua51")
    scripts = yaml.safe_load(CONFIG.read_text())["data"]

    def judge(body: Body) -> tuple[str, str]:
        lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
        lua.globals()["obj"] = lua.table_from(body, recursive=True)
        found = lua.execute(scripts[f"{PREFIX}{body['kind']}"])
        return found["status"], found["message"]

    return judge


def a_certificate(build: Build, now: dt.datetime, state: str) -> Body:
    """Return a Certificate as the operator's own code describes it."""
    old = build.facts(not_before=now - 80 * DAY, life=90 * DAY)
    spec: Body = {"paused": True} if state.startswith("paused") else {}
    secret, note = {
        "new": (None, None),
        "to be issued": (None, None),
        "issuing": (None, GOING),
        "failing": (None, FAILED),
        "ready": (build.facts(not_before=now), None),
        "renewing": (old, GOING),
        "renewal fails": (old, FAILED),
        "expired": (build.facts(not_before=now - 91 * DAY, life=90 * DAY), FAILED),
        "changed": (build.facts(not_before=now), None),
        "deleted": (build.facts(not_before=now), None),
        "paused": (build.facts(not_before=now), None),
        "paused without a certificate": (None, None),
    }[state]
    certificate = build.certificate(**spec)
    observation = build.observation(certificate, secret=secret).remember(note=note)
    body = certificate.to_json()
    body["status"] = report(observation, now).to_json()
    if state == "new":
        body["status"] = {"observedGeneration": UNOBSERVED}
    if state == "changed":
        body["metadata"]["generation"] = 2
    if state == "deleted":
        body["metadata"]["deletionTimestamp"] = "2026-06-01T12:00:00Z"
    return body


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("new", ("Progressing", "InProgress")),
        ("to be issued", ("Degraded", "InProgress")),
        ("issuing", ("Progressing", "InProgress")),
        ("failing", ("Degraded", "InProgress")),
        ("ready", ("Healthy", "Current")),
        ("renewing", ("Healthy", "Current")),
        ("renewal fails", ("Healthy", "Current")),
        ("expired", ("Degraded", "InProgress")),
        ("changed", ("Progressing", "InProgress")),
        ("deleted", ("Progressing", "Terminating")),
        ("paused", ("Suspended", "Current")),
        ("paused without a certificate", ("Suspended", "InProgress")),
    ],
)
def test_the_health_of_a_certificate(
    build: Build, now: dt.datetime, argo_cd: Callable[[Body], tuple[str, str]], state: str, expected: tuple[str, str]
) -> None:
    body = a_certificate(build, now, state)
    status, message = argo_cd(body)
    assert (status, kstatus(body)) == expected
    ready = next((one for one in body["status"].get("conditions", ()) if one["type"] == "Ready"), {"message": ""})
    if state in ("failing", "ready", "renewing", "renewal fails", "expired"):
        assert message == ready["message"], "the reason stands where people look"
    assert message


SOLVER = {"dns01": {"rfc2136": {"nameserver": "127.0.0.1:53"}}}
PROBLEM = Problem("TermsChanged", "The terms have changed: see https://ca.example/terms.")


@pytest.mark.parametrize(
    ("ready", "problem", "expected"),
    [
        (None, None, ("Progressing", "InProgress")),
        (("True", "AccountRegistered", "The account is registered."), None, ("Healthy", "Current")),
        (("False", "CAUnreachable", "The CA does not answer."), None, ("Degraded", "InProgress")),
        (("True", "AccountRegistered", "The account is registered."), TERMS_ACCEPTED, ("Degraded", "Current")),
        (("True", "AccountRegistered", "The account is registered."), KEY_ROTATED, ("Degraded", "Current")),
        (("True", "AccountRegistered", "The account is registered."), AVAILABLE, ("Degraded", "Current")),
        (("True", "AccountRegistered", "The account is registered."), RECORDS_PUBLISHED, ("Degraded", "Current")),
    ],
)
@pytest.mark.parametrize("kind", ["Issuer", "ClusterIssuer"])
def test_the_health_of_an_issuer(
    argo_cd: Callable[[Body], tuple[str, str]], kind: str, ready: Any, problem: str | None, expected: tuple[str, str]
) -> None:
    metadata = {"name": "ca", "namespace": "team", "uid": "uid", "generation": 1, "resourceVersion": "1"}
    acme = {"server": "https://ca.example/d", "privateKeySecretRef": {"name": "account"}, "solvers": [SOLVER]}
    issuer = Issuer.parse({"metadata": metadata, "spec": {"acme": acme}})
    body: Body = {"kind": kind, "metadata": metadata, "status": {"observedGeneration": UNOBSERVED}}
    if ready is not None:
        body["status"] = composed(issuer, None, ready, {problem: PROBLEM} if problem else {}, NOW).to_json()
    status, message = argo_cd(body)
    assert (status, kstatus(body)) == expected
    assert message == (PROBLEM.message if problem else ready[2] if ready else message)


def test_there_is_a_script_for_every_kind_of_ours(argo_cd: Callable[[Body], tuple[str, str]]) -> None:
    kinds = {definition["spec"]["names"]["kind"] for definition in custom_resource_definitions()}
    assert set(yaml.safe_load(CONFIG.read_text())["data"]) == {f"{PREFIX}{kind}" for kind in kinds}
    for kind in kinds:
        metadata = {"name": "a", "generation": 1, "deletionTimestamp": "2026-06-01T12:00:00Z"}
        assert argo_cd({"kind": kind, "metadata": metadata})[0] == "Progressing"
        assert argo_cd({"kind": kind, "metadata": {"name": "a", "generation": 1}})[0] == "Progressing"
