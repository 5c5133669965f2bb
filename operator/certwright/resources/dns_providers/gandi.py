"""Gandi."""

from typing import Annotated, Final

from pydantic import Field

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.names import uuid_rule
from certwright.resources.references import SecretKeyRef

_SHARING_ID: Final = uuid_rule("is not the ID of an organization, such as 00000000-0000-0000-0000-000000000000")


class Gandi(DnsProvider):
    """Gandi (LiveDNS), with a personal access token."""

    sharing_id: Annotated[str, _SHARING_ID] | None = Field(default=None, alias="sharingID")
    """The organization whose domains to use. If unset, all that the token may see."""
    token_secret_ref: SecretKeyRef
    """The Secret entry that holds a personal access token that may manage technical configurations of the domain."""
