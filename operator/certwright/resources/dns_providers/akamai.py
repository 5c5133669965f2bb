"""Akamai Edge DNS."""

from typing import Annotated

from pydantic import Field

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef

API_HOST = "^(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?[.]){1,4}akamaiapis[.]net$"
"""Akamai gives each API client a host of its own."""


class Akamai(DnsProvider):
    """Akamai Edge DNS, with the credentials of an API client."""

    service_consumer_domain: Annotated[str, Field(min_length=1, max_length=253, pattern=API_HOST)]
    """The host of the API client, below akamaiapis.net, without https:// in front."""
    client_token_secret_ref: SecretKeyRef
    """The Secret entry that holds the client token."""
    client_secret_secret_ref: SecretKeyRef
    """The Secret entry that holds the client secret."""
    access_token_secret_ref: SecretKeyRef
    """The Secret entry that holds the access token."""
