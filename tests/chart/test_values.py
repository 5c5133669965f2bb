"""The values, their schema, their page, and what is refused."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest
import yaml

from chart import Value, documented_values
from chart.derived import SCHEMA, derived, with_descriptions, with_table
from chart.helm import CHART
from chart.matrix import MATRIX, case
from chart.values import VALUES
from testbed.errors import CommandFailed
from testbed.locations import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chart import Helm

DEFAULTS: Final[dict[str, Any]] = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
DOCUMENT: Final[dict[str, Any]] = json.loads(SCHEMA.read_text(encoding="utf-8"))
# For parent charts; Helm and people put them there, the chart looks at neither.
OF_PARENTS: Final = {("global",), ("enabled",)}


def leaves(
    schema: Mapping[str, Any], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    for key, content in schema["properties"].items():
        yield (*prefix, key), content
        if "properties" in content and "description" not in content:
            yield from leaves(content, (*prefix, key))


def test_every_value_has_a_comment() -> None:
    documented = {value.path for value in documented_values()}

    def undocumented(values: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[str]:
        for key, content in values.items():
            path = (*prefix, key)
            if path in documented:
                continue
            if isinstance(content, dict) and content:
                yield from undocumented(content, path)
            else:
                yield ".".join(path)

    assert list(undocumented(DEFAULTS)) == []
    assert len(documented) > 80


def test_the_schema_has_every_value_and_no_other() -> None:
    described = {path for path, content in leaves(DOCUMENT) if "description" in content}
    assert described - OF_PARENTS == {value.path for value in documented_values()}


def test_no_group_of_the_schema_takes_unknown_keys() -> None:
    assert DOCUMENT["additionalProperties"] is False
    for path, content in leaves(DOCUMENT):
        if "description" not in content:
            assert content["additionalProperties"] is False, path


def test_the_schema_is_one_and_takes_the_defaults_and_all_cases() -> None:
    assert DOCUMENT["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(DOCUMENT)
    validator = jsonschema.Draft7Validator(DOCUMENT)
    assert list(validator.iter_errors(DEFAULTS)) == []
    for name in MATRIX:
        assert list(validator.iter_errors(case(name))) == []


def test_what_is_made_from_the_chart_is_up_to_date(helm: Helm) -> None:
    for path, text in derived(helm).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run 'make chart'"


def test_the_chart_is_of_the_projects_version() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == project
    assert f"| {chart['version']} |" in (PROJECT / "docs" / "helm.md").read_text(encoding="utf-8")


def test_comments_become_descriptions() -> None:
    text = "# The head.\n\n# Of the group.\nplain: 1\ngroup:\n  # One,\n  # two.\n  inner:\n    deep: {}\n  other: 2\n"
    found = documented_values(text)
    assert found == [Value(("plain",), "Of the group.", 1), Value(("group", "inner"), "One, two.", {"deep": {}})]
    schema = {"properties": {"plain": {"type": "integer"}, "group": {"properties": {"inner": {"description": "old"}}}}}
    described = json.loads(with_descriptions(json.dumps(schema), found))["properties"]
    assert described["plain"] == {"description": "Of the group.", "type": "integer"}
    assert described["group"]["properties"]["inner"] == {"description": "One, two."}
    page = with_table("a\n<!-- values -->\nold\n<!-- /values -->\nz\n", found)
    assert page == (
        "a\n<!-- values -->\n| Value | Default | |\n|---|---|---|\n| `plain` | `1` | Of the group. |\n"
        '| `group.inner` | `{"deep": {}}` | One, two. |\n<!-- /values -->\nz\n'
    )


@pytest.mark.parametrize(
    ("values", "where", "what"),
    [
        ({"replica": 2}, "", "replica"),
        ({"image": {"name": "x"}}, "/image", "name"),
        ({"replicas": "2"}, "/replicas", "integer"),
        ({"replicas": -1}, "/replicas", "minimum"),
        ({"namespaces": "web"}, "/namespaces", "array"),
        ({"namespaces": ["Web"]}, "/namespaces/0", "pattern"),
        ({"logging": {"level": "verbose"}}, "/logging/level", "one of"),
        ({"workers": 1}, "/workers", "minimum"),
        ({"image": {"digest": "sha256:abc"}}, "/image/digest", "pattern"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy", "one of"),
        ({"ports": {"http": 0}}, "/ports/http", "minimum"),
        ({"proxy": {"https": "proxy:3128"}}, "/proxy/https", "pattern"),
        ({"metrics": {"podMonitor": {"interval": "60"}}}, "/metrics/podMonitor/interval", "pattern"),
        ({"issuers": [{"name": "a", "spec": {"acme": {}}}]}, "/issuers/0", "namespace"),
        ({"clusterIssuers": [{"name": "a", "namespace": "b", "spec": {"acme": {}}}]}, "/clusterIssuers/0", "namespace"),
        ({"clusterIssuers": [{"name": "a", "spec": {}}]}, "/clusterIssuers/0/spec", "acme"),
        ({"livenessProbe": {"httpGet": {}}}, "/livenessProbe", "httpGet"),
        ({"podDisruptionBudget": {"minAvailable": "half"}}, "/podDisruptionBudget/minAvailable", "pattern"),
        ({"extraEnv": [{"value": "x"}]}, "/extraEnv/0", "name"),
        ({"crds": {"install": "yes"}}, "/crds/install", "boolean"),
        ({"compat": {"certManager": {"enabled": True}}}, "", "compat"),
        ({"certManager": {"serveObjects": True}}, "/certManager/serveObjects", "object"),
        ({"certManager": {"serveObjects": {"enable": True}}}, "/certManager/serveObjects", "enable"),
        ({"certManager": {"serveObjects": {"metrics": "yes"}}}, "/certManager/serveObjects/metrics", "boolean"),
        (
            {"certManager": {"serveObjects": {"enabled": True, "arguments": ["--a=$(b) 'c'"]}}},
            "/certManager/serveObjects/arguments/0",
            "pattern",
        ),
        ({"podLabels": {"app.kubernetes.io/name": "x"}}, "/podLabels/app.kubernetes.io~1name", "false schema"),
    ],
)
def test_the_schema_refuses(helm: Helm, values: dict[str, Any], where: str, what: str) -> None:
    with pytest.raises(CommandFailed) as failure:
        helm.template(values)
    assert "values don't meet the specifications of the schema" in str(failure.value)
    assert f"at '{where}'" in str(failure.value)
    assert re.search(what, str(failure.value))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"image": {"registry": ""}},
            "no image of Certwright is published yet, so set the location of your own. Build one with",
        ),
        ({"image": {"registry": "YOUR-REGISTRY"}}, "image.registry: replace YOUR-REGISTRY with the registry"),
        (
            {"replicas": 2, "leaderElection": {"enabled": False}},
            "replicas: more than one replica requires leaderElection.enabled",
        ),
        ({"caBundle": {"configMap": "a", "secret": "b"}}, "caBundle: set configMap or secret, not both"),
        (
            {"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}},
            "metrics.serviceMonitor requires metrics.service.enabled",
        ),
        (
            {"metrics": {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}},
            "metrics: enable serviceMonitor or podMonitor, not both",
        ),
        ({"ports": {"http": 8089}}, "ports: http and responder must differ"),
        (
            {"certManager": {"serveObjects": {"metrics": True}}},
            "certManager.serveObjects: metrics and arguments have no effect without enabled",
        ),
        (
            {"namespaces": ["a"], "issuers": [{"name": "x", "namespace": "b", "spec": {"acme": {}}}]},
            "issuers: x is in the namespace b, which is not listed in namespaces",
        ),
    ],
)
def test_contradictions_are_refused(helm: Helm, values: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandFailed, match=re.escape(message)):
        helm.template(values)


def test_a_label_of_one_object_counts_before_the_common_one(helm: Helm) -> None:
    objects = {one["kind"]: one for one in helm.objects({"commonLabels": {"team": "a"}, "podLabels": {"team": "b"}})}
    assert objects["Deployment"]["metadata"]["labels"]["team"] == "a"
    assert objects["Deployment"]["spec"]["template"]["metadata"]["labels"]["team"] == "b"


def test_values_for_parent_charts_are_taken(helm: Helm) -> None:
    assert helm.objects({"global": {"domain": "example.com"}, "enabled": True}) == helm.objects()


def test_what_a_failing_command_says_is_in_the_error(helm: Helm) -> None:
    with pytest.raises(CommandFailed, match="unknown command"):
        helm.run("no-such-command")
