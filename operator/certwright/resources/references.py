"""References from one object to another: to an issuer, or to an entry of a Secret."""

from typing import Literal

from certwright.resources.base import Model
from certwright.resources.names import ObjectName, SecretKey

IssuerKind = Literal["Issuer", "ClusterIssuer"]


class IssuerRef(Model):
    """An Issuer or a ClusterIssuer."""

    name: ObjectName
    """The name of the issuer."""
    kind: IssuerKind = "Issuer"
    """Issuer, in the Certificate's namespace, or ClusterIssuer."""
    group: Literal["certwright.io"] = "certwright.io"
    """The API group of the issuer."""


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
