"""Linode."""

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef


class Linode(DnsProvider):
    """Linode (Akamai Cloud), with a personal access token."""

    token_secret_ref: SecretKeyRef
    """The Secret entry that holds a personal access token with Read/Write access to Domains."""
