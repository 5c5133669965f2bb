"""PowerDNS Authoritative Server."""

from pydantic import Field

from certwright.resources.dns_providers.trusting import TrustingProvider
from certwright.resources.names import ApiUrl, ServerId
from certwright.resources.references import SecretKeyRef


class Powerdns(TrustingProvider):
    """PowerDNS Authoritative Server, through its HTTP API behind a TLS proxy."""

    url: ApiUrl
    """The URL of the server, without /api/v1."""
    server_id: ServerId = Field(default="localhost", alias="serverID")
    """The server's name in the API."""
    api_key_secret_ref: SecretKeyRef
    """The Secret entry that holds the api-key of pdns.conf."""
