from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.http01.policies import policy_trouble, restricts

if TYPE_CHECKING:
    from certwright.http01.settings import Owner
    from tests.fakes.http01 import FakeObjects

LABELS = {"certwright.io/http01-solver": "true", "app.kubernetes.io/name": "certwright-solver"}


def policy(selector: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "deny"}, "spec": {"podSelector": selector or {}, **spec}}


def matches(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("seen", "blocks"),
    [
        (policy(), True),
        (policy(policyTypes=["Egress"]), False),
        (policy({"matchLabels": {"app": "shop"}}), False),
        (policy({"matchLabels": {"app.kubernetes.io/name": "certwright-solver"}}), True),
        (policy(matches("app", "Exists")), False),
        (policy(matches("app", "DoesNotExist")), True),
        (policy(matches("app.kubernetes.io/name", "In", "certwright-solver")), True),
        (policy(matches("app.kubernetes.io/name", "NotIn", "certwright-solver")), False),
        (policy(matches("app", "Odd")), True),
        (policy(ingress=[{}]), False),
        (policy(ingress=[{"ports": [{"port": 8089}]}]), False),
        (policy(ingress=[{"ports": [{"port": 8000, "endPort": 9000}]}]), False),
        (policy(ingress=[{"ports": [{"port": 80}]}]), True),
        (policy(ingress=[{"from": [{"podSelector": {}}]}]), True),
    ],
)
def test_which_policies_may_keep_requests_out(seen: dict[str, Any], *, blocks: bool) -> None:
    assert restricts(seen, LABELS) is blocks


async def test_policies_are_named_where_what_was_seen_looks_like_them(objects: FakeObjects, owner: Owner) -> None:
    objects.policies = [policy()]
    assert "the NetworkPolicy deny selects the solver pod" in await policy_trouble(objects, owner, LABELS, [504, 404])
    assert "the NetworkPolicy deny selects the solver pod" in await policy_trouble(objects, owner, LABELS, [None])
    objects.calls.clear()
    assert await policy_trouble(objects, owner, LABELS, [404]) == ""
    assert objects.calls == [], "they are not even read"
    objects.policies = []
    assert await policy_trouble(objects, owner, LABELS, [502]) == ""
