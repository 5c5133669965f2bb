"""The table, the tree and the calendar, as people see them."""

from __future__ import annotations

import datetime as dt
import json

import pytest
import yaml

from certwright.cli.cluster.calendar import calendar, calendar_document
from certwright.cli.cluster.human import relative, span
from certwright.cli.cluster.rows import as_text, certificates_table, document
from certwright.cli.cluster.tree import tree
from certwright.cli.cluster.views import CertificateView, IssuerView

from .objects import NOW, certificate, condition, event, issuer, stamp, waiting


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (dt.timedelta(seconds=0), "0s"),
        (dt.timedelta(seconds=59), "59s"),
        (dt.timedelta(seconds=90), "1m30s"),
        (dt.timedelta(minutes=12, seconds=5), "12m"),
        (dt.timedelta(hours=5, minutes=12), "5h12m"),
        (dt.timedelta(hours=47), "47h"),
        (dt.timedelta(days=2), "2d"),
        (dt.timedelta(days=9, hours=4), "9d4h"),
        (dt.timedelta(days=59, hours=4), "59d"),
        (dt.timedelta(days=-3), "3d"),
    ],
)
def test_lengths_of_time_are_short(length: dt.timedelta, text: str) -> None:
    assert span(length) == text


def test_times_are_relative_to_now() -> None:
    assert relative(NOW + dt.timedelta(days=59), NOW) == "in 59d"
    assert relative(NOW - dt.timedelta(hours=3), NOW) == "3h ago"
    assert relative(None, NOW) == "-"


def test_the_table_says_what_is_ready_why_until_when_and_of_whom() -> None:
    bodies = [
        certificate("web"),
        certificate("api", spec={"issuerRef": {"kind": "ClusterIssuer", "name": "letsencrypt"}, "paused": True}),
        certificate("old", notAfter=stamp(days=-3), renewalTime=stamp(days=-33)),
        waiting("WaitingForDNS", "It is not visible.", authorization={}),
        {**certificate("new"), "status": {"observedGeneration": -1}},
    ]
    views = [CertificateView(body) for body in bodies]
    assert certificates_table(views, NOW, wide=False, with_namespace=False) == [
        "NAME   READY     REASON          EXPIRES          RENEWS        ISSUER",
        "web    True      Ready           in 60d           in 30d        pebble",
        "api    True      Ready           in 60d           paused        clusterissuer/letsencrypt",
        "old    True      Ready           EXPIRED 3d ago   due 33d ago   pebble",
        "web    False     WaitingForDNS   -                -             pebble",
        "new    Unknown   NotSeen         -                -             pebble",
    ]
    wide = certificates_table(views[:1], NOW, wide=True, with_namespace=True)
    assert wide[0].split() == [
        "NAMESPACE",
        "NAME",
        "READY",
        "REASON",
        "EXPIRES",
        "RENEWS",
        "ISSUER",
        "SECRET",
        "DOMAINS",
        "MESSAGE",
    ]
    assert "web-tls   web.example.test   The certificate is valid" in wide[1]


def test_a_status_that_is_older_than_the_spec_is_marked() -> None:
    body = certificate()
    body["metadata"]["generation"] = 2
    assert "Ready (outdated)" in certificates_table([CertificateView(body)], NOW, wide=False, with_namespace=False)[1]


def test_the_tree_leads_from_the_certificate_to_the_record() -> None:
    body = waiting(
        "WaitingForDNS",
        "The record is not visible.",
        authorization={
            "challenge": {"type": "dns-01", "url": "https://x"},
            "record": {"name": "_acme-challenge.web.example.test", "value": "digest-1"},
            "lastSeen": "ns1 (192.0.2.1) has no TXT record",
            "lastLookTime": stamp(seconds=-20),
        },
        solverObjects=[{"kind": "Ingress", "name": "cm-1"}],
    )
    body["status"]["requests"] = [
        {
            "id": "r-1",
            "action": "Renew",
            "state": "Failed",
            "requestedBy": "alice",
            "message": "No.",
            "finishedTime": stamp(hours=-1),
        }
    ]
    body["spec"]["request"] = {"id": "r-2", "action": "Renew", "notBefore": stamp(hours=1)}
    events = [event("Warning", "WaitingForDNS", "not visible", minutes=-1)]
    assert tree(CertificateView(body), IssuerView(issuer()), events, NOW) == [
        "Certificate shop/web: Ready=False (WaitingForDNS)",
        "├─ The record is not visible.",
        "├─ Domains: web.example.test",
        "├─ Secret web-tls: no certificate yet",
        "├─ Issuer pebble: Ready=True (AccountRegistered)",
        "│  ├─ CA: https://ca.example.test/dir",
        "│  └─ account: https://ca.example.test/account/1",
        "├─ Request r-2: Renew, begins 2026-06-01T13:00:00Z (in 1h)",
        "├─ Request r-1 of alice: Renew Failed (1h ago)",
        "│  └─ No.",
        "├─ Order pending, placed 2m ago: https://ca.example.test/order/1",
        "│  ├─ web.example.test: pending, dns-01",
        '│  │  ├─ record: _acme-challenge.web.example.test TXT "digest-1"',
        "│  │  └─ last seen (20s ago): ns1 (192.0.2.1) has no TXT record",
        "│  ├─ Ingress cm-1",
        "│  └─ next check in 10s",
        "└─ Events",
        "   └─ 1m ago  Warning  WaitingForDNS: not visible",
    ]


