"""The reference from a Certificate to the issuer that gets it."""

from typing import Literal

from certwright.resources.base import Model
from certwright.resources.names import ObjectName

IssuerKind = Literal["Issuer", "ClusterIssuer"]


class IssuerRef(Model):
    """An Issuer or a ClusterIssuer."""

    name: ObjectName
    """The name of the issuer."""
    kind: IssuerKind = "Issuer"
    """Issuer, from the Certificate's own namespace, or ClusterIssuer."""
    group: Literal["certwright.io"] = "certwright.io"
    """The API group of the issuer."""
