"""What every DNS provider can do for a challenge, and what it is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from certwright.dns.records import TxtRecord
    from certwright.dns.zone import Zone
    from certwright.http.message import Transport


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


@dataclass(frozen=True)
class ProviderContext:
    """What a provider is given besides its configuration.

    Attributes:
        find_zone: Finds the zone that holds a name, as the world sees it: `DnsView.find_zone`.
        transport: Returns the transport for HTTPS that all providers share. Its owner closes it, so a provider holds
            no connection of its own and may be dropped at any time.
        before_send: Called right before each message is sent; what it raises keeps it from being sent. The transport
            calls it by itself.
    """

    find_zone: Callable[[str], Awaitable[Zone]]
    transport: Callable[[], Transport]
    before_send: Callable[[], None] | None = None


class ProviderConfig(Protocol):
    """The configuration of one kind of provider: a frozen dataclass, so that equal ones can share a provider.

    A field named `api_token` that holds a `Credential` is what an issuer's `apiTokenSecretRef` names; every other field
    has the name that it has in the issuer.
    """

    @property
    def destination(self) -> str:
        """Where records are put: two configurations with the same destination change the same records."""
        ...

    def build(self, context: ProviderContext) -> Provider:
        """Make the provider; nothing is asked yet.

        Raises:
            DnsError: Some value cannot be used; the message says which and why, and never shows a credential.
        """
        ...
