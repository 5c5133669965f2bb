"""Connections for DNS providers outside of the operator: opened when needed, closed with one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.dns.provider import ProviderContext
from certwright.dns.surroundings import Surroundings

if TYPE_CHECKING:
    from certwright.dns.view import DnsView
    from certwright.http.message import Transport


class Connections:
    """Connections of DNS providers, with the proxies and trust settings of the environment.

    Args:
        transport: Sends the requests to the providers' APIs, and is closed by the caller; None to create one.
    """

    def __init__(self, transport: Transport | None = None) -> None:
        self._given = transport
        self._opened: dict[str | None, Transport] = {}
        self._surroundings = Surroundings()

    def context(self, view: DnsView) -> ProviderContext:
        """Return the context for creating a provider.

        Args:
            view: Finds zones for providers that do not list their own.
        """
        return ProviderContext(
            view.find_zone, self._transport, surroundings=self._surroundings, trusting=self._trusting
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._surroundings.aclose()
        while self._opened:
            _, transport = self._opened.popitem()
            await transport.aclose()

    def _transport(self) -> Transport:
        return self._given or self._trusting(None)

    def _trusting(self, ca_bundle: str | None) -> Transport:
        found = self._opened.get(ca_bundle)
        if found is None:
            from certwright.http.transport import HttpxTransport  # noqa: PLC0415 - not every provider speaks HTTPS

            found = self._opened[ca_bundle] = HttpxTransport(ca_bundle=ca_bundle, trust_env=True)
        return found
