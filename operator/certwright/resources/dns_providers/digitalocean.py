"""DigitalOcean."""

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef


class DigitalOcean(DnsProvider):
    """DigitalOcean, with a personal access token."""

    token_secret_ref: SecretKeyRef
    """The Secret entry that holds a token with the scopes domain:read, domain:create and domain:delete."""
