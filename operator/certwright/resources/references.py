"""References from one object to another: to an issuer, or to an entry of a Secret."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from certwright.resources.base import Model
from certwright.resources.descriptions import field_descriptions
from certwright.resources.names import OBJECT_NAME, SECRET_KEY, ObjectName, SecretKey
from certwright.resources.rules import ATOMIC_LIST, VISIBLE_ASCII, rule, validations

IssuerKind = Literal["Issuer", "ClusterIssuer"]

MAX_ISSUERS: Final = 4
_LISTED_TWICE: Final = "an issuer is listed twice"


class IssuerRef(Model):
    """An Issuer or a ClusterIssuer."""

    name: ObjectName
    """The name of the issuer."""
    kind: IssuerKind = "Issuer"
    """Issuer, in the Certificate's namespace, or ClusterIssuer."""
    group: Literal["certwright.io"] = "certwright.io"
    """The API group of the issuer."""


def _each_once(references: tuple[IssuerRef, ...] | None) -> tuple[IssuerRef, ...] | None:
    if references is not None and len({(one.kind, one.name) for one in references}) < len(references):
        raise ValueError(_LISTED_TWICE)
    return references


IssuerRefs = Annotated[
    tuple[IssuerRef, ...] | None,
    Field(
        min_length=1,
        max_length=MAX_ISSUERS,
        json_schema_extra={
            **ATOMIC_LIST,
            **validations(rule("self.all(one, self.exists_one(other, one == other))", _LISTED_TWICE)),
        },
    ),
    AfterValidator(_each_once),
]
"""Issuers in the order in which they are used, each once; None for no list."""


class UsedIssuer(Model):
    """The issuer of a certificate or of an order."""

    kind: IssuerKind
    """Issuer or ClusterIssuer."""
    name: ObjectName
    """The name of the issuer."""
    server: Annotated[str, Field(max_length=2048, pattern=VISIBLE_ASCII)] | None = None
    """The ACME directory of its CA."""


class SecretKeyRef(Model):
    """A reference to an entry of a Secret."""

    name: ObjectName
    """
    The name of the Secret, in the namespace of the Issuer, or in the operator's namespace for a ClusterIssuer.
    """
    key: SecretKey
    """The key of the entry in the Secret's `data`."""


class _MayBeUnnamed:
    """Lets a reference have an empty name, which means none: cert-manager's API server writes `{name: ""}` so."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Reads a reference with an empty name as none."""
        return core_schema.no_info_before_validator_function(_unless_unnamed, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Lets the API server check a name and a key only if there is a name."""
        parts, meanings = SecretKeyRef.model_json_schema()["properties"], field_descriptions(SecretKeyRef)
        texts = {
            name: {"type": "string", "maxLength": parts[name]["maxLength"], "description": meanings[name]}
            for name in ("name", "key")
        }
        return {
            "type": "object",
            "description": "A reference to an entry of a Secret; with an empty name, none.",
            "properties": texts,
            "required": ["name"],
            **validations(
                rule(f"self.name == '' || {OBJECT_NAME.cel_for('self.name')}", OBJECT_NAME.message, field_path=".name"),
                rule("self.name == '' || has(self.key)", "is required", field_path=".key", reason="FieldValueRequired"),
                rule(
                    f"self.name == '' || !has(self.key) || {SECRET_KEY.cel_for('self.key')}",
                    SECRET_KEY.message,
                    field_path=".key",
                ),
            ),
        }


def _unless_unnamed(value: Any) -> Any:
    return None if isinstance(value, Mapping) and value.get("name") == "" else value


OptionalSecretKeyRef = Annotated[SecretKeyRef | None, _MayBeUnnamed()]
"""A reference that cert-manager's API always writes, with an empty name if there is none."""


class AccountKeyRef(Model):
    """A reference to the Secret entry that holds a private key."""

    name: ObjectName
    """
    The name of the Secret, in the namespace of the Issuer, or in the operator's namespace for a ClusterIssuer.
    """
    key: SecretKey = "tls.key"
    """The key of the entry in the Secret's `data`. The entry holds a private key in PEM."""
