"""A ClusterIssuer's rules are asked before every order, a resumed one and a renewal included."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from certwright.resources import ISSUING, AllowedDomains

from .bench import CA, WEB, Bench

if TYPE_CHECKING:
    import pytest


def rule(bench: Bench, *rules: dict[str, Any]) -> None:
    issuer = bench.registry.ready(CA)
    assert issuer is not None
    allowed = tuple(AllowedDomains.model_validate(one) for one in rules) or None
    bench.registry.set_ready(replace(issuer, allowed=allowed))
    bench.reconciler.issuer_changed(WEB)


async def test_a_domain_that_no_rule_covers_is_not_ordered(bench: Bench) -> None:
    rule(bench, {"dnsZones": ["{namespace}.example.test"]})
    await bench.run(3600)
    assert (bench.condition().status, bench.condition().reason) == ("False", "NamesNotAllowed")
    assert "request a.example.test" in bench.condition().message
    assert "everything in team.example.test" in bench.condition().message
    assert (bench.ca.orders, bench.dns.records, bench.finalizers) == ({}, set(), [])
    assert bench.events == ["NamesNotAllowed"]
    rule(bench, {"dnsNames": ["*.example.test"]})
    await bench.run(60)
    assert bench.condition().status == "True"


async def test_an_order_that_is_open_when_the_rules_change_is_not_continued(bench: Bench) -> None:
    bench.ca.verdict = "processing"
    await bench.run(5)
    assert bench.dns.records
    rule(bench, {"namespaces": ["other"]})
    bench.restart()
    bench.ca.verdict = "ready"
    await bench.run(60)
    assert (bench.dns.records, bench.finalizers) == (set(), [])
    assert bench.condition().reason == "NamesNotAllowed"
    assert "web-tls" not in bench.secret_names


async def test_a_renewal_is_refused_too_and_the_last_certificate_stays(bench: Bench) -> None:
    await bench.run(60)
    rule(bench, {"namespaces": ["other"]})
    await bench.run(50 * 86400)
    assert bench.status.renewal_time is not None
    bench.now = bench.status.renewal_time
    await bench.run(3600)
    assert (bench.condition().status, bench.condition(ISSUING).reason) == ("True", "NamesNotAllowed")
    assert len(bench.ca.orders) == 1
    assert "web-tls" in bench.secret_names


async def test_the_labels_of_the_namespace_decide_and_their_changes_are_taken_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = {"team": "x"}
    reads = []

    async def read_namespace(name: str) -> dict[str, Any]:
        reads.append(name)
        return {"metadata": {"name": name, "labels": dict(labels)}}

    monkeypatch.setattr(bench.cluster, "read_namespace", read_namespace, raising=False)
    rule(bench, {"namespaceSelector": {"matchLabels": {"team": "shop"}}})
    await bench.run(120)
    assert bench.condition().reason == "NamesNotAllowed"
    assert len(reads) < 10
    labels["team"] = "shop"
    await bench.run(90)
    assert bench.condition().status == "True"