def test_the_tree_does_without_what_may_not_be_read() -> None:
    body = certificate(spec={"paused": True})
    body["status"]["conditions"].append(condition("Paused", "True", "Paused", "spec.paused is set"))
    lines = tree(CertificateView(body), None, None, NOW)
    assert lines[0] == "Certificate shop/web: Ready=True (Ready), paused for 2h"
    assert "├─ Issuer pebble: does not exist, or you may not read it" in lines
    assert lines[-1] == "└─ Events: you may not read them"


def test_the_calendar_counts_renewals_by_day_and_names_what_is_never_renewed() -> None:
    views = [CertificateView(certificate(f"web-{n}", renewalTime=stamp(days=10, minutes=n))) for n in range(5)]
    views += [
        CertificateView(certificate("api", renewalTime=stamp(days=12))),
        CertificateView(certificate("late", renewalTime=stamp(days=-1))),
        CertificateView(certificate("held", spec={"paused": True})),
        CertificateView(waiting("WaitingForDNS", "no", authorization={})),
    ]
    assert calendar(views, NOW, wide=False) == [
        "DATE (UTC)   DAY   FROM     RENEWALS           CERTIFICATES",
        "2026-06-11   Thu   in 10d   5          █████   shop/web-0, shop/web-1, shop/web-2 and 2 more",
        "2026-06-13   Sat   in 12d   1          █       shop/api",
        "",
        "Due now: 1",
        "CERTIFICATE   WHY                  EXPIRES",
        "shop/late     due 24h ago: Ready   in 60d",
        "",
        "Not renewed as things are: 2",
        "CERTIFICATE   WHY             EXPIRES",
        "shop/held     paused          in 60d",
        "shop/web      WaitingForDNS   -",
    ]
    wide = calendar(views, NOW, wide=True)
    assert wide[1].split() == ["2026-06-11T12:00:00Z", "in", "10d", "shop/web-0", "pebble", "in", "60d"]
    whole = calendar_document(views, NOW)
    assert [(day["date"], len(day["renewals"])) for day in whole["days"]] == [("2026-06-11", 5), ("2026-06-13", 1)]
    assert [one["name"] for one in whole["dueNow"]] == ["late"]
    assert [(one["name"], one["why"]) for one in whole["notRenewed"]] == [("held", "paused"), ("web", "WaitingForDNS")]


def test_json_and_yaml_say_the_same_and_escape_what_is_not_printable() -> None:
    body = certificate()
    body["status"]["conditions"][0]["message"] = "a\x1b[31m\u202eb"
    whole = {"certificates": [document(CertificateView(body))]}
    as_json, as_yaml = as_text(whole, "json"), as_text(whole, "yaml")
    assert json.loads(as_json) == yaml.safe_load(as_yaml)
    assert (as_json + as_yaml).isascii()
    assert "\x1b" not in as_json + as_yaml
    assert json.loads(as_json)["certificates"][0] == {
        "namespace": "shop",
        "name": "web",
        "ready": "True",
        "reason": "Ready",
        "message": "a [31m b",
        "paused": False,
        "domains": ["web.example.test"],
        "secret": "web-tls",
        "issuer": {"kind": "Issuer", "name": "pebble"},
        "notAfter": "2026-07-31T12:00:00Z",
        "renewalTime": "2026-07-01T12:00:00Z",
        "nextAttemptTime": None,
        "order": None,
        "requests": [],
    }


def test_the_tree_says_why_then_it_is_renewed_and_what_was_revoked() -> None:
    body = certificate(
        renewal={
            "basis": "ARI",
            "windowStart": stamp(days=29),
            "windowEnd": stamp(days=31),
            "explanationURL": "https://ca.example.test/why",
            "rehearsal": {"issuer": "Issuer staging", "state": "Failed", "message": "No."},
        },
        revocations=[
            {"serialNumber": "aa", "reason": "superseded", "state": "Revoked", "finishedTime": stamp(hours=-1)}
        ],
    )
    lines = tree(CertificateView(body), IssuerView(issuer()), [], NOW)
    assert lines[3:9] == [
        "├─ Secret web-tls: revision 3, serial 4c4c4b7b",
        "│  ├─ valid until 2026-07-31T12:00:00Z (in 60d)",
        "│  └─ renewal: 2026-07-01T12:00:00Z (in 30d)",
        "│     ├─ the CA suggests 2026-06-30T12:00:00Z to 2026-07-02T12:00:00Z, see https://ca.example.test/why",
        "│     └─ rehearsal at Issuer staging: Failed: No.",
        "├─ Issuer pebble: Ready=True (AccountRegistered)",
    ]
    assert "├─ Revocation of serial aa (superseded): Revoked (1h ago)" in lines


def test_of_several_issuers_the_one_that_issued_is_shown() -> None:
    body = certificate(issuer={"kind": "ClusterIssuer", "name": "second"})
    body["spec"]["issuerRefs"] = [{"name": "first"}, {"kind": "ClusterIssuer", "name": "second"}]
    del body["spec"]["issuerRef"]
    assert CertificateView(body).issuer_label == "clusterissuer/second"
    del body["status"]["issuer"]
    assert CertificateView(body).issuer_label == "first"
