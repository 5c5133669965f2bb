import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from certwright.resources import Certificate, ClusterIssuer, Issuer
from certwright.resources.base import Model
from certwright.resources.crd import custom_resource_definitions, open_api_schema
from certwright.resources.object import Object
from certwright.resources.structural import NotStructural, structural

KINDS = pytest.mark.parametrize("model", [Certificate, Issuer, ClusterIssuer])
DEFINITIONS = {definition["spec"]["names"]["kind"]: definition for definition in custom_resource_definitions()}


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[]")


def parts(model: type[Object]) -> Iterator[tuple[str, dict[str, Any]]]:
    properties = open_api_schema(model)["properties"]
    yield from nodes(properties["spec"], "spec")
    yield from nodes(properties["status"], "status")


@KINDS
def test_every_node_has_a_type_and_no_reference(model: type[Object]) -> None:
    types = {"object", "array", "string", "integer", "boolean"}
    wrong = [
        path for path, node in parts(model) if node["type"] not in types or node.keys() & {"$ref", "anyOf", "title"}
    ]
    assert not wrong


@KINDS
def test_every_field_is_described_in_one_line(model: type[Object]) -> None:
    wrong = [
        path
        for path, node in parts(model)
        if not path.endswith("[]") and not re.fullmatch(r"[^\n]+\.", node.get("description", ""))
    ]
    assert not wrong


@KINDS
def test_every_size_has_a_bound_so_that_rules_have_a_known_cost(model: type[Object]) -> None:
    bounds = {"string": {"maxLength", "enum", "format"}, "array": {"maxItems"}}
    unbounded = [
        path for path, node in parts(model) if node["type"] in bounds and not node.keys() & bounds[node["type"]]
    ]
    assert not unbounded


@KINDS
def test_every_list_says_how_it_is_merged(model: type[Object]) -> None:
    assert not [path for path, node in parts(model) if node["type"] == "array" and "x-kubernetes-list-type" not in node]


@KINDS
def test_every_rule_has_a_message_for_people(model: type[Object]) -> None:
    rules = [rule for _, node in parts(model) for rule in node.get("x-kubernetes-validations", ())]
    assert rules
    assert all(rule["message"] and "\n" not in rule["message"] and "\n" not in rule["rule"] for rule in rules)


@KINDS
def test_a_status_has_no_required_fields_and_says_by_default_that_nobody_has_seen_the_object(
    model: type[Object],
) -> None:
    status = open_api_schema(model)["properties"]["status"]
    assert "required" not in status
    assert [(path, node["default"]) for path, node in nodes(status) if "default" in node] == [
        ("", {"observedGeneration": -1})
    ]


@KINDS
def test_no_list_is_merged_from_what_several_managers_want(model: type[Object]) -> None:
    lists = {path: node["x-kubernetes-list-type"] for path, node in parts(model) if node["type"] == "array"}
    assert {path for path, kind in lists.items() if kind != "atomic"} == {"status.conditions"}


def test_defaults_are_in_the_schema_and_said_in_words() -> None:
    spec = open_api_schema(Certificate)["properties"]["spec"]["properties"]
    assert spec["issuerRef"]["properties"]["kind"]["default"] == "Issuer"
    assert spec["issuerRef"]["properties"]["kind"]["description"].endswith("Default: Issuer.")
    assert spec["secretOwnerReference"]["description"].endswith("Default: false.")
    assert spec["privateKey"]["default"] == {"rotationPolicy": "Always"}
    acme = open_api_schema(Issuer)["properties"]["spec"]["properties"]["acme"]["properties"]
    dns01 = acme["solvers"]["items"]["properties"]["dns01"]["properties"]
    assert dns01["propagationWait"]["default"] == "0s"
    assert "default" not in dns01["propagationTimeout"], "it depends on the provider"
    assert "default" not in dns01["nameservers"]


def test_the_fields_of_a_certificate_are_the_ones_people_know() -> None:
    spec = open_api_schema(Certificate)["properties"]["spec"]
    assert list(spec["properties"]) == [
        "dnsNames",
        "ipAddresses",
        "uris",
        "emailAddresses",
        "commonName",
        "subject",
        "literalSubject",
        "usages",
        "encodeUsagesInRequest",
        "otherNames",
        "isCA",
        "secretName",
        "secretTemplate",
        "secretOwnerReference",
        "issuerRef",
        "issuerRefs",
        "duration",
        "renewBefore",
        "renewBeforePercentage",
        "http01",
        "revokeOnDelete",
        "renewal",
        "privateKey",
        "keystores",
        "additionalOutputFormats",
        "revisionHistoryLimit",
        "temporaryCertificate",
        "paused",
        "request",
    ]
    assert spec["required"] == ["secretName"]


def test_the_fields_of_an_issuer_are_the_ones_people_know() -> None:
    acme = open_api_schema(Issuer)["properties"]["spec"]["properties"]["acme"]
    assert {"server", "privateKeySecretRef", "caBundle", "skipTLSVerify", "solvers"} <= acme["properties"].keys()
    assert acme["required"] == ["privateKeySecretRef", "solvers"]
    assert acme["x-kubernetes-validations"][0]["rule"] == "has(self.server) || has(self.preset)"


@pytest.mark.parametrize(
    ("kind", "scope", "columns"),
    [
        ("Certificate", "Namespaced", ["Ready", "Reason", "Secret", "Issuer", "Expires", "Renews", "Status", "Age"]),
        ("Issuer", "Namespaced", ["Ready", "Reason", "Server", "Status", "Age"]),
        ("ClusterIssuer", "Cluster", ["Ready", "Reason", "Server", "Status", "Age"]),
    ],
)
def test_a_definition_says_how_kubectl_shows_it(kind: str, scope: str, columns: list[str]) -> None:
    spec = DEFINITIONS[kind]["spec"]
    (version,) = spec["versions"]
    assert (spec["group"], version["name"], spec["scope"]) == ("certwright.io", "v1", scope)
    assert [column["name"] for column in version["additionalPrinterColumns"]] == columns
    assert version["subresources"] == {"status": {}}
    assert spec["names"]["categories"] == ["certwright"]


def test_short_names_are_unique_and_each_kind_has_one_of_its_own() -> None:
    names = [name for definition in DEFINITIONS.values() for name in definition["spec"]["names"]["shortNames"]]
    assert len(names) == len(set(names))
    assert set(names) == {"cwcert", "cwiss", "cwciss"}


class Either(Model):
    both: int | str
    """Two types."""


class Anything(Model):
    thing: object
    """No type."""


@pytest.mark.parametrize("model", [Either, Anything])
def test_what_no_structural_schema_can_say_is_an_error(model: type[Model]) -> None:
    with pytest.raises(NotStructural):
        structural(model.model_json_schema(), definitions={}, defaults=True)


MAX_BYTES = 200 * 1024
"""`kubectl apply` copies the whole object into an annotation, and all annotations of an object may have 256 KiB."""


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_kubectl_apply_can_annotate_the_definition_with_room_for_more_providers(kind: str) -> None:
    assert len(json.dumps(DEFINITIONS[kind], separators=(",", ":")).encode()) < MAX_BYTES
