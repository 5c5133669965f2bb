"""DNS servers in the test's own loop."""

from __future__ import annotations

import errno
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.fakes.dns import FakeNameserver, Zones, reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fakes.dns import Handler, Reply, Start


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts servers: `await start(handler)`, with `port=` and `address=` for several on one port."""
    async with AsyncExitStack() as stack:

        async def run(
            handler: Handler, *, address: str = "127.0.0.1", port: int = 0, keyring: object = None
        ) -> FakeNameserver:
            for _ in range(20):
                try:
                    server = FakeNameserver(handler, address, keyring=keyring)
                    return await stack.enter_async_context(server.running(port))
                except OSError as error:
                    # The port that was free for TCP was taken for UDP.
                    if port or error.errno != errno.EADDRINUSE:
                        raise
            raise AssertionError("no port is free for both UDP and TCP")

        yield run


@pytest.fixture(name="reply")
def reply_fixture() -> Reply:
    """Makes answers."""
    return reply


@pytest.fixture(name="zones")
def zones_fixture() -> type[Zones]:
    """Makes handlers for servers of zones."""
    return Zones
