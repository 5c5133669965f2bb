"""docs/cert-manager.md says of fields what the CRDs say: there, not there, new."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from certwright.resources import Dns01
from certwright.resources.dns_providers.base import provider_fields
from resource_fields import fields_of

PAGE: Final = (Path(__file__).parents[2] / "docs" / "cert-manager.md").read_text()
CERTIFICATE: Final = {field.path for field in fields_of("Certificate")}
ISSUER: Final = {field.path for field in fields_of("Issuer")}
CLUSTER_ISSUER: Final = {field.path for field in fields_of("ClusterIssuer")}
CERT_MANAGERS: Final = frozenset(
    {"acmeDNS", "akamai", "azureDNS", "cloudDNS", "cloudflare", "digitalocean", "rfc2136", "route53", "webhook"}
)
"""The DNS providers of cert-manager."""
KINDS: Final = (("Certificate", CERTIFICATE), ("ClusterIssuer", CLUSTER_ISSUER))


def paths(table: str) -> list[tuple[bool, str]]:
    """The fields of a table: whether there is such a one, and its path."""
    text = PAGE.partition(f"<!-- fields that are {table} -->")[2].partition("\n\n")[0]
    found = []
    for where, fields in re.findall(r"^\| (.*?`spec.*?) \| (.*) \|$", text, flags=re.MULTILINE):
        base = re.findall(r"`(spec[^`]*)`", where)[0]
        known = next((fields for kind, fields in KINDS if where.startswith(kind)), ISSUER)
        for field in re.findall(r"`([\w.]+)`", fields):
            path = f"{base}.{field}"
            found.append((path in known, path))
    return found


@pytest.mark.parametrize(("table", "there", "least"), [("there", True, 30), ("not there", False, 6), ("new", True, 8)])
def test_the_fields_of_each_table_are_there_or_not(table: str, there: bool, least: int) -> None:  # noqa: FBT001 - a case
    found = paths(table)
    assert len(found) >= least
    assert [path for exists, path in found if exists is not there] == []


def test_every_field_of_ours_is_in_one_of_the_tables() -> None:
    told = {path for table in ("there", "new") for _, path in paths(table)}
    # Other providers are told all together: the list of them has a page for each.
    assert "the [DNS providers](providers/index.md) that are not in the table above" in PAGE
    told |= {f"spec.acme.solvers[].dns01.{name}" for name in provider_fields(Dns01) if name not in CERT_MANAGERS}
    # A field that holds others is told by itself or by what is in it, and what is in a told one goes without saying.
    untold = [
        path
        for path in sorted(CERTIFICATE | ISSUER | CLUSTER_ISSUER)
        if path.startswith("spec")
        and not any(path == one or path.startswith((f"{one}.", f"{one}[]")) or one.startswith(path) for one in told)
    ]
    assert untold == []
