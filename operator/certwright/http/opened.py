"""Transports of programs that work for one user: one for each bundle of CAs, opened when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from certwright.http.message import Transport


class OpenedTransports:
    """Opens transports with the proxies and, unless told otherwise, the trust of the environment.

    Args:
        transport: The one with the usual trust, if there is one already: whoever gives it closes it.
    """

    def __init__(self, transport: Transport | None = None) -> None:
        self._given = transport
        self._opened: dict[str | None, Transport] = {}

    def usual(self) -> Transport:
        """Return the one that trusts the public CAs, or those that the environment names."""
        return self._given or self.trusting(None)

    def trusting(self, ca_bundle: str | None) -> Transport:
        """Return one that trusts certificates in PEM in place of the public CAs.

        Raises:
            InvalidTrustBundle: They cannot be loaded.
        """
        if ca_bundle not in self._opened:
            from certwright.http.transport import HttpxTransport  # noqa: PLC0415 - not every provider speaks HTTPS

            self._opened[ca_bundle] = HttpxTransport(trust_env=True, ca_bundle=ca_bundle)
        return self._opened[ca_bundle]

    async def aclose(self) -> None:
        """Close all that were opened here."""
        while self._opened:
            await self._opened.popitem()[1].aclose()
