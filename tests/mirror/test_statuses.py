"""The status of cert-manager's objects, state by state: what it says, and what tools make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.status import report
from certwright.mirror import issuer_status
from certwright.mirror.certificate_status import Served
from certwright.resources import AcmeIssuerStatus
from tests.fakes.operator import NOW, encoded
from tests.health.kstatus import kstatus
from tests.mirror.judges import argo_cd, kubectl_wait, renewed_by_cmctl
from tests.mirror.states import GOING, URI, an_issuer, body_of, said, served_as

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.operator import Build

Body = dict[str, Any]


@pytest.fixture(scope="module")
def judge() -> Callable[[Body], str]:
    return argo_cd()


@pytest.mark.parametrize(
    ("state", "conditions", "judged"),
    [
        ("issuing", {"Ready": ("False", "DoesNotExist"), "Issuing": ("True", "DoesNotExist")}, "Progressing"),
        ("issuer not ready", {"Ready": ("False", "DoesNotExist"), "Issuing": ("True", "DoesNotExist")}, "Progressing"),
        ("failing", {"Ready": ("False", "DoesNotExist"), "Issuing": ("False", "Failed")}, "Degraded"),
        ("ready", {"Ready": ("True", "Ready")}, "Healthy"),
        ("paused", {"Ready": ("True", "Ready")}, "Healthy"),
        ("renewing", {"Ready": ("True", "Ready"), "Issuing": ("True", "Renewing")}, "Progressing"),
        ("renewal fails", {"Ready": ("True", "Ready"), "Issuing": ("False", "Failed")}, "Healthy"),
        ("expired", {"Ready": ("False", "Expired"), "Issuing": ("True", "Expired")}, "Progressing"),
        ("names changed", {"Ready": ("False", "RequestChanged"), "Issuing": ("True", "RequestChanged")}, "Progressing"),
        ("key changed", {"Ready": ("False", "SecretMismatch"), "Issuing": ("True", "SecretMismatch")}, "Progressing"),
        (
            "issuer changed",
            {"Ready": ("False", "IncorrectIssuer"), "Issuing": ("True", "IncorrectIssuer")},
            "Progressing",
        ),
    ],
)
def test_each_state_has_cert_managers_conditions_and_is_judged_as_its_own_would_be(
    build: Build, judge: Callable[[Body], str], state: str, conditions: dict[str, tuple[str, str]], judged: str
) -> None:
    body = body_of(served_as(build, state))
    assert said(body) == conditions
    is_ready = conditions["Ready"][0] == "True"
    assert judge(body) == judged
    assert kstatus(body) == ("Current" if is_ready else "InProgress")
    assert kubectl_wait(body) is is_ready
    assert all(one["observedGeneration"] == 1 and one["message"] for one in body["status"]["conditions"])


def test_a_new_certificate_is_being_issued_and_one_that_cert_manager_issued_stays_ready_until_ours_was_looked_at(
    build: Build, judge: Callable[[Body], str]
) -> None:
    body = body_of(Served(1))
    assert said(body) == {"Ready": ("False", "DoesNotExist"), "Issuing": ("True", "DoesNotExist")}
    assert (judge(body), kstatus(body)) == ("Progressing", "InProgress")
    ready = body_of(served_as(build, "ready"))["status"]
    moved = body_of(Served(2), ready)
    assert moved["status"] == ready
    assert not kubectl_wait(moved), "the condition is of an earlier spec"
    fresh = build.certificate()
    assert body_of(Served(2, fresh), ready)["status"] == ready
    lapsed = {**ready, "notAfter": "2020-01-01T00:00:00Z"}
    assert said(body_of(Served(2), lapsed))["Ready"] == ("False", "DoesNotExist")


def test_times_attempts_and_the_next_key_are_those_of_the_certificate(build: Build) -> None:
    served = served_as(build, "renewal fails")
    status = body_of(served)["status"]
    assert served.secret is not None
    assert served.secret.certificate is not None
    assert status["notAfter"] == served.secret.certificate.not_after.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert status["notBefore"] < status["renewalTime"] < status["notAfter"]
    assert (status["failedIssuanceAttempts"], status["lastFailureTime"]) == (2, "2026-06-01T11:59:00Z")
    assert status["revision"] == 3
    going = served_as(build, "issuing")
    assert going.ours is not None
    ordered = going.ours.status.replace(order=build.order_status())
    status = body_of(Served(1, going.ours.model_copy(update={"status": ordered})))["status"]
    assert status["nextPrivateKeySecretName"]
    done = body_of(served_as(build, "ready"), status)["status"]
    assert not done.keys() & {"nextPrivateKeySecretName", "failedIssuanceAttempts", "lastFailureTime"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, 3),
        ({"revision": 7}, 7),
        ({"revision": 7, "notBefore": "2026-01-01T00:00:00Z"}, 8),
        ({"revision": 1, "notBefore": "2026-01-01T00:00:00Z"}, 3),
        ({"revision": "7"}, 3),
        ({"revision": True}, 3),
        ({"revision": -4}, 3),
        ({"revision": 10**12}, 3),
    ],
)
def test_the_revision_goes_on_where_cert_manager_left_it(build: Build, before: Body, after: int) -> None:
    served = served_as(build, "ready")
    status = body_of(served, before)["status"]
    assert status["revision"] == after
    assert body_of(served, status)["status"] == status


def test_the_revision_of_a_certificate_that_was_adopted_is_the_one_that_cert_manager_has_counted(build: Build) -> None:
    served = served_as(build, "ready")
    assert served.ours is not None
    adopted = served.ours.model_copy(update={"status": served.ours.status.replace(revision=0)})
    status = body_of(Served(1, adopted, served.secret))["status"]
    assert "revision" not in status
    counted = {**status, "revision": 4}
    assert body_of(Served(1, adopted, served.secret), counted)["status"] == counted


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, "MissingData"),
        ({"tls.crt": "valid"}, "MissingData"),
        ({"tls.crt": "valid", "tls.key": encoded(b"none")}, "InvalidKeyPair"),
        ({"tls.crt": encoded(b"none"), "tls.key": "valid"}, "InvalidCertificate"),
    ],
)
def test_a_secret_that_cannot_be_used_is_told_by_what_is_wrong_with_it(
    build: Build, data: dict[str, str], reason: str
) -> None:
    certificate = build.certificate()
    good = build.secret(certificate)["data"]
    found = {name: good[name] if text == "valid" else text for name, text in data.items()}
    secret = SecretFacts.of({**build.secret(certificate), "data": found})
    observation = build.observation(certificate, secret=secret).remember(note=GOING)
    ours = certificate.model_copy(update={"status": report(observation, NOW)})
    assert said(body_of(Served(1, ours, secret)))["Ready"] == ("False", reason)


def test_a_refusal_is_its_ready_condition_and_the_last_good_certificate_stays_shown(
    build: Build, judge: Callable[[Body], str]
) -> None:
    good = served_as(build, "ready")
    refused = Served(2, good.ours, good.secret, refusal=("InvalidSpec", "spec.dnsNames: is too long."))
    body = body_of(refused, body_of(good)["status"])
    assert said(body) == {"Ready": ("False", "InvalidSpec")}
    assert body["status"]["notAfter"] == body_of(good)["status"]["notAfter"]
    assert (judge(body), kstatus(body)) == ("Degraded", "InProgress")


def test_the_trigger_of_cmctl_is_not_left_standing_once_the_renewal_is_done(
    build: Build, judge: Callable[[Body], str]
) -> None:
    ready = body_of(served_as(build, "ready"))
    triggered = renewed_by_cmctl(ready, "2026-06-01T12:00:00Z")
    assert judge(triggered) == "Progressing"
    assert body_of(served_as(build, "ready"), triggered["status"]) == ready


def test_conditions_of_others_stay_and_transition_times_move_only_with_the_status(build: Build) -> None:
    foreign = {"type": "example.test/Checked", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    before = {"conditions": [foreign, *body_of(served_as(build, "issuing"))["status"]["conditions"]]}
    early = "2026-02-02T00:00:00Z"
    for one in before["conditions"]:
        one["lastTransitionTime"] = early
    served = served_as(build, "renewal fails")
    times = {one["type"]: one["lastTransitionTime"] for one in body_of(served, before)["status"]["conditions"]}
    assert times == {"example.test/Checked": early, "Ready": "2026-06-01T12:00:00Z", "Issuing": "2026-06-01T12:00:00Z"}
    again = body_of(served, body_of(served, before)["status"])
    assert again == body_of(served, before)


@pytest.mark.parametrize(
    "conditions",
    [
        None,
        "Ready",
        [None, 7, {"type": 1}],
        [{"type": "Ready", "status": "Maybe"}],
        [{"type": "Ready", "status": "True", "lastTransitionTime": "9999-01-01T00:00:00Z"}],
        [{"type": "Ready", "status": "True", "lastTransitionTime": ["2026"]}],
        [{"type": "a", "status": "True", "message": "x" * 100_000}] * 50,
        [{"type": f"t{number}", "status": "True"} for number in range(10_000)],
        [{"type": "Ready", "status": "True"}, {"type": "Ready", "status": "False"}],
    ],
)
def test_whatever_a_tenant_writes_into_the_status_is_read_within_bounds(build: Build, conditions: Any) -> None:
    body = body_of(served_as(build, "ready"), {"conditions": conditions, "notBefore": ["x"], "notAfter": {}})
    assert said(body)["Ready"] == ("True", "Ready")
    assert len(body["status"]["conditions"]) <= 10
    assert len(str(body)) < 4000
    assert all(one.get("lastTransitionTime", "") <= "2026-06-01T12:00:00Z" for one in body["status"]["conditions"])
    body_of(Served(1), {"conditions": conditions, "notAfter": 7})


@pytest.mark.parametrize(
    ("ready", "condition", "judged"),
    [
        (None, None, "Progressing"),
        (("True", "AccountRegistered", "It is."), ("True", "ACMEAccountRegistered"), "Healthy"),
        (("False", "CAUnreachable", "No answer."), ("False", "ErrRegisterACMEAccount"), "Degraded"),
    ],
)
@pytest.mark.parametrize("kind", ["Issuer", "ClusterIssuer"])
def test_an_issuer_is_ready_once_its_account_is_registered(
    judge: Callable[[Body], str], kind: str, ready: Any, condition: tuple[str, str] | None, judged: str
) -> None:
    account = AcmeIssuerStatus(uri=URI, last_registered_email="admin@example.test") if ready else None
    status = issuer_status.issuer_status({}, an_issuer(ready, account), NOW, generation=4)
    body = {"kind": kind, "metadata": {"name": "ca", "generation": 4}, "status": status}
    assert said(body).get("Ready") == condition
    assert judge(body) == judged
    assert kubectl_wait(body) is (judged == "Healthy")
    if ready is not None:
        assert status["acme"] == {"uri": URI, "lastRegisteredEmail": "admin@example.test"}
        assert ready[0] == "True" or "CAUnreachable: No answer." in status["conditions"][0]["message"]


def test_what_cert_manager_knew_of_an_account_stays_for_as_long_as_it_is_that_account() -> None:
    ready = ("True", "AccountRegistered", "It is.")
    before = {"acme": {"uri": URI, "lastPrivateKeyHash": "abc=", "lastRegisteredEmail": "old@example.test"}}
    same = issuer_status.issuer_status(before, an_issuer(ready, AcmeIssuerStatus(uri=URI)), NOW, generation=1)
    assert same["acme"] == {"uri": URI, "lastPrivateKeyHash": "abc="}
    other = AcmeIssuerStatus(uri="https://ca.example/account/2")
    assert issuer_status.issuer_status(before, an_issuer(ready, other), NOW, generation=1)["acme"] == {"uri": other.uri}
    assert issuer_status.issuer_status(before, None, NOW, generation=1)["acme"] == before["acme"]
    refused = issuer_status.issuer_status({}, None, NOW, generation=1, refusal=("InvalidConfig", "spec.acme: is odd."))
    assert said({"status": refused}) == {"Ready": ("False", "InvalidConfig")}


def test_a_secret_that_was_written_a_moment_before_our_status_is_no_reason_to_say_anything(build: Build) -> None:
    going, ready = served_as(build, "issuing"), served_as(build, "ready")
    before = body_of(going)["status"]
    assert body_of(Served(1, going.ours, ready.secret), before)["status"] == before
