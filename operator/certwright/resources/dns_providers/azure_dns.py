"""Azure DNS."""

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.names import ZoneName, uuid_rule
from certwright.resources.references import SecretKeyRef
from certwright.resources.rules import rule, validations
from certwright.resources.text_rule import Hint, TextRule

AzureEnvironment = Literal["AzurePublicCloud", "AzureChinaCloud", "AzureGermanCloud", "AzureUSGovernmentCloud"]
AzureZoneType = Literal["AzurePublicZone", "AzurePrivateZone"]

_ID: Final = uuid_rule("is not an ID of Azure, such as 00000000-0000-0000-0000-000000000000")
_TENANT: Final = TextRule(
    pattern="[0-9a-zA-Z](?:[0-9a-zA-Z.-]*[0-9a-zA-Z])?",
    message="is neither the ID of a tenant nor one of its domains",
    max_length=253,
)
_RESOURCE_GROUP: Final = TextRule(
    pattern="[-0-9A-Za-z_.()\u00a1-\U0003fffd]*[-0-9A-Za-z_()\u00a1-\U0003fffd]",
    message="is not the name of a resource group: letters, digits, and -_.() without a dot at the end",
    max_length=90,
    hints=(Hint("^/", "must be the name alone, not the resource ID"),),
)
_RESOURCE_ID: Final = TextRule(
    pattern="/subscriptions/[-0-9A-Za-z_.()/\u00a1-\U0003fffd]+",
    message="is not a resource ID: it starts with /subscriptions/",
    max_length=512,
)

_TOGETHER: Final = (
    "clientID, clientSecretSecretRef and tenantID must be set together; leave all unset for ambient credentials"
)
_NO_IDENTITY: Final = (
    "managedIdentity is for ambient credentials: leave clientID, clientSecretSecretRef and tenantID unset"
)
_ONE_ID: Final = "must not have both clientID and resourceID"


class AzureManagedIdentity(Model):
    """Which of the operator's identities to use."""

    model_config = ConfigDict(
        json_schema_extra=validations(rule("!has(self.clientID) || !has(self.resourceID)", _ONE_ID)),
    )

    client_id: Annotated[str, _ID] | None = Field(default=None, alias="clientID")
    """The client ID of the identity. If unset, the one of the operator's ServiceAccount, or the node's only one."""
    resource_id: Annotated[str, _RESOURCE_ID] | None = Field(default=None, alias="resourceID")
    """The resource ID of a managed identity that is assigned to the node."""
    tenant_id: Annotated[str, _TENANT] | None = Field(default=None, alias="tenantID")
    """The tenant of the identity, for workload identity. If unset, the one of the operator's ServiceAccount."""

    @model_validator(mode="after")
    def _one_id(self) -> Self:
        if self.client_id is not None and self.resource_id is not None:
            raise ValueError(_ONE_ID)
        return self


class AzureDNS(DnsProvider):
    """Azure DNS, with a service principal, or with workload identity or a managed identity of the operator."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule(
                "has(self.clientID) == has(self.clientSecretSecretRef) && has(self.clientID) == has(self.tenantID)",
                _TOGETHER,
            ),
            rule(
                "!has(self.managedIdentity) || !has(self.clientID)",
                _NO_IDENTITY,
                field_path=".managedIdentity",
                reason="FieldValueForbidden",
            ),
        )
    )

    client_id: Annotated[str, _ID] | None = Field(default=None, alias="clientID")
    """The client ID of a service principal. If unset, ambient credentials are used: see managedIdentity."""
    client_secret_secret_ref: SecretKeyRef | None = None
    """The Secret entry that holds the client secret of the service principal."""
    subscription_id: Annotated[str, _ID] = Field(alias="subscriptionID")
    """The ID of the subscription that has the zone."""
    tenant_id: Annotated[str, _TENANT] | None = Field(default=None, alias="tenantID")
    """The tenant of the service principal."""
    resource_group_name: Annotated[str, _RESOURCE_GROUP]
    """The resource group that has the zone."""
    hosted_zone_name: ZoneName | None = None
    """
    The zone in which to create the records. If unset, the zone that contains them; this requires permission to list the
    zones of the resource group.
    """
    environment: AzureEnvironment = "AzurePublicCloud"
    """The cloud."""
    managed_identity: AzureManagedIdentity | None = None
    """
    Which identity to use without a service principal. Only issuers that may use ambient credentials can: by default,
    ClusterIssuers.
    """
    zone_type: AzureZoneType = "AzurePublicZone"
    """Whether the zone is in the public DNS, or private to virtual networks."""

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> Self:
        principal = (self.client_id, self.client_secret_secret_ref, self.tenant_id)
        if None in principal and any(one is not None for one in principal):
            raise ValueError(_TOGETHER)
        if self.managed_identity is not None and self.client_id is not None:
            raise ValueError(_NO_IDENTITY)
        return self
