"""The proof: an HTTPS request through the ingress controller, verified against nothing but the test CA's root."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Final

from cryptography import x509

SECONDS: Final = 20.0


@dataclass(frozen=True)
class Proof:
    """What came back.

    Attributes:
        status: HTTP status.
        body: The page.
        protocol: TLS version.
        leaf: The certificate that was served and verified.
    """

    status: int
    body: str
    protocol: str
    leaf: x509.Certificate


def ask_ingress(host: str, port: int, root_pem: bytes) -> Proof:
    """Ask for ``https://host/`` at a port of this machine; retry until the ingress controller has loaded the Secret.

    Args:
        host: Name to ask for: in SNI, in the Host header, and to be verified.
        port: Where the ingress controller listens on loopback.
        root_pem: The only root that is trusted.

    Raises:
        ssl.SSLCertVerificationError: What is served does not verify, even after 20 s.
        OSError: Nobody answers.
    """
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return _ask(host, port, root_pem)
        except (OSError, LookupError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _ask(host: str, port: int, root_pem: bytes) -> Proof:
    context = ssl.create_default_context(cadata=root_pem.decode())
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5.0) as raw,
        context.wrap_socket(raw, server_hostname=host) as tls,
    ):
        leaf = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
        protocol = tls.version() or "?"
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(tls)
        answer.begin()
        body = answer.read(4096).decode(errors="replace").strip()
    if answer.status != http.HTTPStatus.OK:
        raise LookupError(f"the ingress controller answered HTTP {answer.status}: {body}")
    return Proof(answer.status, body, protocol, leaf)


def describe(certificate: x509.Certificate) -> str:
    """Return ``names <- issuer, validity`` of a certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        subject = ", ".join(names.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        subject = certificate.subject.rfc4514_string()
    return (
        f"{subject}  <-  {certificate.issuer.rfc4514_string()}"
        f"  ({certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d})"
    )
