"""dns-01 (RFC 8555 section 8.4): the record, put where the name is delegated to, seen by every server, taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.dns import DnsView, Propagation, Provider, TxtRecord

CHALLENGE_LABEL = "_acme-challenge"


class Dns01Solver:
    """Presents and removes TXT records with one DNS provider.

    Args:
        provider: Changes the zones.
        view: Looks at them.
        follow_cname: Whether a CNAME at ``_acme-challenge`` names the place for the record (delegation).
    """

    def __init__(self, provider: Provider, view: DnsView, *, follow_cname: bool) -> None:
        self._provider = provider
        self._view = view
        self._follow_cname = follow_cname

    async def record_name(self, name: str) -> str:
        """Return where the record that proves control of a name has to stand.

        Args:
            name: The identifier; of a wildcard the name below ``*.`` counts (RFC 8555 section 7.1.3).

        Raises:
            DnsError: The CNAME chain cannot be followed.
        """
        owner = f"{CHALLENGE_LABEL}.{name.removeprefix('*.')}"
        return await self._view.follow_cname(owner) if self._follow_cname else owner

    async def present(self, records: Sequence[TxtRecord]) -> None:
        """Add the records; those that are there already stay. Raises `DnsError`."""
        await self._provider.present(records)

    async def check(self, records: Sequence[TxtRecord]) -> tuple[Propagation, ...]:
        """Ask every authoritative server of each record, once. Raises `DnsError`."""
        return await self._view.check(records)

    async def clean_up(self, records: Sequence[TxtRecord]) -> None:
        """Remove exactly these records; one that is gone already is success. Raises `DnsError`."""
        await self._provider.clean_up(records)
