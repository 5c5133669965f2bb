"""GoDaddy."""

from typing import Final, Self

from pydantic import ConfigDict, model_validator

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef
from certwright.resources.rules import rule, validations

_ONE: Final = "must have either tokenSecretRef, or apiKeySecretRef and apiSecretSecretRef"


class Godaddy(DnsProvider):
    """GoDaddy, with a personal access token, or with an API key and its secret."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule(
                "has(self.tokenSecretRef) != has(self.apiKeySecretRef) && "
                "has(self.apiKeySecretRef) == has(self.apiSecretSecretRef)",
                _ONE,
            )
        )
    )

    token_secret_ref: SecretKeyRef | None = None
    """The Secret entry that holds a personal access token."""
    api_key_secret_ref: SecretKeyRef | None = None
    """The Secret entry that holds an API key for production, not for OTE."""
    api_secret_secret_ref: SecretKeyRef | None = None
    """The Secret entry that holds the secret of the API key."""

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        has_key = self.api_key_secret_ref is not None
        if (self.token_secret_ref is not None) == has_key or has_key != (self.api_secret_secret_ref is not None):
            raise ValueError(_ONE)
        return self
