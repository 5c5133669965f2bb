"""tls-alpn-01 with a built-in server, for hosts where nothing listens on port 443 (RFC 8737)."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from certwright.acme import tls_alpn01_server_name, validation_certificate
from certwright.challenges.listener import Listener
from certwright.challenges.tls_handshake import shake_hands
from certwright.challenges.tls_responder import ignore_undecodable_names, tls_context

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from certwright.challenges.proof import Proof


class TlsAlpn01Server:
    """Presents validation certificates to the CA; no application data is exchanged.

    Args:
        host: The address to listen on; None for all.
        port: The port to listen on. The CA connects to port 443 (RFC 8737 section 3), so another one requires a
            forwarding.
    """

    challenge_type: Final = "tls-alpn-01"

    def __init__(self, *, host: str | None = None, port: int = 443) -> None:
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._front = tls_context()
        self._front.sni_callback = self._choose
        self._listener = Listener(self._answer, host=host, port=port)

    @property
    def port(self) -> int:
        """The port that it listens on; for port 0, this is known only while it listens."""
        return self._listener.port

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Start to listen, and present a certificate for each of these names.

        Raises:
            CannotListen: The port is in use or requires privileges.
        """
        fresh = [validation_certificate(proof.identifier, proof.key_authorization) for proof in proofs]
        ignore_undecodable_names()
        added = len({certificate.server_name for certificate in fresh} - self._contexts.keys())
        self._contexts |= {certificate.server_name: tls_context(certificate) for certificate in fresh}
        await self._listener.hold(added)

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """Return immediately: certificates are visible as soon as the server listens."""

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """Drop these certificates, and stop listening after the last."""
        names = [tls_alpn01_server_name(proof.identifier) for proof in proofs]
        gone = [name for name in names if self._contexts.pop(name, None) is not None]
        await self._listener.let_go(len(gone))

    def _choose(self, connection: ssl.SSLObject, server_name: str | None, _front: ssl.SSLContext) -> int | None:
        context = self._contexts.get((server_name or "").lower())
        if context is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = context
        return None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The handshake is all there is to it (RFC 8737 section 3).
        await shake_hands(reader, writer, self._front)
