"""What every DNS provider can do for a challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.dns.records import TxtRecord


class Provider(Protocol):
    """Puts TXT records into zones and takes them out again. Both are idempotent."""

    async def present(self, records: Sequence[TxtRecord]) -> None:
        """Add the records; other values at the same names stay, and a record that is there already is fine.

        Raises:
            DnsError: Some or all could not be added; its `names` says which. Other zones were done.
        """
        ...

    async def clean_up(self, records: Sequence[TxtRecord]) -> None:
        """Remove exactly these values; other values at the same names stay, and a missing one is fine.

        Raises:
            DnsError: Some or all could not be removed; its `names` says which. Other zones were done.
        """
        ...
