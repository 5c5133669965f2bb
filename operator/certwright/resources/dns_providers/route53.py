"""Route 53."""

from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.dns_providers.service_account import ServiceAccountAuth
from certwright.resources.references import OptionalSecretKeyRef
from certwright.resources.rules import VISIBLE_ASCII, rule, validations
from certwright.resources.text_rule import Hint, TextRule

_ROLE: Final = TextRule(
    pattern="arn:aws[a-z-]*:iam::[0-9]{12}:role/[-A-Za-z0-9_+=,.@/]+",
    message="is not the ARN of an IAM role, such as arn:aws:iam::123456789012:role/dns",
    max_length=600,
    hints=(Hint("^arn:aws[a-z-]*:sts:", "must be the ARN of the role (arn:aws:iam::...), not that of a session"),),
)
_ZONE_ID: Final = TextRule(
    pattern="(?:/hostedzone/)?[A-Z0-9]+",
    message="is not the ID of a hosted zone, such as Z2ABCDEFGHIJKL",
    max_length=44,
    hints=(Hint("[.]", "must be the ID of the zone, not its name"),),
)
_REGION: Final = TextRule(
    pattern="[a-z]{2,6}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}",
    message="is not an AWS region, such as eu-central-1",
    max_length=32,
    hints=(Hint("-[0-9][a-z]$", "must be a region, not an availability zone"),),
)

_ID: Final = "must not have both accessKeyID and accessKeyIDSecretRef"
_PAIR: Final = "an access key needs its ID (accessKeyID or accessKeyIDSecretRef) and secretAccessKeySecretRef"
_ALONE: Final = "must not have both auth and an access key"
_AUTH_ROLE: Final = "auth needs the role that the ServiceAccount assumes"

_HAS_ID: Final = "(has(self.accessKeyID) || (has(self.accessKeyIDSecretRef) && self.accessKeyIDSecretRef.name != ''))"
_HAS_KEY: Final = "(has(self.secretAccessKeySecretRef) && self.secretAccessKeySecretRef.name != '')"


class Route53(DnsProvider):
    """Route 53, with an access key, with a ServiceAccount and a role, or with the identity of the operator."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule(
                "!has(self.accessKeyID) || !has(self.accessKeyIDSecretRef) || self.accessKeyIDSecretRef.name == ''", _ID
            ),
            rule(f"{_HAS_ID} == {_HAS_KEY}", _PAIR),
            rule(f"!has(self.auth) || !{_HAS_ID}", _ALONE),
            rule("!has(self.auth) || has(self.role)", _AUTH_ROLE, field_path=".role", reason="FieldValueRequired"),
        )
    )

    auth: ServiceAccountAuth | None = None
    """
    Assumes role as a ServiceAccount, with a token that the operator requests. The default audience is
    sts.amazonaws.com.
    """
    access_key_id: Annotated[str, Field(min_length=1, max_length=128, pattern=VISIBLE_ASCII)] | None = Field(
        default=None, alias="accessKeyID"
    )
    """The ID of an access key."""
    access_key_id_secret_ref: OptionalSecretKeyRef = Field(default=None, alias="accessKeyIDSecretRef")
    """The Secret entry that holds the ID of an access key."""
    secret_access_key_secret_ref: OptionalSecretKeyRef = None
    """
    The Secret entry that holds the secret of the access key. If neither an access key nor auth is set, the operator's
    identity is used, if the operator permits this for the issuer.
    """
    role: Annotated[str, _ROLE] | None = None
    """The ARN of an IAM role to assume: with the access key, as the ServiceAccount, or as the operator."""
    hosted_zone_id: Annotated[str, _ZONE_ID] | None = Field(default=None, alias="hostedZoneID")
    """
    The ID of the hosted zone in which to create all records. If unset, the account's public zone with the longest
    matching name.
    """
    region: Annotated[str, _REGION] | None = None
    """
    The region of the STS endpoint that issues the keys of the role; its partition (China, GovCloud) determines the
    Route 53 endpoint. If unset, the operator's AWS_REGION if its own keys are used, otherwise the default of the role's
    partition.
    """

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        if self.access_key_id is not None and self.access_key_id_secret_ref is not None:
            raise ValueError(_ID)
        has_id = self.access_key_id is not None or self.access_key_id_secret_ref is not None
        if has_id != (self.secret_access_key_secret_ref is not None):
            raise ValueError(_PAIR)
        if self.auth is not None and has_id:
            raise ValueError(_ALONE)
        if self.auth is not None and self.role is None:
            raise ValueError(_AUTH_ROLE)
        return self
