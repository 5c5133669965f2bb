"""The states that objects of cert-manager can be in, as the operator's own code describes them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from certwright.certificates.observation import Note
from certwright.certificates.status import report
from certwright.issuers.issuer_status import composed
from certwright.mirror import certificate_status
from certwright.mirror.certificate_status import Served
from certwright.resources import AcmeIssuerStatus, Issuer
from tests.fakes.operator import NOW

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation
    from tests.fakes.operator import Build

DAY = dt.timedelta(days=1)
GOING = Note("WaitingForDNS", "ns1.example.test has no record yet.", under_way=True)
FAILED = Note("ValidationFailed", "The CA found no record.", under_way=False)
WAITING = Note("IssuerNotReady", "The issuer is not ready.", under_way=False)
FIRST_FAILURE = NOW - dt.timedelta(minutes=1)

Body = dict[str, Any]


def served_as(build: Build, state: str) -> Served:
    """Return a Certificate of theirs with ours as the operator's own code describes it."""
    fresh, old = build.facts(not_before=NOW), build.facts(not_before=NOW - 80 * DAY, life=90 * DAY)
    spec: Body = {"paused": True} if state == "paused" else {}
    if state == "names changed":
        spec = {"dnsNames": ["a.example.test", "b.example.test"]}
    if state == "key changed":
        spec = {"privateKey": {"algorithm": "RSA"}}
    if state == "issuer changed":
        spec = {"issuerRef": {"name": "other"}}
    notes = {"issuing": GOING, "failing": FAILED, "issuer not ready": WAITING}
    secrets = {"renewing": old, "renewal fails": old, "expired": build.facts(not_before=NOW - 91 * DAY, life=90 * DAY)}
    secret = None if state in ("issuing", "failing", "issuer not ready") else secrets.get(state, fresh)
    note = notes.get(state, GOING if state == "renewing" else FAILED if "fails" in state else None)
    if state.endswith("changed") or state == "expired":
        note = GOING
    certificate = build.certificate(**spec)
    observation: Observation = build.observation(certificate, secret=secret).remember(note=note)
    if state == "issuer changed":
        # One that was never issued here would be adopted: the CA is the same.
        observation = observation.with_status(revision=1)
    status = report(observation, NOW)
    if "fail" in state:
        status = status.replace(failed_attempts=2, last_failure_time=FIRST_FAILURE)
    if secret is not None:
        status = status.replace(revision=3)
    return Served(1, certificate.model_copy(update={"status": status}), secret)


def body_of(served: Served, present: Body | None = None) -> Body:
    status = certificate_status.certificate_status(present or {}, served, NOW)
    return {"kind": "Certificate", "metadata": {"name": "web", "generation": served.generation}, "status": status}


def said(body: Body) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one.get("reason", "")) for one in body["status"].get("conditions", ())}


ACME = {"server": "https://ca.example/d", "privateKeySecretRef": {"name": "account"}}
SOLVER = {"dns01": {"rfc2136": {"nameserver": "127.0.0.1:53"}}}
URI = "https://ca.example/account/1"


def an_issuer(ready: Any, acme: AcmeIssuerStatus | None = None) -> Issuer:
    metadata = {"name": "ca", "namespace": "team", "uid": "uid", "generation": 1, "resourceVersion": "1"}
    issuer = Issuer.parse({"metadata": metadata, "spec": {"acme": {**ACME, "solvers": [SOLVER]}}})
    if ready is None:
        return issuer
    return issuer.model_copy(update={"status": composed(issuer, acme, ready, {}, NOW)})
