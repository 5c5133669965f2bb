"""A look at one's own answers before the CA counts a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.client.test_proving import Recorder

from certwright.acme import HttpxTransport
from certwright.client import Http01Server, NotVisible, SelfChecked

if TYPE_CHECKING:
    from tests.client.conftest import MakeProof

HOST = "127.0.0.1"


async def test_what_is_there_passes(proof: MakeProof) -> None:
    server = Http01Server(host=HOST, port=0)
    answered = [proof(HOST)]
    async with HttpxTransport(allow_insecure=True) as transport:
        await server.present(answered)
        checked = SelfChecked(server, transport, port=server.port, seconds=0)
        await checked.present(answered)
        await checked.wait(answered)
        await checked.clean_up(answered)
        # A retry of the CA's finds nothing any more, and so does a check.
        with pytest.raises(NotVisible, match=r"http://127\.0\.0\.1/\S+ gives no answer: .*refused"):
            await checked.wait(answered)


@pytest.mark.parametrize(("shown", "complaint"), [("other", "HTTP 404"), ("token", "something else than the proof")])
async def test_what_is_wrong_is_told(proof: MakeProof, shown: str, complaint: str) -> None:
    server = Http01Server(host=HOST, port=0)
    there = [proof(HOST, token=shown)]
    async with HttpxTransport(allow_insecure=True) as transport:
        await server.present(there)
        if shown == "token":
            server._contents = dict.fromkeys(server._contents, "<html>welcome</html>")
        checked = SelfChecked(Recorder("http-01"), transport, port=server.port, seconds=0)
        with pytest.raises(NotVisible, match=complaint) as caught:
            await checked.wait([proof(HOST)])
        assert "welcome" not in str(caught.value)
        await server.clean_up(there)


def test_it_is_for_http01_only() -> None:
    with pytest.raises(ValueError, match="not for dns-01"):
        SelfChecked(Recorder("dns-01"), HttpxTransport())
