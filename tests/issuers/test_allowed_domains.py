"""Which namespace may request which domain, rule by rule."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from certwright.acme import Identifier
from certwright.issuers.allowed_domains import DomainPolicy, needs_labels, policy_for
from certwright.issuers.namespaces import Namespaces
from certwright.kube.errors import Forbidden
from certwright.resources import AllowedDomains, ClusterIssuer, LabelSelector

if TYPE_CHECKING:
    from collections.abc import Mapping

LABELS = {"team": "shop", "stage": "prod"}


def policy(*rules: Mapping[str, Any], namespace: str = "team-a", labels: Any = LABELS) -> DomainPolicy:
    return policy_for("ClusterIssuer x", [AllowedDomains.model_validate(one) for one in rules], namespace, labels)


def allows(found: DomainPolicy, *names: str) -> bool:
    return found.refusal([Identifier.dns(name) for name in names]) is None


@pytest.mark.parametrize(
    ("rule", "name", "allowed"),
    [
        ({"dnsNames": ["shop.example"]}, "shop.example", True),
        ({"dnsNames": ["shop.example"]}, "SHOP.example", True),
        ({"dnsNames": ["shop.example"]}, "*.shop.example", False),
        ({"dnsNames": ["shop.example"]}, "a.shop.example", False),
        ({"dnsNames": ["shop.example"]}, "myshop.example", False),
        ({"dnsNames": ["*.shop.example"]}, "a.shop.example", True),
        ({"dnsNames": ["*.shop.example"]}, "*.shop.example", True),
        ({"dnsNames": ["*.shop.example"]}, "shop.example", False),
        ({"dnsNames": ["*.shop.example"]}, "a.b.shop.example", False),
        ({"dnsNames": ["*.shop.example"]}, "*.a.shop.example", False),
        ({"dnsNames": ["*.example"]}, "*.shop.example", False),
        ({"dnsZones": ["shop.example"]}, "shop.example", True),
        ({"dnsZones": ["shop.example"]}, "a.b.c.shop.example", True),
        ({"dnsZones": ["shop.example"]}, "*.shop.example", True),
        ({"dnsZones": ["shop.example"]}, "*.a.shop.example", True),
        ({"dnsZones": ["shop.example"]}, "myshop.example", False),
        ({"dnsZones": ["shop.example"]}, "example", False),
        ({"dnsZones": ["shop.example"]}, "*.example", False),
        ({"dnsZones": ["xn--bcher-kva.example"]}, "www.xn--bcher-kva.example", True),
        ({"dnsZones": ["B\u00fccher.example."]}, "www.xn--bcher-kva.example", True),
        ({"dnsNames": ["Shop.Example."]}, "shop.example", True),
        ({"dnsZones": ["{namespace}.example"]}, "www.team-a.example", True),
        ({"dnsZones": ["{namespace}.example"]}, "www.team-b.example", False),
        ({"dnsNames": ["{namespace}-shop.example"]}, "team-a-shop.example", True),
        ({"dnsNames": ["*.{namespace}.example"]}, "*.team-a.example", True),
        ({"namespaces": ["team-a"]}, "anything.example", True),
        ({"namespaces": ["team-b"]}, "anything.example", False),
        ({"namespaceSelector": {"matchLabels": {"team": "shop"}}}, "anything.example", True),
        ({"namespaceSelector": {"matchLabels": {"team": "other"}}}, "anything.example", False),
        ({"namespaceSelector": {}}, "anything.example", True),
        ({"namespaces": ["team-b"], "namespaceSelector": {}}, "anything.example", False),
        ({"namespaces": ["team-a"], "namespaceSelector": {"matchLabels": {"team": "x"}}}, "any.example", False),
    ],
)
def test_what_a_rule_covers(rule: Mapping[str, Any], name: str, *, allowed: bool) -> None:
    assert allows(policy(rule), name) == allowed


@pytest.mark.parametrize(
    ("requirement", "selected"),
    [
        ({"key": "team", "operator": "In", "values": ["shop", "x"]}, True),
        ({"key": "team", "operator": "In", "values": ["x"]}, False),
        ({"key": "none", "operator": "In", "values": ["x"]}, False),
        ({"key": "team", "operator": "NotIn", "values": ["shop"]}, False),
        ({"key": "none", "operator": "NotIn", "values": ["x"]}, True),
        ({"key": "team", "operator": "Exists"}, True),
        ({"key": "none", "operator": "Exists"}, False),
        ({"key": "team", "operator": "DoesNotExist"}, False),
        ({"key": "none", "operator": "DoesNotExist"}, True),
    ],
)
def test_a_selector_means_what_it_means_in_kubernetes(requirement: Any, *, selected: bool) -> None:
    assert LabelSelector.model_validate({"matchExpressions": [requirement]}).selects(LABELS) == selected


def test_rules_add_up_and_one_name_that_none_covers_refuses_all() -> None:
    found = policy({"dnsNames": ["a.example"]}, {"namespaces": ["x"]}, {"dnsZones": ["b.example"]})
    assert allows(found, "a.example", "c.b.example")
    message = found.refusal([Identifier.dns("a.example"), Identifier.dns("c.example")])
    assert message == (
        "ClusterIssuer x does not let namespace team-a request c.example. Its rules for this namespace "
        "(spec.allowed[0], spec.allowed[2]) allow a.example, everything in b.example."
    )


@pytest.mark.parametrize(
    ("rule", "address", "allowed"),
    [
        ({"dnsZones": ["example"]}, "192.0.2.1", False),
        ({"namespaces": ["team-a"]}, "192.0.2.1", False),
        ({"ipRanges": ["192.0.2.0/24"]}, "192.0.2.1", True),
        ({"ipRanges": ["192.0.2.0/24"]}, "198.51.100.1", False),
        ({"ipRanges": ["192.0.2.0/24"]}, "2001:db8::1", False),
        ({"ipRanges": ["2001:DB8::/32", "192.0.2.7"]}, "2001:db8::1", True),
        ({"ipRanges": ["2001:DB8::/32", "192.0.2.7"]}, "192.0.2.7", True),
        ({"ipRanges": ["0.0.0.0/0"], "namespaces": ["team-b"]}, "192.0.2.1", False),
    ],
)
def test_an_address_needs_a_rule_for_addresses(rule: dict[str, Any], address: str, *, allowed: bool) -> None:
    refusal = policy(rule).refusal([Identifier.ip(address)])
    assert (refusal is None) == allowed
    if refusal is not None:
        assert address in refusal


def test_a_rule_for_addresses_allows_no_domain_and_a_rule_for_every_domain_says_that_it_allows_no_address() -> None:
    assert policy({"ipRanges": ["0.0.0.0/0", "::/0"]}).refusal([Identifier.dns("a.example")]) is not None
    refusal = policy({"namespaces": ["team-a"]}).refusal([Identifier.ip("192.0.2.1")])
    assert refusal is not None
    assert "every domain, but no IP address" in refusal


def test_a_namespace_that_no_rule_is_for_may_request_nothing() -> None:
    assert "None of the rules" in (policy({"namespaces": ["x"]}).refusal([Identifier.dns("a.example")]) or "")


def test_labels_that_cannot_be_read_select_nothing_and_that_is_said() -> None:
    rules = [AllowedDomains.model_validate({"namespaceSelector": {}})]
    found = policy_for("ClusterIssuer x", rules, "team-a", None, unread="the operator may not read it")
    assert "because the operator may not read it" in (found.refusal([Identifier.dns("a.example")]) or "")


def test_a_namespace_whose_name_is_no_label_fills_no_pattern() -> None:
    assert not allows(policy({"dnsZones": ["{namespace}.example"]}, namespace="evil.com/x"), "a.evil.com/x.example")
    assert policy({"dnsZones": ["{namespace}"]}, namespace="a.b").zones == ()


@pytest.mark.parametrize(
    "rule",
    [
        {"dnsNames": []},
        {"dnsZones": []},
        {"namespaces": []},
        {"dnsZones": ["*.example"]},
        {"dnsNames": ["a.*.example"]},
        {"dnsNames": ["{name}.example"]},
        {"dnsNames": ["*\u00fc.example"]},
        {"ipRanges": []},
        {"ipRanges": ["192.0.2.0/40"]},
        {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
        {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}},
    ],
)
def test_a_rule_that_could_mean_anything_is_refused(rule: Any) -> None:
    with pytest.raises(ValidationError):
        AllowedDomains.model_validate(rule)


def test_no_rules_at_all_is_not_an_empty_list_of_rules() -> None:
    acme = {
        "server": "https://ca.example/directory",
        "privateKeySecretRef": {"name": "account"},
        "solvers": [{"dns01": {"rfc2136": {"nameserver": "127.0.0.1"}}}],
    }
    body = {"metadata": {"name": "x"}, "spec": {"acme": acme}}
    assert ClusterIssuer.parse(body).spec.allowed is None
    with pytest.raises(Exception, match="allowed"):
        ClusterIssuer.parse({**body, "spec": {"acme": acme, "allowed": []}})


def test_labels_are_needed_only_for_rules_that_could_be_for_the_namespace() -> None:
    rules = [AllowedDomains.model_validate({"namespaces": ["x"], "namespaceSelector": {}})]
    assert needs_labels(rules, "x")
    assert not needs_labels(rules, "team-a")


class FakeApi:
    def __init__(self) -> None:
        self.reads = 0
        self.labels: dict[str, str] | None = {"team": "shop"}

    async def read_namespace(self, name: str) -> dict[str, Any]:
        self.reads += 1
        if self.labels is None:
            raise Forbidden(f"read Namespace {name}", status=403)
        return {"metadata": {"name": name, "labels": self.labels}}


async def test_labels_are_read_once_in_a_while_and_changes_are_taken_up() -> None:
    now = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    api = FakeApi()
    namespaces = Namespaces(api, lambda: now)  # type: ignore[arg-type]  # all that is asked of it
    for _ in range(5):
        assert (await namespaces.labels("a")).labels == {"team": "shop"}
    assert api.reads == 1
    api.labels = None
    now += dt.timedelta(seconds=21)
    found = await namespaces.labels("a")
    assert found.labels is None
    assert "may not read namespace a" in (found.unread or "")
    api.labels = {"team": "x"}
    now -= dt.timedelta(days=1)
    assert (await namespaces.labels("a")).labels == {"team": "x"}, "after the clock was put back"
