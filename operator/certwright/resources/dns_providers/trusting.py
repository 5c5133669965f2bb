"""Providers that are the user's own server, possibly with a certificate of a private CA."""

from typing import Any, Self

from pydantic import Field, model_validator

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.names import SmallBundle
from certwright.resources.pem import decode_pem


class TrustingProvider(DnsProvider):
    """The base of their models: the provider gets the bundle as PEM text."""

    ca_bundle: SmallBundle | None = Field(default=None, alias="caBundle")
    """Base64-encoded PEM certificates to trust for the connection instead of the publicly trusted CAs."""

    def settings(self) -> dict[str, Any]:
        """What is given besides credentials."""
        bundle = None if self.ca_bundle is None else decode_pem(self.ca_bundle)
        return {**super().settings(), "ca_bundle": bundle}

    @model_validator(mode="after")
    def _bundle_is_pem(self) -> Self:
        if self.ca_bundle is not None:
            decode_pem(self.ca_bundle)
        return self
