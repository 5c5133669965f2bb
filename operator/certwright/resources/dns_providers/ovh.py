"""OVHcloud."""

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef
from certwright.resources.rules import VISIBLE_ASCII, rule, validations

Endpoint = Literal["ovh-eu", "ovh-ca", "ovh-us", "kimsufi-eu", "kimsufi-ca", "soyoustart-eu", "soyoustart-ca"]
_Id = Annotated[str, Field(min_length=1, max_length=253, pattern=VISIBLE_ASCII)]

_WITH_ACCOUNTS: Final = ("ovh-eu", "ovh-ca", "ovh-us")
_ONE: Final = (
    "must have either applicationKey, applicationSecretSecretRef and consumerKeySecretRef, or clientID and "
    "clientSecretSecretRef"
)
_NO_ACCOUNTS: Final = f"clientID is for the endpoints {', '.join(_WITH_ACCOUNTS)}: others have no service accounts"


class Ovh(DnsProvider):
    """OVHcloud, with the keys of an application or with a service account (OAuth2)."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule(
                "has(self.applicationKey) != has(self.clientID) && "
                "has(self.applicationKey) == has(self.applicationSecretSecretRef) && "
                "has(self.applicationKey) == has(self.consumerKeySecretRef) && "
                "has(self.clientID) == has(self.clientSecretSecretRef)",
                _ONE,
            ),
            rule(
                f"!has(self.clientID) || self.endpoint in {list(_WITH_ACCOUNTS)}", _NO_ACCOUNTS, field_path=".clientID"
            ),
        )
    )

    endpoint: Endpoint
    """The region of the account."""
    application_key: _Id | None = None
    """The key of the application."""
    application_secret_secret_ref: SecretKeyRef | None = None
    """The Secret entry that holds the secret of the application."""
    consumer_key_secret_ref: SecretKeyRef | None = None
    """The Secret entry that holds the consumer key."""
    client_id: Annotated[_Id | None, Field(alias="clientID")] = None
    """The ID of the service account."""
    client_secret_secret_ref: SecretKeyRef | None = None
    """The Secret entry that holds the secret of the service account."""

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        application = (self.application_key, self.application_secret_secret_ref, self.consumer_key_secret_ref)
        account = (self.client_id, self.client_secret_secret_ref)
        whole = {(len(application), 0), (0, len(account))}
        if tuple(sum(one is not None for one in part) for part in (application, account)) not in whole:
            raise ValueError(_ONE)
        if self.client_id is not None and self.endpoint not in _WITH_ACCOUNTS:
            raise ValueError(_NO_ACCOUNTS)
        return self
