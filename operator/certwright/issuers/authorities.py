"""Connections to CAs: one for each directory URL and trust setting, shared by every account there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from certwright.acme import AcmeError, AcmeServer, HttpxTransport, Timeouts
from certwright.http.addresses import AddressPolicy
from certwright.http.transport import USER_AGENT
from certwright.issuers.host_places import MAX_REQUESTS, FairTransport, HostPlaces
from certwright.issuers.transports import LateTransport, Transports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from certwright.acme import RequestRecord
    from certwright.http.trust import ClientCertificatePem
    from certwright.resources import AcmeIssuerSpec
    from certwright.runtime.leadership import Leadership


@dataclass(frozen=True)
class Authority:
    """What tells two connections apart.

    Attributes:
        server: The URL of the directory.
        ca_bundle_pem: The certificates to trust, or None for the public CAs.
        skip_tls_verify: Whether any certificate of the CA's server will do.
        client_certificate: For a CA that requires one.
        proxy: The URL of a proxy, with its credentials, or None for those of the environment.
        timeouts: How long one request may take.
    """

    server: str
    ca_bundle_pem: str | None = field(default=None, repr=False)
    skip_tls_verify: bool = False
    client_certificate: ClientCertificatePem | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)

    @classmethod
    def of(cls, spec: AcmeIssuerSpec) -> Authority:
        """Return the CA that an issuer's spec names, whatever the way there."""
        return cls(spec.server, spec.ca_bundle_pem, spec.skip_tls_verify)


def transport_of(
    authority: Authority,
    addresses: AddressPolicy,
    *,
    user_agent: str = USER_AGENT,
    before_send: Callable[[], None] | None = None,
) -> HttpxTransport:
    """Return what sends the requests to a CA. Loading trust anchors takes 30 ms.

    Args:
        authority: The CA, and how to reach it.
        addresses: Where connections may lead.
        user_agent: Sent with every request.
        before_send: Called right before each request is written.

    Raises:
        AcmeError: The CA bundle or the client certificate cannot be loaded.
    """
    return HttpxTransport(
        ca_bundle=authority.ca_bundle_pem,
        verify=not authority.skip_tls_verify,
        user_agent=user_agent,
        max_connections=MAX_REQUESTS,
        # HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE of the pod hold here as they do for other programs.
        trust_env=True,
        before_send=before_send,
        addresses=addresses,
        client_certificate=authority.client_certificate,
        timeout=authority.timeouts,
        proxy=authority.proxy,
        # An issuer's proxy is a tenant's choice as its CA is; the pod's own is not.
        proxy_addresses=addresses,
    )


class Authorities:
    """Makes each connection once: its nonces, directory and TLS session serve all issuers of that CA.

    Args:
        user_agent: Sent with every request (RFC 8555 section 6.1).
        on_request: Told of every HTTP exchange with a CA.
        leadership: Asked right before each request is written.
        addresses: Where connections may lead: tenants write the URLs of CAs into their Issuers.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        on_request: Callable[[RequestRecord], None],
        leadership: Leadership,
        addresses: AddressPolicy | None = None,
    ) -> None:
        self._addresses = addresses or AddressPolicy()
        self._user_agent = user_agent
        self._leadership = leadership
        self._on_request = on_request
        self._servers: dict[Authority, tuple[AcmeServer, LateTransport[Authority]]] = {}
        self._transports: Transports[Authority] = Transports(self._open)
        self._places = HostPlaces()

    async def server(self, authority: Authority) -> AcmeServer:
        """Return the connection to a CA.

        Raises:
            AcmeError: The CA bundle cannot be loaded, the URL is not https.
        """
        async with self._transports.use(authority):  # what is wrong with it is said now
            if authority not in self._servers:
                transport = LateTransport(authority, self._transports)
                try:
                    server = AcmeServer(
                        authority.server,
                        FairTransport(transport, self._places),
                        on_request=self._on_request,
                        # No worker is held by a wait: the key comes back to the queue instead.
                        patience=0,
                    )
                except AcmeError:
                    await transport.aclose()
                    raise
                self._servers[authority] = (server, transport)
            return self._servers[authority][0]

    async def _open(self, authority: Authority) -> HttpxTransport:
        # Loading trust anchors takes 30 ms of CPU: not on the event loop.
        return await asyncio.to_thread(
            transport_of,
            authority,
            self._addresses,
            user_agent=self._user_agent,
            before_send=self._leadership.check,
        )

    async def keep_only(self, used: Iterable[Authority]) -> None:
        """Close the connections that no issuer uses any more."""
        # All are taken out before the first await: from then on others may come and go.
        unused = [self._servers.pop(authority) for authority in set(self._servers) - set(used)]
        for _, transport in unused:
            await transport.aclose()

    async def aclose(self) -> None:
        """Close them all."""
        await self.keep_only(())
