"""The certificate chain as the server sends it (RFC 8555 sections 7.4.2 and 9.1)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from certwright.acme.fields import malformed
from certwright.text import printable

if TYPE_CHECKING:
    from certwright.http.message import Response

#: The media type of a chain (section 9.1).
PEM_CERTIFICATE_CHAIN: Final = "application/pem-certificate-chain"

#: More certificates than this are no chain.
MAX_CERTIFICATES: Final = 16

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 #]{1,60})-----\s([A-Za-z0-9+/=\s]*?)-----END \1-----\s*")
_LABEL = re.compile(rb"-----BEGIN ([A-Z0-9 #]{1,60})-----")


@dataclass(frozen=True)
class CertificateChainPem:
    """A chain that is PEM and nothing but certificates. That it is the right one is for the caller to check.

    Attributes:
        pem: The chain, the end-entity certificate first, each certificate in its own block.
        certificates: The same in DER.
        url: Where it came from.
        alternate_urls: Other chains for the same certificate, from the `Link` fields with relation
            `alternate`.
    """

    pem: bytes = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    url: str = ""
    alternate_urls: tuple[str, ...] = ()

    @classmethod
    def parse(cls, response: Response, *, alternate_urls: tuple[str, ...] = ()) -> CertificateChainPem:
        """Read a chain.

        Only blocks of certificates are accepted, because the file ends up where servers read their keys from
        (section 11.4).

        Raises:
            MalformedResponse: The content type is wrong, or there is anything else than certificates.
        """
        if response.media_type != PEM_CERTIFICATE_CHAIN:
            media_type = printable(response.media_type, 80) or "no content type"
            raise malformed(response, f"the certificate came as {media_type} instead of {PEM_CERTIFICATE_CHAIN}")
        certificates = _certificates(response)
        if not certificates:
            raise malformed(response, "the certificate chain is empty")
        if len(certificates) > MAX_CERTIFICATES:
            raise malformed(response, f"the certificate chain has more than {MAX_CERTIFICATES} certificates")
        return cls(b"".join(map(_to_pem, certificates)), certificates, response.url, alternate_urls)


def _certificates(response: Response) -> tuple[bytes, ...]:
    foreign = next((label for label in _LABEL.findall(response.body) if label != b"CERTIFICATE"), None)
    if foreign is not None:
        raise malformed(response, f"the certificate chain holds a block of type {foreign.decode('ascii')}")
    certificates = []
    position = len(response.body) - len(response.body.lstrip())
    while position < len(response.body):
        match = _BLOCK.match(response.body, position)
        if match is None:
            raise malformed(response, "the certificate chain has something else than PEM blocks of certificates")
        certificates.append(_from_base64(match[2], response))
        position = match.end()
    return tuple(certificates)


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
