"""Porkbun."""

from typing import Annotated

from pydantic import Field

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef


class Porkbun(DnsProvider):
    """Porkbun, with an API key and its secret."""

    api_key_secret_ref: SecretKeyRef
    """The Secret entry that holds the API key, which starts with pk1_."""
    secret_api_key_secret_ref: Annotated[SecretKeyRef, Field(alias="secretAPIKeySecretRef")]
    """The Secret entry that holds the secret API key, which starts with sk1_."""
