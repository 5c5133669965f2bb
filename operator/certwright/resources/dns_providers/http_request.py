"""A server that speaks the protocol `httpreq` of lego."""

from typing import Final, Literal, Self

from pydantic import ConfigDict, model_validator

from certwright.resources.dns_providers.trusting import TrustingProvider
from certwright.resources.names import ApiUrl
from certwright.resources.references import SecretKeyRef
from certwright.resources.rules import rule, validations

_PAIR: Final = "usernameSecretRef and passwordSecretRef must be set together; leave both unset for no authentication"


class HttpRequest(TrustingProvider):
    """Your own server that creates and removes records, with lego's protocol `httpreq`."""

    model_config = ConfigDict(
        json_schema_extra=validations(rule("has(self.usernameSecretRef) == has(self.passwordSecretRef)", _PAIR))
    )

    url: ApiUrl
    """The URL of the server, without /present and /cleanup."""
    mode: Literal["Default", "RAW"] = "Default"
    """
    What the operator sends. Default: the name and the value of the record. RAW: the domain, the token and the key
    authorization of the challenge, for servers that compute the record themselves.
    """
    username_secret_ref: SecretKeyRef | None = None
    """The Secret entry that holds the user name for basic authentication."""
    password_secret_ref: SecretKeyRef | None = None
    """The Secret entry that holds the password for basic authentication."""

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.username_secret_ref is None) != (self.password_secret_ref is None):
            raise ValueError(_PAIR)
        return self
