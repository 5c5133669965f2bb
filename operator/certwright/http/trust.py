"""The trust of a transport: CA bundles, client certificates and shared TLS contexts."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import tempfile
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from certwright.http.errors import InvalidTrustBundle, UntrustedServer
from certwright.key_file import UnreadableKey, read_private_key
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

# OpenSSL's X509_V_ERR codes for a chain without a trusted root.
_NO_ANCHOR: Final = range(18, 22)

_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----", re.ASCII)

_TRUST_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
# Where Python's default contexts log session secrets, for debugging.
_KEY_LOG_VARIABLE: Final = "SSLKEYLOGFILE"

_FINITE_FIELDS: Final = ("DHE-", "ADH-")

_MAX_BUNDLE_BYTES: Final = 512 * 1024
_MAX_ANCHORS: Final = 300
"""The public CAs of an operating system are about 150."""

_MAX_RECENT: Final = 4

# All contexts in use; and the last few, for programs that create one transport after another.
_CONTEXTS: Final[WeakValueDictionary[Hashable, ssl.SSLContext]] = WeakValueDictionary()
_RECENT: Final[deque[ssl.SSLContext]] = deque(maxlen=_MAX_RECENT)


@dataclass(frozen=True)
class ClientCertificate:
    """A TLS client certificate, for CAs behind mutual TLS.

    Attributes:
        certificate_file: The certificate and its chain in PEM.
        private_key_file: Its key in PEM.
        password: The password of the key, if it is encrypted.
    """

    certificate_file: Path
    private_key_file: Path
    password: str | None = field(default=None, repr=False)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Load this certificate into a context.

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


@dataclass(frozen=True)
class ClientCertificatePem:
    """A TLS client certificate that is in memory, and never in a file that others could read.

    Attributes:
        certificate: The certificate and its chain in PEM.
        private_key: Its key in PEM, not encrypted.
    """

    certificate: bytes
    private_key: bytes = field(repr=False)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Load this certificate into a context.

        Raises:
            InvalidTrustBundle: They cannot be read or do not belong together. The message quotes neither.
        """
        # OpenSSL reads files only. (A key that is encrypted would have it ask on the terminal.)
        try:
            read_private_key(self.private_key)
        except UnreadableKey as error:
            raise InvalidTrustBundle(f"The private key of the client certificate {error}") from None
        with _nameless_file(self.certificate + b"\n" + self.private_key) as path:
            try:
                context.load_cert_chain(path)
            except (OSError, ValueError):
                raise InvalidTrustBundle(
                    "The client certificate cannot be read, or its private key is another one's"
                ) from None


@contextmanager
def _nameless_file(content: bytes) -> Iterator[str]:
    """Have content in a file that only this process can open, for as long as it is needed."""
    with tempfile.NamedTemporaryFile() if not hasattr(os, "memfd_create") else _memory_file() as file:
        file.write(content)
        file.flush()
        yield file.name if isinstance(file.name, str) else f"/proc/self/fd/{file.fileno()}"


def _memory_file() -> IO[bytes]:
    return os.fdopen(os.memfd_create("client-certificate", os.MFD_CLOEXEC), "wb")


