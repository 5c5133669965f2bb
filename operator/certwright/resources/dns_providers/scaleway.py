"""Scaleway."""

from typing import Annotated, Final

from pydantic import Field

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef
from certwright.resources.text_rule import TextRule

_PROJECT: Final = TextRule(
    pattern="[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    message="is not the ID of a Project, such as 00000000-0000-0000-0000-000000000000",
    max_length=36,
)


class Scaleway(DnsProvider):
    """Scaleway Domains and DNS, with the secret key of an API key."""

    secret_key_secret_ref: SecretKeyRef
    """The Secret entry that holds the secret key of an API key with the permission set DomainsDNSFullAccess."""
    project_id: Annotated[str, _PROJECT] | None = Field(default=None, alias="projectID")
    """The ID of the Project whose zones to use. If unset, those of every Project that the API key may see."""
