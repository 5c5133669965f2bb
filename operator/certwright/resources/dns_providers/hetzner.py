"""Hetzner."""

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef


class Hetzner(DnsProvider):
    """Hetzner (Cloud API), with an API token of the project."""

    token_secret_ref: SecretKeyRef
    """The Secret entry that holds an API token with the permission Read & Write, of the project that has the zone."""
