"""References to one key of a Secret."""

from certwright.resources.base import Model
from certwright.resources.names import ObjectName, SecretKey


class SecretKeyRef(Model):
    """A key of a Secret."""

    name: ObjectName
    """
    The Secret. It is read from the namespace of the Issuer; for a ClusterIssuer, from the operator's
    namespace.
    """
    key: SecretKey
    """The key under `data` of the Secret."""


class AccountKeyRef(Model):
    """The key of a Secret that holds a private key."""

    name: ObjectName
    """
    The Secret. It belongs to the namespace of the Issuer; for a ClusterIssuer, to the operator's namespace.
    """
    key: SecretKey = "tls.key"
    """The key under `data` of the Secret. Its value is a private key in PEM."""
