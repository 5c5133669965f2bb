"""PowerDNS Authoritative Server."""

from pydantic import Field

from certwright.resources.dns_providers.trusting import TrustingProvider
from certwright.resources.names import ApiUrl, ServerId
from certwright.resources.references import SecretKeyRef


class Powerdns(TrustingProvider):
    """PowerDNS Authoritative Server, by its HTTP API behind a proxy that speaks TLS."""

    url: ApiUrl
    """The URL of the server; /api/v1 is added to it."""
    server_id: ServerId = Field(default="localhost", alias="serverID")
    """The server's name in the API."""
    api_key_secret_ref: SecretKeyRef
    """The Secret entry that holds the api-key of pdns.conf."""
