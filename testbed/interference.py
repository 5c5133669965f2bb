"""What the proxy does to a connection other than pass an answer on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from .exchanges import Hang, Hold, Raw, Respond, Stream

if TYPE_CHECKING:
    from .exchanges import Interference

LONGEST_HANG = 600.0


async def interfere(incoming: web.Request, action: Interference) -> web.StreamResponse:
    """Apply an action to the connection of a request.

    Returns:
        What aiohttp is to make of it: the answer, or something it cannot send because the connection is closed.
    """
    if isinstance(action, Respond):
        return web.Response(status=action.status, body=action.body, headers=action.headers)
    if isinstance(action, Stream):
        return await _stream(incoming, action)
    if isinstance(action, Hang | Hold):
        await asyncio.sleep(LONGEST_HANG)
    if isinstance(action, Raw):
        await _write_raw(incoming, action)
    else:
        _abort(incoming)
    return web.Response(status=502)


async def _stream(incoming: web.Request, action: Stream) -> web.StreamResponse:
    outgoing = web.StreamResponse(status=action.status, headers=action.headers)
    if action.length is None:
        outgoing.enable_chunked_encoding()
    else:
        outgoing.content_length = action.length
    await outgoing.prepare(incoming)
    try:
        for piece in action.pieces():
            # Even a pause of 0 s lets the loop notice that the connection has ended.
            await asyncio.sleep(action.pause)
            await outgoing.write(piece)
    except ConnectionError:
        # The client has gone away.
        return outgoing
    if action.ending == "hang":
        await asyncio.sleep(LONGEST_HANG)
    if action.ending == "end":
        await outgoing.write_eof()
    else:
        # What was written has to arrive before the connection breaks.
        await asyncio.sleep(0.05)
        _abort(incoming)
    return outgoing


async def _write_raw(incoming: web.Request, action: Raw) -> None:
    transport = incoming.transport
    if transport is None:
        return
    for piece in action.pieces():
        await asyncio.sleep(action.pause)
        transport.write(piece)
    transport.close()


def _abort(incoming: web.Request) -> None:
    if incoming.transport is not None:
        incoming.transport.abort()
