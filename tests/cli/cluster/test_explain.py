"""`explain` names the step that blocks, its cause, what to run to see it, the next look, and what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, get_args

import pytest

from certwright import reasons
from certwright.cli.cluster.advice import ADVICE
from certwright.cli.cluster.explain import explain_certificate, explain_issuer
from certwright.cli.cluster.rows import document
from certwright.cli.cluster.views import CertificateView, IssuerView

from .objects import NOW, certificate, condition, event, issuer, stamp, waiting

if TYPE_CHECKING:
    from certwright.cli.cluster.explain import Explanation

    from .objects import Body

RECORD = {
    "challenge": {"type": "dns-01", "url": "https://ca.example.test/challenge/1"},
    "record": {"name": "_acme-challenge.web.example.test", "type": "TXT", "value": "digest-1"},
    "lastSeen": "ns1.example.test (192.0.2.1:5353) has no TXT record",
    "lastLookTime": stamp(seconds=-20),
}
FILE = {
    "challenge": {"type": "http-01", "url": "https://ca.example.test/challenge/1"},
    "resource": {
        "url": "http://web.example.test/.well-known/acme-challenge/token",
        "keyAuthorization": "token.thumbprint",
    },
    "lastSeen": "192.0.2.80 answers HTTP 404",
    "lastLookTime": stamp(seconds=-20),
}


def explained(body: Body, issuer_body: Body | None = None, events: list[Body] | None = None) -> Explanation:
    return explain_certificate(CertificateView(body), IssuerView(issuer_body or issuer(), "Issuer"), events or [], NOW)


def test_what_is_well_is_said_to_be_with_the_next_renewal() -> None:
    found = explained(certificate())
    assert found.headline == "Ready=True, valid until 2026-07-31T12:00:00Z (in 60d)"
    assert found.step.startswith("Nothing blocks it")
    assert found.next_look == "2026-07-01T12:00:00Z (in 30d): the renewal"
    assert found.to_do == ()


def test_a_missing_record_is_shown_with_the_dig_command_for_the_servers_that_were_asked() -> None:
    lines = explained(
        waiting("WaitingForDNS", "_acme-challenge.web.example.test TXT digest-1 is not visible.", authorization=RECORD),
        events=[
            event("Warning", "WaitingForDNS", "still not", minutes=-1),
            event("Normal", "Issuing", "x", minutes=-2),
        ],
    ).lines()
    assert lines == [
        "Certificate shop/web: Ready=False, no certificate yet",
        "",
        "Step:       WaitingForDNS of web.example.test; the order was placed 2m ago and is pending",
        "Cause:      _acme-challenge.web.example.test TXT digest-1 is not visible.",
        'Seen:       web.example.test needs _acme-challenge.web.example.test TXT "digest-1"',
        "            web.example.test, last seen 20s ago: ns1.example.test (192.0.2.1:5353) has no TXT record",
        "Check it:   $ dig +short TXT _acme-challenge.web.example.test @192.0.2.1 -p 5353",
        '              expected: "digest-1"',
        "            $ dig +short TXT _acme-challenge.web.example.test",
        '              expected: "digest-1"',
        "Next check: 2026-06-01T12:00:10Z (in 10s)",
        f"To do:      {ADVICE['WaitingForDNS']}",
        "Warnings:   1m ago  Warning  WaitingForDNS: still not",
    ]


def test_without_an_answer_of_servers_the_solvers_own_is_asked() -> None:
    found = explained(waiting("Presenting", "Presenting.", authorization={**RECORD, "lastSeen": ""}))
    assert found.commands[0][0] == "dig +short TXT _acme-challenge.web.example.test @192.0.2.53 -p 5353"


def test_a_file_that_is_not_served_is_shown_with_the_curl_command() -> None:
    found = explained(waiting("WaitingForHTTP", "It does not answer.", authorization=FILE))
    assert found.commands == (
        ("curl -sS http://web.example.test/.well-known/acme-challenge/token", "token.thumbprint"),
    )
    assert "192.0.2.80 answers HTTP 404" in found.evidence[1]
    assert "ingress controller" in found.to_do[0]


def test_a_failed_order_is_shown_with_what_the_ca_said_and_how_to_try_again() -> None:
    body = waiting(
        "ValidationFailed",
        "The CA could not validate web.example.test.",
        authorization={"state": "invalid", "error": "no TXT record found"},
        state="invalid",
        nextLookTime=stamp(minutes=-1),
    )
    body["status"]["nextAttemptTime"] = stamp(minutes=9)
    found = explained(body)
    assert "has failed (ValidationFailed); the next attempt is in 9m" in found.step
    assert found.evidence == ("web.example.test, the error: no TXT record found",)
    assert found.next_look == "2026-06-01T12:09:00Z (in 9m)"
    assert found.to_do[1] == "To try again without waiting: kubectl certwright renew -n shop web"


def test_a_certificate_whose_issuer_is_not_ready_leads_to_the_issuer() -> None:
    body = certificate(
        conditions=[
            condition("Ready", "False", "IssuerNotReady", "Issuer pebble is not ready."),
            condition("Issuing", "False", "IssuerNotReady", "Issuer pebble is not ready."),
        ],
        notAfter=None,
    )
    found = explained(body, issuer(ready=False))
    assert found.step == "no order yet: IssuerNotReady"
    assert found.evidence == (
        "Issuer shop/pebble: Ready=False (CAUnreachable): The CA does not answer.",
        "more: kubectl certwright explain issuer/pebble -n shop",
    )
    missing = explain_certificate(CertificateView(body), None, None, NOW)
    assert missing.evidence == ("Issuer pebble does not exist, or you may not read it",)


def test_a_certificate_that_waits_for_a_ca_that_failed_names_the_issuers_circuit() -> None:
    message = "Issuer shop/pebble is currently not used: it has failed since 2026-06-01T11:00:00Z: HTTP 503."
    body = waiting("IssuerUnavailable", message, authorization=RECORD)
    by = issuer()
    available = condition("Available", "False", "IssuerUnavailable", "The first order after 12:01 tries it again.")
    by["status"]["conditions"].append(available)
    found = explained(body, by)
    assert found.step == "waits for the issuer's CA, which has failed: one order at a time tries it"
    assert found.cause == message
    told = "Issuer shop/pebble: Available is False (IssuerUnavailable): The first order after 12:01 tries it again."
    assert told in found.evidence
    assert "more: kubectl certwright explain issuer/pebble -n shop" in found.evidence
    assert found.next_look.startswith("the operator continues on its own once an order has shown that the CA works")
    assert found.to_do[0] == ADVICE["IssuerUnavailable"]


def test_an_issuer_is_explained_with_its_ca_and_its_waits() -> None:
    limit = {"requests": "newOrder", "since": stamp(hours=-1), "until": stamp(hours=3), "message": "too many"}
    waits = explain_issuer(IssuerView(issuer(rateLimits=[limit]), "Issuer"), [], NOW)
    assert waits.step == "waits for the CA's rate limit"
    assert "new orders wait until 2026-06-01T15:00:00Z (in 3h): too many" in waits.evidence
    broken = explain_issuer(IssuerView(issuer(ready=False), "Issuer"), None, NOW)
    assert broken.commands[0][0] == "curl -sS https://ca.example.test/dir"
    assert broken.to_do == (ADVICE["CAUnreachable"],)
    assert explain_issuer(IssuerView(issuer(), "Issuer"), None, NOW).to_do == ()


def test_an_issuer_that_is_ready_and_lacks_something_is_explained_by_that() -> None:
    record = {"domain": "example.test", "name": "_validation-persist.example.test", "value": "ca; accounturi=x"}
    body = issuer(persistentRecords=[{**record, "state": "Missing"}, {**record, "state": "Published"}])
    body["status"]["conditions"].append(condition("RecordsPublished", "False", "PersistentRecordMissing", "publish it"))
    found = explain_issuer(IssuerView(body, "Issuer"), [], NOW)
    assert found.step == "Ready, but RecordsPublished is False"
    assert found.evidence[2:] == (
        "RecordsPublished is False (PersistentRecordMissing): publish it",
        'Missing: _validation-persist.example.test TXT "ca; accounturi=x"',
    )
    assert found.commands[1] == ("dig +short TXT _validation-persist.example.test", '"ca; accounturi=x"')
    assert found.to_do == (ADVICE["PersistentRecordMissing"],)


@pytest.mark.parametrize("seen", [True, False])
def test_an_object_that_the_operator_has_not_looked_at_leads_to_the_check(*, seen: bool) -> None:
    body = certificate()
    if seen:
        body["metadata"]["generation"] = 2
    else:
        body["status"] = {"observedGeneration": -1}
    found = explained(body)
    assert found.step.startswith("the operator has not reconciled")
    assert found.commands[0][0] == "kubectl certwright check"


def test_a_paused_certificate_says_since_when_and_how_to_resume_it() -> None:
    body = certificate(spec={"paused": True})
    body["status"]["conditions"].append(condition("Paused", "True", "Paused", "spec.paused is set"))
    found = explained(body)
    assert found.headline == "paused since 2026-06-01T10:00:00Z (2h ago)"
    assert found.to_do == ("kubectl certwright resume -n shop web",)


def test_an_object_of_another_release_and_one_that_is_being_deleted_are_explained_by_that() -> None:
    body = certificate()
    body["status"]["conditions"].append(condition("OperatorConflict", "True", "ServedByOtherRelease", "b serves it"))
    assert explained(body).cause == "b serves it"
    body = certificate()
    body["metadata"] |= {"deletionTimestamp": stamp(minutes=-3), "finalizers": ["certwright.io/clean-up"]}
    assert explained(body).headline == "being deleted for 3m"
    assert "certwright.io/clean-up" in explained(body).cause


def test_a_request_that_has_not_begun_is_told() -> None:
    body = certificate(spec={"request": {"id": "r-1", "action": "Renew", "notBefore": stamp(hours=2)}})
    assert "request r-1 (Renew) begins 2026-06-01T14:00:00Z (in 2h)" in explained(body).evidence


def test_nothing_that_an_object_contains_reaches_the_terminal_or_the_shell_as_it_is() -> None:
    evil = "\x1b[2J\x1b]0;x\x07\u202egnp"
    body = waiting(
        "WaitingForDNS",
        f"a{evil}b\nStep: forged",
        authorization={
            **RECORD,
            "record": {"name": f"a'; rm -rf $HOME #{evil}", "value": evil},
            "lastSeen": evil,
        },
    )
    body["metadata"]["name"] = f"web{evil}"
    found = explained(body, events=[event("Warning", evil, evil, minutes=-1)])
    text = "\n".join(found.lines())
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "\nStep: forged" not in text
    assert any(command.startswith("dig +short TXT 'a'\"'\"'; rm -rf $HOME #") for command, _ in found.commands)
    assert json.dumps(found.document())


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": "x", "order": [], "requests": {"a": 1}},
        {"conditions": [1, None, {"type": "Ready"}], "notAfter": "yesterday", "order": {"authorizations": [3]}},
        {"conditions": [{"type": "Ready", "status": "False"}], "observedGeneration": 1, "order": {"createdAt": "0"}},
        # There is no such time in UTC.
        {"conditions": [{"type": "Ready", "status": "True"}], "notAfter": "0001-01-01T00:00:00+14:00"},
    ],
)
def test_a_status_of_another_shape_is_no_traceback(status: Body) -> None:
    body = {**certificate(), "status": status}
    assert explained(body).lines()
    assert document(CertificateView(body))


def test_advice_is_for_reasons_that_there_are() -> None:
    known = {one for group in reasons.GROUPS.values() for one in group}
    assert ADVICE.keys() <= known
    assert set(get_args(reasons.SpecReason)) >= {"OrderedTooOften"}
