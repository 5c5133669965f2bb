"""A TLS handshake, and nothing after it, on a plain connection.

asyncio's own TLS sets memory aside for the data of each connection, a quarter of a MiB, before a byte has come, and a
server of its counts no connection before its handshake is done: a few hundred silent peers would be the end of a small
process.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

MAX_BYTES: Final = 64 * 1024
"""Of what the other side sends until the handshake is done: 2 KiB of a client with post-quantum keys, 10 of a chain."""
READ_BYTES: Final = 4096


async def shake_hands(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext, *, asked_for: str | None = None
) -> ssl.SSLObject:
    """Perform a handshake, and say that nothing follows.

    Args:
        reader: Of the plain connection.
        writer: The same; closed by the caller, who also limits the time.
        context: Of the server, or the client.
        asked_for: The server name that a client asks for; None for a server.

    Returns:
        What was negotiated.

    Raises:
        ssl.SSLError: The handshake failed; the other side was sent the alert.
        ConnectionError: The other side is gone, or has sent too much.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    received = 0
    if asked_for is None:
        # Before there is anything of OpenSSL's: clients that send nothing cost nothing.
        received = incoming.write(await reader.read(READ_BYTES))
    tls = context.wrap_bio(incoming, outgoing, server_side=asked_for is None, server_hostname=asked_for)
    try:
        while not _is_done(tls):
            await _send(outgoing, writer)
            part = await reader.read(READ_BYTES)
            received += len(part)
            if not part or received > MAX_BYTES:
                raise ConnectionAbortedError("the other side did not complete the TLS handshake")
            incoming.write(part)
        with contextlib.suppress(ssl.SSLError):  # the other side need not say goodbye
            tls.unwrap()
    finally:
        await _send(outgoing, writer)
    return tls


def _is_done(tls: ssl.SSLObject) -> bool:
    """Go on with a handshake as far as what has come allows; return whether it is complete. Raises `ssl.SSLError`."""
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


async def _send(outgoing: ssl.MemoryBIO, writer: asyncio.StreamWriter) -> None:
    if outgoing.pending:
        writer.write(outgoing.read())
        await writer.drain()
