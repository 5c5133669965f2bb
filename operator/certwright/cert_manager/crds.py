"""CRDs of cert-manager's kinds for clusters that have none, generated from our models, with the supported fields.

They accept any content, because a chart may use unsupported fields: a condition of the object reports these, instead of
a chart that cannot be installed. Unknown fields are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager import api
from certwright.cert_manager.issuer import SAME
from certwright.cert_manager.solver import PROVIDERS
from certwright.resources import Certificate, ClusterIssuer, Issuer
from certwright.resources.crd import custom_resource_definition, open_api_schema

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from certwright.resources.object import Object

Schema: TypeAlias = "dict[str, Any]"

_ANY: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}
_NUMBER: Final = {"type": "integer"}
_KEPT: Final = ("type", "properties", "items", "additionalProperties", "x-kubernetes-preserve-unknown-fields")
_ONLY_OURS: Final = frozenset(
    {"secretOwnerReference", "issuerRefs", "http01", "revokeOnDelete", "temporaryCertificate", "paused", "request"}
)
"""Fields of our Certificate that cert-manager does not have."""
_CONDITIONS: Final = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
    "items": {
        "type": "object",
        "required": ["status", "type"],
        "properties": {
            "type": _TEXT,
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": _TEXT,
            "message": _TEXT,
            "lastTransitionTime": _TIME,
            "observedGeneration": {"type": "integer", "format": "int64"},
        },
    },
}
_CERTIFICATE_STATUS: Final = {
    "conditions": _CONDITIONS,
    "notBefore": _TIME,
    "notAfter": _TIME,
    "renewalTime": _TIME,
    "revision": _NUMBER,
    "lastFailureTime": _TIME,
    "failedIssuanceAttempts": _NUMBER,
    "nextPrivateKeySecretName": _TEXT,
}
_ISSUER_STATUS: Final = {
    "conditions": _CONDITIONS,
    "acme": {
        "type": "object",
        "properties": {"uri": _TEXT, "lastRegisteredEmail": _TEXT, "lastPrivateKeyHash": _TEXT},
    },
}
_READY: Final = '.status.conditions[?(@.type == "Ready")]'


def cert_manager_definitions() -> tuple[dict[str, Any], ...]:
    """Return the CRDs in JSON terms: Certificate, Issuer, ClusterIssuer of `cert-manager.io/v1`."""
    columns = [
        _column("Ready", f"{_READY}.status"),
        _column("Secret", ".spec.secretName"),
        _column("Issuer", ".spec.issuerRef.name", wide=True),
        _column("Status", f"{_READY}.message", wide=True),
        _AGE,
    ]
    issuer_columns = [_column("Ready", f"{_READY}.status"), _column("Status", f"{_READY}.message", wide=True), _AGE]
    return (
        _definition(Certificate, _certificate_spec(), _CERTIFICATE_STATUS, columns, ["cert", "certs"]),
        _definition(Issuer, _issuer_spec(Issuer), _ISSUER_STATUS, issuer_columns, ["iss"]),
        _definition(ClusterIssuer, _issuer_spec(ClusterIssuer), _ISSUER_STATUS, issuer_columns, ["ciss"]),
    )


def _certificate_spec() -> Schema:
    ours = _loosened(open_api_schema(Certificate)["properties"]["spec"])
    fields = {name: field for name, field in ours["properties"].items() if name not in _ONLY_OURS}
    fields |= {"renewal": _ANY, "nameConstraints": _ANY, "signatureAlgorithm": _TEXT}
    return {**_ANY, "properties": fields}


def _issuer_spec(model: type[Object]) -> Schema:
    acme = _loosened(open_api_schema(model)["properties"]["spec"])["properties"]["acme"]["properties"]
    solver = acme["solvers"]["items"]["properties"]
    dns01 = {name: field for name, field in solver["dns01"]["properties"].items() if name in PROVIDERS}
    http01 = {name: solver["http01"]["properties"][name] for name in ("ingress", "gatewayHTTPRoute")}
    solvers = {
        "selector": solver["selector"],
        "dns01": {**_ANY, "properties": {**dns01, "cnameStrategy": _TEXT}},
        "http01": {**_ANY, "properties": http01},
        "waitInsteadOfSelfCheck": _TEXT,
    }
    fields = {name: field for name, field in acme.items() if name in SAME}
    fields["solvers"] = {"type": "array", "items": {**_ANY, "properties": solvers}}
    others = dict.fromkeys(api.NOT_ACME, _ANY)
    return {**_ANY, "properties": {"acme": {**_ANY, "properties": fields}, **others}}


def _loosened(schema: Mapping[str, Any]) -> Schema:
    """Return a schema without its rules and defaults: types alone, and what is not known is kept."""
    kept: Schema = {name: schema[name] for name in _KEPT if name in schema}
    if "properties" in kept:
        kept["properties"] = {name: _loosened(one) for name, one in kept["properties"].items()}
        kept["x-kubernetes-preserve-unknown-fields"] = True
    for name in ("items", "additionalProperties"):
        if isinstance(kept.get(name), dict):
            kept[name] = _loosened(kept[name])
    return kept


def _column(name: str, path: str, *, wide: bool = False, kind: str = "string") -> Schema:
    return {"name": name, "type": kind, "jsonPath": path, **({"priority": 1} if wide else {})}


_AGE: Final = _column("Age", ".metadata.creationTimestamp", kind="date")


def _definition(
    model: type[Object],
    spec: Schema,
    status: Mapping[str, Any],
    columns: list[Schema],
    short_names: list[str],
) -> dict[str, Any]:
    served = f"{model.KIND} of cert-manager.io, with the fields that Certwright serves; others are kept as they are."
    schema = {
        "description": served,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": _TEXT,
            "kind": _TEXT,
            "metadata": {"type": "object"},
            "spec": spec,
            "status": {**_ANY, "properties": dict(status)},
        },
    }
    return custom_resource_definition(
        model,
        group=api.GROUP,
        version=api.VERSION,
        category="cert-manager",
        short_names=short_names,
        columns=columns,
        schema=schema,
    )
