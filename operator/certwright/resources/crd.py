"""The CustomResourceDefinitions, made from the models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import ModelSchema

from certwright.resources.base import Model
from certwright.resources.certificate import Certificate
from certwright.resources.conditions import UNOBSERVED
from certwright.resources.descriptions import field_descriptions
from certwright.resources.duration import format_duration
from certwright.resources.group import CATEGORY, GROUP, VERSION
from certwright.resources.issuer import ClusterIssuer, Issuer
from certwright.resources.object import Object
from certwright.resources.structural import JsonSchema, structural

_READY: Final = '.status.conditions[?(@.type=="Ready")]'


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`; with priority 1 it is there only with `-o wide`."""

    name: str
    path: str
    description: str
    type: str = "string"
    priority: int = 0

    def to_json(self) -> dict[str, Any]:
        """The entry of `additionalPrinterColumns`."""
        column = {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            "description": self.description,
        }
        return {**column, "priority": self.priority} if self.priority else column


_READY_COLUMN: Final = Column("Ready", f"{_READY}.status", "Whether it is ready.")
_REASON_COLUMN: Final = Column("Reason", f"{_READY}.reason", "Why it is ready or not, in a word.")
_STATUS_COLUMN: Final = Column("Status", f"{_READY}.message", "Why it is ready or not.", priority=1)
_AGE_COLUMN: Final = Column("Age", ".metadata.creationTimestamp", "How long it has existed.", type="date")

_CERTIFICATE_COLUMNS: Final = (
    _READY_COLUMN,
    _REASON_COLUMN,
    Column("Secret", ".spec.secretName", "The Secret that holds the certificate."),
    Column("Issuer", ".status.issuer.name", "The issuer of the certificate."),
    # A column of type date would show how long ago it was: nothing, for an instant to come.
    Column("Expires", ".status.notAfter", "When the certificate expires."),
    Column("Renews", ".status.renewalTime", "When the certificate will be renewed."),
    _STATUS_COLUMN,
    _AGE_COLUMN,
)
_ISSUER_COLUMNS: Final = (
    _READY_COLUMN,
    _REASON_COLUMN,
    Column("Server", ".status.acme.server", "The ACME directory of the CA."),
    _STATUS_COLUMN,
    _AGE_COLUMN,
)


def custom_resource_definitions() -> tuple[dict[str, Any], ...]:
    """All our CRDs, in JSON terms: Certificate, Issuer, ClusterIssuer."""
    # The familiar short names may also be another group's; the ones with cw never are.
    return (
        _definition(Certificate, _CERTIFICATE_COLUMNS, short_names=("cwcert",)),
        _definition(Issuer, _ISSUER_COLUMNS, short_names=("cwiss",)),
        _definition(ClusterIssuer, _ISSUER_COLUMNS, short_names=("cwciss",)),
    )


def open_api_schema(model: type[Object]) -> JsonSchema:
    """The structural schema of a kind.

    Raises:
        NotStructural: the model cannot be expressed.
    """
    schema = model.model_json_schema(schema_generator=_SchemaGenerator)
    definitions: Mapping[str, JsonSchema] = schema["$defs"]
    parts = schema["properties"]
    status = structural(parts["status"], definitions=definitions, defaults=False)
    return {
        "description": " ".join(schema["description"].split()),
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}."},
            "kind": {"type": "string", "description": f"{model.KIND}."},
            "metadata": {"type": "object"},
            "spec": structural(parts["spec"], definitions=definitions, defaults=True),
            # Tools that wait for an object compare its generation with this one; without it they would take an object
            # that the operator has not seen yet for done.
            "status": {**status, "default": {"observedGeneration": UNOBSERVED}},
        },
    }


class _SchemaGenerator(GenerateJsonSchema):
    """Writes defaults as the API server has to read them, which checks them against our own rules; and descriptions."""

    def model_schema(self, schema: ModelSchema) -> JsonSchema:
        found = super().model_schema(schema)
        model: type[Model] = schema["cls"]
        for name, text in field_descriptions(model).items():
            known = found.get("properties", {}).get(model.model_fields[name].alias or name)
            if known is not None:
                known["description"] = text
        return found

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):
            return format_duration(dft)
        if isinstance(dft, Model):
            return dft.to_json()
        return super().encode_default(dft)


def custom_resource_definition(
    model: type[Object],
    *,
    group: str,
    version: str,
    category: str,
    short_names: Sequence[str],
    columns: Sequence[Mapping[str, Any]],
    schema: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a CustomResourceDefinition with one version.

    Args:
        model: Has the names, and says whether objects are in namespaces.
        group: The API group.
        version: Of the API.
        category: What `kubectl get` shows them with.
        short_names: For `kubectl`.
        columns: `additionalPrinterColumns`.
        schema: `openAPIV3Schema`.
    """
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{model.PLURAL}.{group}",
            "labels": {"app.kubernetes.io/name": "certwright"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced" if model.NAMESPACED else "Cluster",
            "names": {
                "kind": model.KIND,
                "listKind": f"{model.KIND}List",
                "plural": model.PLURAL,
                "singular": model.KIND.lower(),
                "shortNames": list(short_names),
                "categories": [category],
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": list(columns),
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _definition(model: type[Object], columns: Sequence[Column], *, short_names: Sequence[str]) -> dict[str, Any]:
    return custom_resource_definition(
        model,
        group=GROUP,
        version=VERSION,
        category=CATEGORY,
        short_names=short_names,
        columns=[column.to_json() for column in columns],
        schema=open_api_schema(model),
    )
