"""Cloudflare."""

from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef
from certwright.resources.rules import VISIBLE_ASCII, rule, validations

_ONE_CREDENTIAL: Final = "must have exactly one of apiTokenSecretRef and apiKeySecretRef"
_EMAIL: Final = "apiKeySecretRef needs the email address of the account in email"


class Cloudflare(DnsProvider):
    """Cloudflare, with an API token or with the global API key of an account."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule("has(self.apiTokenSecretRef) != has(self.apiKeySecretRef)", _ONE_CREDENTIAL),
            rule("!has(self.apiKeySecretRef) || has(self.email)", _EMAIL, field_path=".email"),
        )
    )

    email: Annotated[str, Field(min_length=1, max_length=254, pattern=VISIBLE_ASCII)] | None = None
    """The email address of the account. Required with apiKeySecretRef, and not used otherwise."""
    api_key_secret_ref: SecretKeyRef | None = None
    """The Secret entry that holds the global API key, which has all permissions in the account: prefer a token."""
    api_token_secret_ref: SecretKeyRef | None = None
    """
    The Secret entry that holds an API token with the permissions Zone / DNS / Edit and Zone / Zone / Read for the
    zones.
    """

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if (self.api_token_secret_ref is None) == (self.api_key_secret_ref is None):
            raise ValueError(_ONE_CREDENTIAL)
        if self.api_key_secret_ref is not None and self.email is None:
            raise ValueError(_EMAIL)
        return self
