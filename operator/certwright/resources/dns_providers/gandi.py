"""Gandi."""

from typing import Annotated, Final

from pydantic import Field

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef
from certwright.resources.text_rule import TextRule

_SHARING_ID: Final = TextRule(
    pattern="[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    message="is not the ID of an organization, such as 00000000-0000-0000-0000-000000000000",
    max_length=36,
)


class Gandi(DnsProvider):
    """Gandi (LiveDNS), with a personal access token."""

    sharing_id: Annotated[str, _SHARING_ID] | None = Field(default=None, alias="sharingID")
    """The organization whose domains are used. If unset, all that the token may see."""
    token_secret_ref: SecretKeyRef
    """The Secret entry that holds a personal access token that may manage technical configurations of the domain."""
