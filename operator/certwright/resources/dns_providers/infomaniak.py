"""Infomaniak."""

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef


class Infomaniak(DnsProvider):
    """Infomaniak, with an API token."""

    token_secret_ref: SecretKeyRef
    """The Secret entry that holds an API token with the scopes dns:read and dns:write."""
