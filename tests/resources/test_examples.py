import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from certwright.dns import InvalidTsigKey, TsigKey
from certwright.resources import API_VERSION, Certificate, ClusterIssuer, InvalidResource, Issuer
from certwright.resources.crd import open_api_schema
from certwright.resources.object import Object
from harness.documented import PLACEHOLDERS, filled_in

EXAMPLES = Path(__file__).parents[2] / "examples"
MODELS: dict[str, type[Object]] = {"Certificate": Certificate, "Issuer": Issuer, "ClusterIssuer": ClusterIssuer}


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as the API server means it with strict field validation: what is not named is refused."""
    changed = {key: strict(value) if isinstance(value, dict) else value for key, value in schema.items()}
    if "properties" in schema and isinstance(schema["properties"], dict) and "type" in schema:
        changed["additionalProperties"] = False
    return changed


def ours() -> Iterator[Any]:
    for path in sorted(EXAMPLES.rglob("*.yaml")):
        for document in yaml.safe_load_all(filled_in(path.read_text(encoding="utf-8"))):
            if document["apiVersion"] == API_VERSION:
                name = f"{path.relative_to(EXAMPLES)}:{document['kind']}"
                yield pytest.param(document, id=name)


@pytest.mark.parametrize("document", list(ours()))
def test_an_example_follows_the_schema_and_the_model(document: dict[str, Any]) -> None:
    model = MODELS[document["kind"]]
    jsonschema.validate(document, strict(open_api_schema(model)))
    model.parse(document)


def test_an_example_with_a_placeholder_is_refused_with_what_to_do() -> None:
    """The address by the CRD, when it is applied; the key by the operator, before it orders anything."""
    address, secret, authority = PLACEHOLDERS
    shown = [path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.rglob("*.yaml"))]
    issuers = [text for text in shown if address in text]
    assert len(issuers) > 5
    for text in issuers:
        document = yaml.safe_load(text)
        with pytest.raises(InvalidResource, match="email: is a placeholder: write your own address"):
            MODELS[document["kind"]].parse(document)
    assert sum(secret in text for text in shown) == 2
    with pytest.raises(InvalidTsigKey, match="not base64"):
        TsigKey("certwright", secret)
    issuer = yaml.safe_load(filled_in(issuers[0]))
    issuer["spec"]["acme"]["caBundle"] = authority
    with pytest.raises(InvalidResource, match="caBundle"):
        MODELS[issuer["kind"]].parse(issuer)


def test_every_address_in_an_example_is_a_placeholder_or_of_the_demo() -> None:
    for path in sorted(EXAMPLES.rglob("*.yaml")):
        for address in re.findall(r"\S+@\S+", path.read_text(encoding="utf-8")):
            assert address in PLACEHOLDERS or address.endswith("@example.test"), path


def test_the_schema_check_would_see_a_wrong_field() -> None:
    document = {
        "apiVersion": API_VERSION,
        "kind": "Certificate",
        "metadata": {},
        "spec": {"dnsName": "a.example"},
    }
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, strict(open_api_schema(Certificate)))


def test_every_folder_of_examples_is_explained() -> None:
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(
        f"`{folder.name}/`" in index for folder in EXAMPLES.iterdir() if folder.is_dir() and folder.name[0] not in "._"
    )
