"""Certificates: chains, the choice among them, and revocation (RFC 8555 sections 7.4.2 and 7.6)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from certwright.acme import base64url
from certwright.acme.account import AccountClient
from certwright.acme.directory import offered
from certwright.acme.errors import (
    AcmeError,
    InvalidCertificate,
    MalformedResponse,
    NoSuchChain,
    RedirectRefused,
    ResponseTooLarge,
    ServerResponseError,
    TransportError,
)
from certwright.acme.fields import malformed
from certwright.acme.key import AccountKey
from certwright.acme.problem import AlreadyRevoked, ProblemError
from certwright.acme.renewal_info import RenewalInfo, fetch_renewal_info
from certwright.http.link import links_to, parse_links
from certwright.issuing import is_authority, issuers_of
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.acme.key import SigningKey
    from certwright.acme.order import Order
    from certwright.acme.server import AcmeServer
    from certwright.http.message import Response

PEM_CERTIFICATE_CHAIN: Final = "application/pem-certificate-chain"
"""The media type of a chain (section 9.1)."""

MAX_CERTIFICATES: Final = 16
"""The most certificates that a chain may have."""

_LABELS: Final = (b"CERTIFICATE", b"X509 CERTIFICATE")
"""The kinds of block that are certificates; RFC 7468 section 5.1 allows the second to readers."""

_BLOCK = re.compile(rb"-----BEGIN (X509 CERTIFICATE|CERTIFICATE)-----([A-Za-z0-9+/=\s]*)-----END \1-----")

_LABEL = re.compile(rb"-----BEGIN ([^-\r\n]{1,60})-----")

_REST = re.compile(rb"(?<!-)-----(?:BEGIN |END |[BEGIND]{0,5}\s*\Z)")
"""What is left of a block that is damaged or was cut off."""

MAX_CHAIN_BYTES: Final = 256 * 1024
"""The most bytes of a certificate chain that are read."""

_MAX_ALTERNATES: Final = 10


@dataclass(frozen=True)
class CertificateChainPem:
    """A chain that contains only certificates in PEM. The caller checks that it is the right one.

    Attributes:
        pem: The chain, the end-entity certificate first, each certificate in its own block.
        certificates: The same in DER.
        url: The URL it was downloaded from.
        alternate_urls: Other chains for the same certificate, from the `Link` fields with relation
            `alternate`.
    """

    pem: bytes = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    url: str = ""
    alternate_urls: tuple[str, ...] = ()

    @classmethod
    def parse(cls, response: Response, *, alternate_urls: tuple[str, ...] = ()) -> CertificateChainPem:
        """Parse a chain.

        Only blocks of certificates are accepted, because the file ends up where servers read their keys from
        (section 11.4). Text around them, which RFC 7468 section 2 allows, is dropped. Their order is the server's.

        Raises:
            MalformedResponse: The content type is wrong, there is no certificate or too many, a block is of another
                kind, or one is damaged.
        """
        if response.media_type != PEM_CERTIFICATE_CHAIN:
            media_type = printable(response.media_type, 80) or "no content type"
            raise malformed(response, f"the certificate came as {media_type} instead of {PEM_CERTIFICATE_CHAIN}")
        certificates = _certificates(response)
        if not certificates:
            raise malformed(response, "the certificate chain is empty")
        return cls(b"".join(map(_to_pem, certificates)), certificates, response.url, alternate_urls)


def _certificates(response: Response) -> tuple[bytes, ...]:
    foreign = next((label for label in _LABEL.findall(response.body) if label not in _LABELS), None)
    if foreign is not None:
        kind = printable(foreign.decode("ascii", "replace"), 60)
        raise malformed(response, f"the certificate chain contains a block of type {kind}")
    blocks = list(_BLOCK.finditer(response.body))
    if _REST.search(_BLOCK.sub(b"", response.body)):
        raise malformed(response, "a PEM block of the certificate chain is incomplete or damaged")
    if len(blocks) > MAX_CERTIFICATES:
        raise malformed(response, f"the certificate chain has more than {MAX_CERTIFICATES} certificates")
    return tuple(_from_base64(block[2], response) for block in blocks)


def _from_base64(text: bytes, response: Response) -> bytes:
    try:
        der = base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        der = b""
    if not der:
        raise malformed(response, "a certificate of the chain is not base64")
    return der


def _to_pem(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = b"\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return b"-----BEGIN CERTIFICATE-----\n" + lines + b"\n-----END CERTIFICATE-----\n"


def issuer_names(chain: CertificateChainPem) -> tuple[str, ...]:
    """Return the common names of the issuers of a chain's certificates, the leaf's issuer first, the root's last.

    Certificates in another order, and those that do not belong to the chain, do not matter: the leaf is the first
    that may not issue others, where that leads to its issuers. An issuer without a common name is given by its whole
    distinguished name (RFC 4514).

    Raises:
        InvalidCertificate: A certificate of the chain cannot be read.
    """
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain.certificates]
        return tuple(_name(certificate.issuer) for certificate in _path(certificates))
    except (ValueError, x509.InvalidVersion):
        raise InvalidCertificate(f"A certificate of the chain at {chain.url} cannot be read") from None


def _path(certificates: Sequence[x509.Certificate]) -> Sequence[x509.Certificate]:
    leaf = next((certificate for certificate in certificates if not is_authority(certificate)), certificates[0])
    issuers = issuers_of(leaf, certificates)
    return (leaf, *issuers) if issuers else certificates


def leads_to(chain: CertificateChainPem, issuer: str) -> bool:
    """Return whether the last certificate of a chain was issued by an issuer of this common name.

    Raises:
        InvalidCertificate: A certificate of the chain cannot be read.
    """
    return issuer_names(chain)[-1] == issuer


def choose_chain(chains: Sequence[CertificateChainPem], issuer: str) -> CertificateChainPem:
    """Return the first chain that ends at an issuer of this common name, else the first that passes through one.

    Args:
        chains: The default chain first.
        issuer: The common name, such as `ISRG Root X1`.

    Raises:
        NoSuchChain: No chain leads to or passes through this issuer.
        InvalidCertificate: A certificate cannot be read.
    """
    names = [issuer_names(chain) for chain in chains]
    for chain, on_the_way in zip(chains, names, strict=True):
        if on_the_way[-1] == issuer:
            return chain
    for chain, on_the_way in zip(chains, names, strict=True):
        if issuer in on_the_way:
            return chain
    raise NoSuchChain(wanted=issuer, offered=tuple(dict.fromkeys(on_the_way[-1] for on_the_way in names)))


def _name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


class RevocationReason(IntEnum):
    """Why a certificate is revoked (RFC 5280 section 5.3.1).

    Most public CAs take 0, 1, 3, 4, 5 and 9 from subscribers and refuse the rest.
    """

    UNSPECIFIED = 0
    KEY_COMPROMISE = 1
    CA_COMPROMISE = 2
    AFFILIATION_CHANGED = 3
    SUPERSEDED = 4
    CESSATION_OF_OPERATION = 5
    CERTIFICATE_HOLD = 6
    REMOVE_FROM_CRL = 8
    PRIVILEGE_WITHDRAWN = 9
    AA_COMPROMISE = 10


async def revoke(
    server: AcmeServer, certificate_der: bytes, *, key: AccountKey, kid: str | None, reason: RevocationReason | None
) -> bool:
    """Revoke a certificate with an account key, or with its own key if `kid` is None.

    Returns:
        True if it is revoked now, False if it was before.

    Raises:
        NotOffered: The server does not support revocation.
        Unauthorized: The key is neither the certificate's nor that of an account entitled to it.
        BadRevocationReason: The server does not take this reason.
    """
    directory = await server.directory()
    url = offered(directory.revoke_cert, "revokeCert", directory)
    payload: dict[str, Any] = {"certificate": base64url.encode(certificate_der)}
    if reason is not None:
        payload["reason"] = int(reason)
    try:
        # Repeatable: the second time says alreadyRevoked.
        await server.post("revokeCert", url, payload, key=key, kid=kid, repeatable=True)
    except AlreadyRevoked:
        return False
    return True


async def revoke_with_certificate_key(
    server: AcmeServer,
    certificate_der: bytes,
    private_key: SigningKey,
    *,
    reason: RevocationReason | None = RevocationReason.KEY_COMPROMISE,
) -> bool:
    """Revoke a certificate with its own private key. No account is needed: a leaked key can be reported this way.

    Returns:
        True if it is revoked now, False if it was before.

    Raises:
        NotOffered: The server does not support revocation.
        Unauthorized: The key is not the certificate's.
        BadRevocationReason: The server does not take this reason.
    """
    return await revoke(server, certificate_der, key=AccountKey(private_key), kid=None, reason=reason)


class CertificateClient(AccountClient):
    """Adds issued certificates to `AccountClient`."""

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
        return await self._download_chain(url)

    async def _download_chain(self, url: str, *, fresh: bool = True) -> CertificateChainPem:
        return await self._read(
            "certificate",
            url,
            self._chain,
            accept=PEM_CERTIFICATE_CHAIN,
            max_bytes=MAX_CHAIN_BYTES,
            fresh=fresh,
        )

    def _chain(self, response: Response) -> CertificateChainPem:
        links = parse_links(response.headers.get_all("Link"), base=response.url)
        # A link that must not be requested is left out: the default chain is still good.
        alternates = tuple(url for url in links_to(links, "alternate") if self.server.urls.accepts(url))
        return CertificateChainPem.parse(response, alternate_urls=alternates[:_MAX_ALTERNATES])

    async def download_alternates(self, chain: CertificateChainPem) -> tuple[CertificateChainPem, ...]:
        """Fetch the other chains for the same certificate, at most ten of them (section 7.4.2).

        One that the server refuses, or that is no chain, is left out: the default chain is still good.

        Raises:
            TransportError: The server cannot be reached, or is out of order.
        """
        chains, failure = await self._alternates(chain)
        if failure is not None:
            raise failure
        return chains

    async def _alternates(self, chain: CertificateChainPem) -> tuple[tuple[CertificateChainPem, ...], AcmeError | None]:
        """Fetch the other chains; return them, and why one is missing that the server may have later."""
        chains: list[CertificateChainPem] = []
        failure: AcmeError | None = None
        for url in (url for url in chain.alternate_urls if url != chain.url):
            try:
                found = await self._download_chain(url, fresh=False)
                issuer_names(found)
            except (MalformedResponse, RedirectRefused, ResponseTooLarge, InvalidCertificate):
                continue
            except (TransportError, ServerResponseError) as error:
                if isinstance(error, ProblemError) and not error.temporary:
                    continue
                if failure is not None:
                    # Each failure takes its time: the server is out of order.
                    break
                failure = error
                continue
            chains.append(found)
        return tuple(chains), failure

    async def choose_chain(self, chain: CertificateChainPem, issuer: str) -> CertificateChainPem:
        """Return the chain that leads to an issuer: this one or an alternate. Fetch alternates only if needed.

        Args:
            chain: The default chain.
            issuer: The common name of the wanted root, or of another issuer on the way to it; see `leads_to`.

        Raises:
            NoSuchChain: No chain leads to or passes through this issuer; see `offered`.
        """
        if leads_to(chain, issuer):
            return chain
        alternates, failure = await self._alternates(chain)
        try:
            return choose_chain((chain, *alternates), issuer)
        except NoSuchChain:
            if failure is not None:
                raise failure from None
            raise

    async def revoke_certificate(self, certificate_der: bytes, *, reason: RevocationReason | None = None) -> bool:
        """Revoke a certificate with the account key (section 7.6).

        The account must have issued it or, with some CAs, hold authorizations for all of its names. The
        certificate's own key can do it too: see `revoke_with_certificate_key`.

        Args:
            certificate_der: The end-entity certificate.
            reason: The reason, or None to give none.

        Returns:
            True if it is revoked now, False if it was before.

        Raises:
            NotOffered: The server does not support revocation.
            Unauthorized: The account may not.
            BadRevocationReason: The server does not take this reason.
        """
        return await revoke(self.server, certificate_der, key=self.key, kid=await self._known_kid(), reason=reason)

    async def fetch_renewal_info(self, certificate_der: bytes) -> RenewalInfo:
        """Fetch renewal information (RFC 9773); the function `fetch_renewal_info` does so without an account."""
        return await fetch_renewal_info(self.server, certificate_der)
