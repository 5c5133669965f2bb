"""What one account does about its certificates: fetch, choose a chain, revoke, ask when to renew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from certwright.acme.account_client import AccountClient
from certwright.acme.certificate import PEM_CERTIFICATE_CHAIN, CertificateChainPem
from certwright.acme.chain_choice import choose_chain, leads_to
from certwright.acme.directory import offered
from certwright.acme.link import links_to, parse_links
from certwright.acme.renewal_info import RenewalInfo, certificate_identifier
from certwright.acme.revocation import RevocationReason, revoke
from certwright.http.retry_after import retry_after_seconds

if TYPE_CHECKING:
    from certwright.acme.order import Order
    from certwright.acme.server import AcmeServer

#: The most bytes of a certificate chain that are read.
MAX_CHAIN_BYTES: Final = 256 * 1024

_MAX_ALTERNATES: Final = 10


class CertificateClient(AccountClient):
    """What `AccountClient` does, and everything about issued certificates."""

    async def download_certificate(self, order: Order) -> CertificateChainPem:
        """Fetch the chain of a valid order (section 7.4.2).

        Raises:
            MalformedResponse: The answer is anything but certificates in PEM.
            ValueError: The order is not `valid`.
        """
        if order.certificate_url is None:
            raise ValueError(f"an order that is {order.status} has no certificate yet")
        return await self.download_chain(order.certificate_url)

    async def download_chain(self, url: str) -> CertificateChainPem:
        """Fetch one chain by its URL: an order's `certificate_url`, or one of the `alternate_urls` of another chain.

        Raises:
            MalformedResponse: The answer is anything but certificates in PEM.
        """
        response = await self._post(
            "certificate",
            url,
            None,
            accept=PEM_CERTIFICATE_CHAIN,
            max_bytes=MAX_CHAIN_BYTES,
        )
        links = parse_links(response.headers.get_all("Link"), base=response.url)
        # Alternatives nobody has asked for yet: one that must not be asked is left out, and spoils nothing.
        alternates = tuple(url for url in links_to(links, "alternate") if self.server.urls.accepts(url))
        return CertificateChainPem.parse(response, alternate_urls=alternates[:_MAX_ALTERNATES])

    async def download_alternates(self, chain: CertificateChainPem) -> tuple[CertificateChainPem, ...]:
        """Fetch the other chains for the same certificate, at most ten of them (section 7.4.2)."""
        others = (url for url in chain.alternate_urls if url != chain.url)
        return tuple([await self.download_chain(url) for url in others])

    async def choose_chain(self, chain: CertificateChainPem, issuer: str) -> CertificateChainPem:
        """Return the chain that leads to an issuer: this one or an alternate; no more are fetched than needed.

        Args:
            chain: The default chain.
            issuer: The common name of the wanted root, or of another issuer on the way to it; see `leads_to`.

        Raises:
            NoSuchChain: There is none; see `offered`.
        """
        if leads_to(chain, issuer):
            return chain
        return choose_chain((chain, *await self.download_alternates(chain)), issuer)

    async def revoke_certificate(self, certificate_der: bytes, *, reason: RevocationReason | None = None) -> bool:
        """Revoke a certificate with the account key (section 7.6).

        The account must have issued it or, with some CAs, hold authorizations for all of its names. The
        certificate's own key can do it too: see `revoke_with_certificate_key`.

        Args:
            certificate_der: The end-entity certificate.
            reason: Why; None says nothing.

        Returns:
            True if it is revoked now, False if it was before.

        Raises:
            NotOffered: The server revokes nothing.
            Unauthorized: The account may not.
            BadRevocationReason: The server does not take this reason.
        """
        return await revoke(self.server, certificate_der, key=self.key, kid=self._kid(), reason=reason)

    async def fetch_renewal_info(self, certificate_der: bytes) -> RenewalInfo:
        """Ask when to renew a certificate (RFC 9773); see `fetch_renewal_info`, which needs no account."""
        return await fetch_renewal_info(self.server, certificate_der)


async def fetch_renewal_info(server: AcmeServer, certificate_der: bytes) -> RenewalInfo:
    """Ask when to renew a certificate (RFC 9773 section 4.1); no account is needed.

    After an error that is likely to pass, ask again after `RETRY_AFTER_ERROR`; until then the last answer holds.

    Args:
        server: The CA that issued it.
        certificate_der: The end-entity certificate.

    Raises:
        NotOffered: The server has no renewal information: renew by the certificate's lifetime.
        InvalidCertificate: The certificate has no authority key identifier.
        MalformedResponse: The answer is none, or its window ends before it begins.
        ProblemError: The server does not know the certificate.
    """
    directory = await server.directory()
    base = offered(directory.renewal_info, "renewalInfo", directory)
    response = await server.get("renewalInfo", f"{base.rstrip('/')}/{certificate_identifier(certificate_der)}")
    wait = retry_after_seconds(response.headers, now=server.clock.now())
    return RenewalInfo.parse(response, server.urls, retry_after=wait)
