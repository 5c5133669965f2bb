"""What tools make of each state of cert-manager's objects, from new to deleted, and what `cmctl renew` does in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from certwright.mirror import issuer_status
from certwright.mirror.certificate_status import Served
from certwright.mirror.objects import THEIR_CERTIFICATES, Mirrored
from certwright.mirror.renewals import renewal_of
from certwright.resources import AcmeIssuerStatus
from tests.fakes.operator import NOW
from tests.health.kstatus import kstatus
from tests.mirror.judges import argo_cd, kubectl_wait, renewed_by_cmctl, shown_by_cmctl
from tests.mirror.states import URI, an_issuer, body_of, served_as

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.operator import Build

Body = dict[str, Any]
SPEC = {"secretName": "web-tls", "dnsNames": ["a.example.test"], "issuerRef": {"name": "ca"}}
STAMP = "2026-06-01T11:59:30Z"


@dataclass(frozen=True)
class Seen:
    """What tools say of a state.

    Attributes:
        argo_cd: The health that its script gives.
        kstatus: What it computes.
        conditions: As `cmctl status certificate` shows them.
        marks: `waits`: `kubectl wait --for=condition=Ready` goes on; `times`: cmctl shows when the certificate ends;
            `renews`: `cmctl renew` asks for a certificate that would not come by itself.
    """

    argo_cd: str
    kstatus: str
    conditions: tuple[str, ...]
    marks: str


ISSUING = ("Ready: False, Reason: DoesNotExist", "Issuing: True, Reason: DoesNotExist")
READY = "Ready: True, Reason: Ready"
STATES = {
    "unseen": Seen("Progressing", "Current", ("No Conditions set",), "waits"),
    "new": Seen("Progressing", "InProgress", ISSUING, "waits"),
    "issuing": Seen("Progressing", "InProgress", ISSUING, "waits"),
    "issuer not ready": Seen("Progressing", "InProgress", ISSUING, "waits"),
    "failing": Seen("Degraded", "InProgress", (ISSUING[0], "Issuing: False, Reason: Failed"), "waits renews"),
    "ready": Seen("Healthy", "Current", (READY,), "times renews"),
    "renewing": Seen("Progressing", "Current", (READY, "Issuing: True, Reason: Renewing"), "times renews"),
    "renewal fails": Seen("Healthy", "Current", (READY, "Issuing: False, Reason: Failed"), "times renews"),
    "expired": Seen(
        "Progressing", "InProgress", ("Ready: False, Reason: Expired", "Issuing: True, Reason: Expired"), "waits times"
    ),
    "deleted": Seen("Progressing", "Terminating", (READY,), "times"),
}


def in_state(build: Build, state: str) -> tuple[Served, Body]:
    """Return what serves a Certificate of theirs, and the Certificate as the API server has it."""
    issued = "ready" if state == "deleted" else state
    served = Served(1) if state in {"unseen", "new"} else served_as(build, issued)
    body = body_of(served)
    if state == "unseen":
        del body["status"]
    metadata = {"name": "web", "namespace": "team", "uid": "uid-web", "generation": 1, "resourceVersion": "7"}
    if state == "deleted":
        metadata["deletionTimestamp"] = STAMP
    return served, {**body, "metadata": metadata, "spec": SPEC}


@pytest.fixture(scope="module")
def judge() -> Callable[[Body], str]:
    return argo_cd()


@pytest.mark.parametrize("state", STATES)
def test_a_certificate_is_judged_in_each_state(build: Build, judge: Callable[[Body], str], state: str) -> None:
    expected, (served, body) = STATES[state], in_state(build, state)
    assert judge(body) == expected.argo_cd
    assert kstatus(body) == expected.kstatus
    assert kubectl_wait(body) is ("waits" not in expected.marks)
    lines = shown_by_cmctl(body, None, {"data": {"tls.crt": "x"}} if served.secret is not None else None)
    assert tuple(lines[1 : 1 + len(expected.conditions)]) == expected.conditions
    assert lines[1 + len(expected.conditions)] == "error when getting Issuer"
    assert ("Not After: <none>" in lines) is ("times" not in expected.marks)
    assert ("Renewal Time: <none>" in lines) is ("times" not in expected.marks)
    assert any(line.startswith("Secret: ") for line in lines) is ("times" in expected.marks)


@pytest.mark.parametrize("state", STATES)
def test_cmctl_renew_asks_where_nothing_comes_by_itself_and_is_seen_until_it_has_begun(
    build: Build, judge: Callable[[Body], str], state: str
) -> None:
    served, body = in_state(build, state)
    before = {one["type"]: one["status"] for one in (body.get("status") or {}).get("conditions", ())}
    body = renewed_by_cmctl(body, STAMP)
    assert judge(body) == "Progressing"
    theirs = Mirrored.of(THEIR_CERTIFICATES, body)
    trigger = renewal_of(theirs, served.ours, NOW)
    # One that is deleted is not looked at at all.
    assert (trigger.request is not None and state != "deleted") is ("renews" in STATES[state].marks)
    if trigger.request is not None:
        assert trigger.is_pending
        assert trigger.request["action"] == "Renew"
    # Issuing that was True keeps its time, which is the same transition.
    assert (theirs.triggered == STAMP) is (before.get("Issuing") != "True")


@pytest.mark.parametrize(
    ("state", "health", "computed", "condition"),
    [
        ("new", "Progressing", "Current", "No Conditions set"),
        ("ready", "Healthy", "Current", "Ready: True, Reason: ACMEAccountRegistered"),
        ("failing", "Degraded", "InProgress", "Ready: False, Reason: ErrRegisterACMEAccount"),
        ("refused", "Degraded", "InProgress", "Ready: False, Reason: InvalidConfig"),
        ("deleted", "Progressing", "Terminating", "Ready: True, Reason: ACMEAccountRegistered"),
    ],
)
@pytest.mark.parametrize("kind", ["Issuer", "ClusterIssuer"])
def test_an_issuer_is_judged_in_each_state(
    build: Build, judge: Callable[[Body], str], *, kind: str, state: str, health: str, computed: str, condition: str
) -> None:
    ready = {"new": None, "failing": ("False", "CAUnreachable", "No answer.")}.get(
        state, ("True", "AccountRegistered", "It is.")
    )
    refusal = ("InvalidConfig", "spec.acme is missing.") if state == "refused" else None
    ours = None if state == "refused" else an_issuer(ready, AcmeIssuerStatus(uri=URI))
    status = issuer_status.issuer_status({}, ours, NOW, generation=1, refusal=refusal)
    body: Body = {"kind": kind, "metadata": {"name": "ca", "generation": 1}, "status": status}
    if state == "deleted":
        body["metadata"]["deletionTimestamp"] = STAMP
    assert (judge(body), kstatus(body)) == (health, computed)
    assert kubectl_wait(body) is (health == "Healthy" or state == "deleted")
    _, certificate = in_state(build, "ready")
    assert shown_by_cmctl(certificate, body, None)[2:4] == ["Issuer: ca", condition]
