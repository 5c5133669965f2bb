"""acme-dns."""

from certwright.resources.dns_providers.trusting import TrustingProvider
from certwright.resources.names import ApiUrl
from certwright.resources.references import SecretKeyRef


class AcmeDNS(TrustingProvider):
    """An acme-dns server. A CNAME at _acme-challenge.<domain> points to the fulldomain of an account there."""

    host: ApiUrl
    """The URL of the server's API."""
    account_secret_ref: SecretKeyRef
    """
    The Secret entry that holds the accounts as JSON: an object with the server's answer to the registration for each
    domain.
    """
