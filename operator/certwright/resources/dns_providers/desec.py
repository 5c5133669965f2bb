"""deSEC."""

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef


class Desec(DnsProvider):
    """deSEC, with a token whose policies allow it to write TXT records."""

    token_secret_ref: SecretKeyRef
    """
    The Secret entry that holds a token; if it has policies, they must allow it to write TXT records of the domain.
    """
