"""References from one object to another: to an issuer, or to an entry of a Secret."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from certwright.resources.base import Model
from certwright.resources.names import ObjectName, SecretKey
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


class AccountKeyRef(Model):
    """A reference to the Secret entry that holds a private key."""

    name: ObjectName
    """
    The name of the Secret, in the namespace of the Issuer, or in the operator's namespace for a ClusterIssuer.
    """
    key: SecretKey = "tls.key"
    """The key of the entry in the Secret's `data`. The entry holds a private key in PEM."""