@dataclass(frozen=True)
class Trust:
    """Whom a transport trusts. Transports with equal trust share one TLS context, which costs 30 ms and nearly 1 MB.

    Attributes:
        ca_bundle: The certificates in PEM that are trusted, or None: the public CAs.
        verify: Whether to verify the server's certificate.
        trust_env: Whether `SSL_CERT_FILE` or `SSL_CERT_DIR` in the environment may replace the public CAs.
        http2: Whether to offer HTTP/2, which is a setting of the context.
        client_certificate: The certificate for servers that request one. A context with one is never shared.
    """

    ca_bundle: str | None = field(default=None, repr=False)
    verify: bool = True
    trust_env: bool = False
    http2: bool = False
    client_certificate: ClientCertificate | ClientCertificatePem | None = None

    def context(self, public_trust: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """Return the TLS context for this trust, a new one only if there is none yet or the files behind it changed.

        Args:
            public_trust: Create a context that trusts the public CAs, or those of the environment.

        Raises:
            InvalidTrustBundle: The bundle or the client certificate cannot be loaded.
        """
        if self.client_certificate is not None:
            context = self._make(public_trust)
            self.client_certificate.load_into(context)
            return context
        key = self._key()
        shared = _CONTEXTS.get(key)
        if shared is None:
            shared = _CONTEXTS[key] = self._make(public_trust)
        if shared not in _RECENT:
            _RECENT.append(shared)
        return shared

    def _make(self, public_trust: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        context = public_trust() if self.ca_bundle is None else private_trust(self.ca_bundle)
        _without_finite_fields(context)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _key(self) -> Hashable:
        """Return everything a context depends on: the settings, and the current files of the environment."""
        if self.ca_bundle is not None:
            anchors: Hashable = hashlib.sha256(self.ca_bundle.encode()).digest()
        else:
            anchors = tuple(map(_file_named_by, _TRUST_VARIABLES)) if self.trust_env else None
        return anchors, self.verify, self.http2, os.environ.get(_KEY_LOG_VARIABLE)


def _without_finite_fields(context: ssl.SSLContext) -> None:
    """Offer no Diffie-Hellman over finite fields: the server chooses its numbers, and how long both sides compute.

    That is a second for the longest that OpenSSL takes, on the event loop. TLS 1.3 has groups of its own.
    """
    offered = [cipher for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"]
    kept = [cipher["name"] for cipher in offered if not cipher["name"].startswith(_FINITE_FIELDS)]
    if kept and len(kept) < len(offered):
        context.set_ciphers(":".join(kept))


def _file_named_by(variable: str) -> Hashable:
    """Return path, inode, size and modification time of the file in an environment variable, or None."""
    path = os.environ.get(variable)
    if not path:
        return None
    try:
        seen = Path(path).stat()
    except OSError:
        return path
    return path, seen.st_ino, seen.st_size, seen.st_mtime_ns


def private_trust(ca_bundle: str) -> ssl.SSLContext:
    """Return a context that trusts only these certificates in PEM.

    Raises:
        InvalidTrustBundle: The bundle contains no certificate in PEM, an invalid one, more than 300 of them, or more
            than 512 KiB.
    """
    if len(ca_bundle) > _MAX_BUNDLE_BYTES:
        raise InvalidTrustBundle(f"The CA bundle is {len(ca_bundle)} bytes long; the limit is {_MAX_BUNDLE_BYTES}")
    # Blocks only: bundles contain comments, in any script. Never none, for the system's trust would apply then.
    certificates = _CERTIFICATE.findall(ca_bundle)
    if not certificates:
        raise InvalidTrustBundle("The CA bundle contains no PEM certificates")
    if len(certificates) > _MAX_ANCHORS:
        raise InvalidTrustBundle(f"The CA bundle has {len(certificates)} certificates; the limit is {_MAX_ANCHORS}")
    try:
        context = ssl.create_default_context(cadata="\n".join(certificates))
    except (ssl.SSLError, ValueError):
        raise InvalidTrustBundle("A certificate of the CA bundle cannot be read") from None
    # The same for every Python: an intermediate in the bundle is an anchor, and private CAs need not follow RFC 5280
    # to the letter, as few of them do.
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT
    return context


def untrusted_server(error: ssl.SSLCertVerificationError, host: str) -> UntrustedServer:
    """Return the error for a server whose certificate did not verify."""
    reason = printable(error.verify_message, 200).rstrip(".")
    hint = ". If this is a private CA, set its root as the CA bundle" if error.verify_code in _NO_ANCHOR else ""
    return UntrustedServer(f"The certificate of {host} is not trusted: {reason}{hint}", host=host, reason=reason)


_ALERTS: Final = {
    "CERTIFICATE_REQUIRED": "it requires a client certificate",
    "UNKNOWN_CA": "it does not trust the CA of the client certificate",
    "CERTIFICATE_EXPIRED": "it says that the client certificate has expired",
    "CERTIFICATE_REVOKED": "it says that the client certificate is revoked",
    "BAD_CERTIFICATE": "it does not accept the client certificate",
    "UNSUPPORTED_CERTIFICATE": "it does not accept the client certificate",
    "CERTIFICATE_UNKNOWN": "it does not accept the client certificate",
    "ACCESS_DENIED": "it does not accept the client certificate",
    "HANDSHAKE_FAILURE": "it refuses the TLS handshake, perhaps because it requires a client certificate",
    "PROTOCOL_VERSION": "it has no version of TLS in common with this client",
}
"""What alerts of a server mean (RFC 8446 section 6.2), by the end of OpenSSL's name for it."""
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})


def tls_failure(error: ssl.SSLError) -> str:
    """Say in plain words why TLS failed, the server being "it"; not for what is wrong with its certificate."""
    reason = error.reason or ""
    if "_ALERT_" in reason:
        alert = reason.rpartition("_ALERT_")[2]
        return _ALERTS.get(alert, f"it ended the TLS connection ({printable(alert.lower().replace('_', ' '), 60)})")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or reason == "UNEXPECTED_EOF_WHILE_READING":
        return "it closed the connection in the middle of TLS"
    if reason in _NO_TLS:
        return "it does not speak TLS at this port"
    return printable(str(error), 200) or type(error).__name__
