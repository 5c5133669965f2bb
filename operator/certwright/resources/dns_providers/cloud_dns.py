"""Google Cloud DNS."""

from typing import Annotated

from pydantic import Field

from certwright.resources.dns_providers.base import DnsProvider
from certwright.resources.references import SecretKeyRef

PROJECT = "^(?:[a-z0-9.-]{1,63}:)?[a-z0-9][a-z0-9-]{0,62}$"
"""The ID or the number of a project; that of an old one may have a domain in front."""
MANAGED_ZONE = "^[a-z0-9][a-z0-9-]{0,62}$"
"""The name or the ID of a managed zone."""


class CloudDNS(DnsProvider):
    """Google Cloud DNS, with a service account key, or with the identity of the operator's pod or node."""

    project: Annotated[str, Field(min_length=1, max_length=127, pattern=PROJECT)]
    """The ID of the Google Cloud project that has the zones."""
    service_account_secret_ref: SecretKeyRef | None = None
    """
    The Secret entry that holds the JSON file of a service account key. If unset, the identity of the operator's pod or
    node is used, if the operator permits this for the issuer.
    """
    hosted_zone_name: Annotated[str, Field(min_length=1, max_length=63, pattern=MANAGED_ZONE)] | None = None
    """
    The name of the managed zone in which to create all records. If unset, the project's public zone with the longest
    matching name.
    """
