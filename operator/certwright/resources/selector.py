"""Which domains a solver is for."""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

from certwright.resources.base import Model
from certwright.resources.labels import LABELS
from certwright.resources.names import Distinct, DnsName, ZoneName
from certwright.resources.rules import ATOMIC_LIST

MAX_SELECTED: Final = 48
"""Entries of a list of names in a solver: comparing more with each other costs more than the API server allows."""


class Selector(Model):
    """Selects the domains for a solver: those that match every field that is set."""

    dns_names: Annotated[
        tuple[DnsName, ...], Field(max_length=MAX_SELECTED, json_schema_extra=ATOMIC_LIST), Distinct
    ] = ()
    """
    Exact domain names; a wildcard matches only itself. An exact name takes precedence over a zone. A solver with names
    or zones does not validate IP addresses.
    """
    dns_zones: Annotated[
        tuple[ZoneName, ...], Field(max_length=MAX_SELECTED, json_schema_extra=ATOMIC_LIST), Distinct
    ] = ()
    """All domains in these zones, including subdomains and wildcards. The longest matching zone wins."""
    match_labels: Annotated[Mapping[str, str], LABELS] = {}
    """Labels that the Certificate must have."""
