"""IONOS."""

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef


class Ionos(DnsProvider):
    """IONOS, with a key of its Developer API."""

    api_key_secret_ref: SecretKeyRef
    """The Secret entry that holds the API key: the public prefix, a dot and the secret."""
