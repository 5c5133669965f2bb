"""A server of validation certificates for many orders (RFC 8737): solver pods and the operator run it.

It presents the certificate for a server name that it was told of and closes; whoever offers no acme-tls/1 is closed on
as well. The private key of each certificate is made here and is nowhere else.
"""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
from collections import OrderedDict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from certwright.acme import ACME_TLS_1, Identifier, validation_certificate
from certwright.challenges.tls_handshake import shake_hands
from certwright.http.server import BoundedServer, Bounds
from certwright.names import is_address

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from certwright.acme import ValidationCertificate

MAX_CONNECTIONS: Final = 64
"""Each of them takes 60 KiB, and a solver pod has 20 MiB to spare."""
SECONDS: Final = 5.0
"""For a handshake."""
MAX_KEPT: Final = 256
"""Certificates that are kept; one that is asked for again is made again."""


class TlsResponder:
    """Presents validation certificates.

    Args:
        look_up: Returns the identifier and the key authorization for a server name, or None; called for each handshake.
        on_answer: Told of every handshake: the domain or IP address, and whether acme-tls/1 was negotiated.
    """

    def __init__(
        self,
        look_up: Callable[[str], tuple[str, str] | None],
        *,
        on_answer: Callable[[str, bool], None] | None = None,
    ) -> None:
        self._look_up = look_up
        self._on_answer = on_answer or (lambda _name, _negotiated: None)
        self._contexts: OrderedDict[tuple[str, str], ssl.SSLContext] = OrderedDict()
        self._names: WeakKeyDictionary[ssl.SSLObject, str] = WeakKeyDictionary()
        self._front = tls_context()
        self._front.sni_callback = self._choose
        self._server = BoundedServer(self._answer, lambda: Bounds(MAX_CONNECTIONS, SECONDS))

    async def start(self, host: str | None, port: int) -> int:
        """Listen, and return the port.

        Args:
            host: The address; None for all, IPv4 and IPv6.
            port: The port; 0 picks a free one.

        Raises:
            OSError: The address is taken or not ours.
        """
        ignore_undecodable_names()
        return await self._server.start(host, port)

    async def stop(self) -> None:
        """Stop listening, and close all connections."""
        await self._server.stop()

    def _choose(self, connection: ssl.SSLObject, server_name: str | None, _front: ssl.SSLContext) -> int | None:
        found = self._look_up((server_name or "").lower())
        if found is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        context = self._contexts.get(found)
        if context is None:
            context = self._contexts[found] = tls_context(validation_certificate(identifier_of(found[0]), found[1]))
        self._contexts.move_to_end(found)
        while len(self._contexts) > MAX_KEPT:
            self._contexts.popitem(last=False)
        connection.context = context
        self._names[connection] = found[0]
        return None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The handshake is all there is to it (RFC 8737 section 3).
        tls = await shake_hands(reader, writer, self._front)
        self._on_answer(self._names.get(tls, ""), tls.selected_alpn_protocol() == ACME_TLS_1)


@cache
def ignore_undecodable_names() -> None:
    """Have nothing printed about server names that are not ASCII: their handshakes end by themselves.

    Python's ssl module reports them, with a traceback, where nobody can catch it, and anybody may send them.
    """
    report = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        error = unraisable.exc_value
        if not (isinstance(error, UnicodeDecodeError) and unraisable.object == error.object):
            report(unraisable)

    sys.unraisablehook = hook


def identifier_of(name: str) -> Identifier:
    """Return the identifier of a domain or an IP address."""
    return Identifier.ip(name) if is_address(name) else Identifier.dns(name)


def tls_context(certificate: ValidationCertificate | None = None) -> ssl.SSLContext:
    """Return a server's TLS context for acme-tls/1, with a validation certificate or without any."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Whoever offers another protocol is told that there is none (RFC 8737 section 4).
    context.set_alpn_protocols([ACME_TLS_1])
    if certificate is not None:
        _load(context, certificate.certificate_pem + certificate.private_key_pem)
    return context


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """Load a certificate and its key; the ssl module reads from files only, and the key should be in none."""
    if hasattr(os, "memfd_create"):
        # A file in memory without a name: the root file system of a solver pod cannot be written to.
        handle = os.memfd_create("validation")
        try:
            os.write(handle, pem)
            path = f"/proc/self/fd/{handle}"
            if os.access(path, os.R_OK):
                context.load_cert_chain(path)
                return
        finally:
            os.close(handle)
    # One that nobody else can read, gone before anybody connects.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "validation.pem"
        file.touch(mode=0o600)
        file.write_bytes(pem)
        context.load_cert_chain(file)
