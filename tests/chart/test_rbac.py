"""The chart's rights are those of the table in docs/operating.md, rule by rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from chart.matrix import MATRIX, case
from testbed.locations import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chart import Helm

PAGE: Final = (PROJECT / "docs" / "operating.md").read_text(encoding="utf-8")
ROWS: Final = re.findall(
    r"^\| (served|cluster|own|webhook|`default`) \| (\S+) \| ([^|]+) \| ([^|]+) \| ([^|]*)\| ([^|]+) \|$",
    PAGE,
    re.MULTILINE,
)

Right = tuple[str, str, str, str]
"""Where, group, resource, verb."""


def documented(values: Mapping[str, Any]) -> set[Right]:
    webhooks = values.get("dns01", {}).get("webhooks", [])
    conditions = {
        "": True,
        "namespaces": bool(values.get("namespaces")),
        "http01.enabled": values.get("http01", {}).get("enabled", True),
        "tlsAlpn01.enabled": values.get("tlsAlpn01", {}).get("enabled", False),
        "certManager.guard": values.get("certManager", {}).get("guard", True),
        "shim.enabled": values.get("shim", {}).get("enabled", True),
        "certManager.serveObjects.enabled": values.get("certManager", {}).get("serveObjects", {}).get("enabled", False),
        "dns01.webhooks": bool(webhooks),
        "serving": any("serving" in webhook for webhook in webhooks),
        "leaderElection.enabled": values.get("leaderElection", {}).get("enabled", True),
    }
    named = webhooks[0] if webhooks else {}
    return {
        (
            where.strip("`"),
            "" if group == "core" else named.get(group.strip("`"), group),
            named.get(resource.strip("`"), resource),
            verb,
        )
        for where, group, resources, verbs, condition, _ in ROWS
        if any(conditions[one] for one in condition.strip().split(" or "))
        for resource in resources.split(", ")
        for verb in verbs.split(", ")
    }


def rights(where: str, role: Mapping[str, Any]) -> Iterable[Right]:
    for rule in role["rules"]:
        assert set(rule) <= {"apiGroups", "resources", "verbs", "resourceNames"}
        named = " (its own)" if "resourceNames" in rule else ""
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield where, group, f"{resource}{named}", verb


def of_operator(objects: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The roles that are bound to the operator's account, by the binding's namespace ("" for none) and name."""
    roles = {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one for one in objects}
    bound = {}
    for one in objects:
        if one["kind"].endswith("Binding"):
            namespace = one["metadata"].get("namespace", "")
            bound[namespace, one["roleRef"]["name"]] = roles[one["roleRef"]["kind"], namespace, one["roleRef"]["name"]]
    return bound


def test_the_table_is_read() -> None:
    assert len(ROWS) == PAGE.partition("## Permissions")[2].partition("### Permissions of users")[0].count("\n| ") - 1
    assert all(reason.strip() for *_, reason in ROWS)


@pytest.mark.parametrize("name", [name for name in MATRIX if name != "rights-elsewhere"])
@pytest.mark.parametrize("http01", [True, False])
@pytest.mark.parametrize("tls_alpn01", [True, False])
def test_the_rights_are_those_of_the_table(helm: Helm, name: str, *, http01: bool, tls_alpn01: bool) -> None:
    values = case(name)
    values["tlsAlpn01"] = {"enabled": tls_alpn01}
    values["http01"] = {**values.get("http01", {}), "enabled": http01}
    served = set(values.get("namespaces", ()))
    found: dict[str, set[Right]] = {}
    for (namespace, role_name), role in of_operator(helm.objects(values)).items():
        if role_name.endswith("-webhooks"):
            assert namespace == "chart-b"
            found.setdefault("webhook role", set()).update(rights("webhook", role))
        elif role_name.endswith("-served"):
            found.setdefault(namespace, set()).update(rights("served", role))
        else:
            where = {"": "cluster", "certwright": "own", "default": "default"}[namespace]
            found.setdefault(f"{where} role", set()).update(rights(where, role))
    wanted = documented(values)
    if served:
        assert served == {key for key in found if not key.endswith(" role")}
        for namespace in served:
            assert found[namespace] == {right for right in wanted if right[0] == "served"}
        assert found["cluster role"] == {right for right in wanted if right[0] == "cluster"}
        assert found.get("webhook role", set()) == {right for right in wanted if right[0] == "webhook"}
        assert found.get("default role", set()) == (
            set() if "default" in served else {right for right in wanted if right[0] == "default"}
        )
    else:
        everywhere = {right[1:] for right in wanted if right[0] in {"served", "cluster"}}
        assert {right[1:] for right in found["cluster role"]} == everywhere
    assert found.get("own role", set()) == {right for right in wanted if right[0] == "own"}


