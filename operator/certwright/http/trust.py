"""Whom a transport trusts, and how it shows who it is itself."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from certwright.http.errors import InvalidTrustBundle, UntrustedServer
from certwright.text import printable

if TYPE_CHECKING:
    from pathlib import Path

# OpenSSL's X509_V_ERR codes for a chain that ends at nobody who is trusted.
_NO_ANCHOR: Final = range(18, 22)

_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----", re.ASCII)


@dataclass(frozen=True)
class ClientCertificate:
    """A TLS client certificate, for CAs behind mutual TLS.

    Attributes:
        certificate_file: The certificate and its chain in PEM.
        private_key_file: Its key in PEM.
        password: Of the key, if it is encrypted.
    """

    certificate_file: Path
    private_key_file: Path
    password: str | None = field(default=None, repr=False)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Make connections of the context show this certificate.

        Raises:
            InvalidTrustBundle: The files cannot be read or do not belong together.
        """
        try:
            context.load_cert_chain(self.certificate_file, self.private_key_file, self.password)
        except (OSError, ValueError) as error:
            raise InvalidTrustBundle(
                f"The client certificate {self.certificate_file} and its key cannot be loaded:"
                f" {printable(str(error), 200)}"
            ) from None


def private_trust(ca_bundle: str) -> ssl.SSLContext:
    """Return a context that trusts what these certificates in PEM vouch for, and nothing else.

    Raises:
        InvalidTrustBundle: There are no certificates in PEM in it.
    """
    # Blocks only: bundles carry comments, in any alphabet. And never none, for then the system's trust would apply.
    certificates = _CERTIFICATE.findall(ca_bundle)
    if not certificates:
        raise InvalidTrustBundle("The CA bundle holds no certificates in PEM")
    try:
        context = ssl.create_default_context(cadata="\n".join(certificates))
    except (ssl.SSLError, ValueError):
        raise InvalidTrustBundle("A certificate of the CA bundle cannot be read") from None
    # The same for every Python: an intermediate in the bundle is an anchor, and private CAs are not held to the
    # letter of RFC 5280, which few of them follow.
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT
    return context


def untrusted_server(error: ssl.SSLCertVerificationError, host: str) -> UntrustedServer:
    """Make the error for a server whose certificate did not verify."""
    reason = printable(error.verify_message, 200).rstrip(".")
    hint = ". If this is a private CA, give its root as CA bundle" if error.verify_code in _NO_ANCHOR else ""
    return UntrustedServer(f"The certificate of {host} is not trusted: {reason}{hint}", host=host, reason=reason)
