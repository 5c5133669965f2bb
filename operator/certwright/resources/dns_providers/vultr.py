"""Vultr."""

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef


class Vultr(DnsProvider):
    """Vultr, with an API key."""

    api_key_secret_ref: SecretKeyRef
    """The Secret entry that holds an API key of a user with the permission Manage DNS."""