@pytest.mark.parametrize("namespaces", [[], ["chart-a"]])
def test_the_rights_to_cert_managers_objects_come_with_the_value_that_serves_them(
    helm: Helm, namespaces: list[str]
) -> None:
    def found(enabled: bool) -> set[tuple[str, str, str]]:  # noqa: FBT001 - one of two
        values = {
            "namespaces": namespaces,
            "shim": {"enabled": False},
            "certManager": {"guard": False, "serveObjects": {"enabled": enabled}},
        }
        roles = of_operator(helm.objects(values)).values()
        return {right[1:] for role in roles for right in rights("", role)}

    more = found(enabled=True) - found(enabled=False)
    kinds = ("certificates", "issuers", "clusterissuers")
    assert more == {
        *(("cert-manager.io", kind, verb) for kind in kinds for verb in ("list", "watch")),
        *(("cert-manager.io", f"{kind}/status", "patch") for kind in kinds),
        *(("certwright.io", kind, "create") for kind in kinds),
    }


@pytest.mark.parametrize("name", [name for name in MATRIX if case(name).get("namespaces")])
def test_with_namespaces_no_cluster_role_has_secrets(helm: Helm, name: str) -> None:
    cluster_roles = [one for one in helm.objects(case(name)) if one["kind"] == "ClusterRole"]
    assert cluster_roles
    for role in cluster_roles:
        for rule in role["rules"]:
            assert not {"secrets", "*"} & set(rule["resources"])
            assert "*" not in rule["apiGroups"] + rule["verbs"]


@pytest.mark.parametrize("name", MATRIX)
def test_no_right_is_a_wildcard_or_makes_more_rights(helm: Helm, name: str) -> None:
    for one in helm.objects(case(name)):
        for rule in one.get("rules", ()) if one["kind"] in {"Role", "ClusterRole"} else ():
            assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]
            assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])
            assert "rbac.authorization.k8s.io" not in rule["apiGroups"]
            assert not {"pods/exec", "serviceaccounts/token"} & set(rule["resources"])


def test_the_lease_is_the_one_that_the_operator_is_told(helm: Helm) -> None:
    roles = of_operator(helm.objects(case("high-availability")))
    named = [rule["resourceNames"] for role in roles.values() for rule in role["rules"] if "resourceNames" in rule]
    assert named == [["chosen"]]


@pytest.mark.parametrize("name", MATRIX)
def test_no_role_for_people_reaches_a_status_or_writes_cluster_issuers(helm: Helm, name: str) -> None:
    roles = [one for one in helm.objects(case(name)) if one["metadata"]["name"].endswith(("-view", "-edit"))]
    assert len(roles) == (0 if name == "rights-elsewhere" else 2)
    for role in roles:
        for rule in role["rules"]:
            assert not any("/" in resource for resource in rule["resources"])
            if "clusterissuers" in rule["resources"]:
                assert set(rule["verbs"]) == {"get", "list", "watch"}


def test_roles_for_people_add_to_the_built_in_ones(helm: Helm) -> None:
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    added = {
        one["metadata"]["name"]: {
            label.removeprefix(prefix) for label in one["metadata"]["labels"] if label.startswith(prefix)
        }
        for one in helm.objects()
        if one["kind"] == "ClusterRole"
    }
    assert added == {
        "certwright": set(),
        "certwright-view": {"view", "edit", "admin"},
        "certwright-edit": {"edit", "admin"},
    }


def test_rights_can_be_left_to_others(helm: Helm) -> None:
    kinds = {one["kind"] for one in helm.objects(case("rights-elsewhere"))}
    assert kinds == {"Deployment", "Lease", "Service"}
