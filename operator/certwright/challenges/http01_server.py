"""http-01 with a built-in server, for hosts where nothing listens on port 80."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from certwright.challenges.listener import Listener
from certwright.challenges.responder import exchange
from certwright.well_known import WELL_KNOWN_PATH

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from certwright.challenges.proof import Proof


class Http01Server:
    """Answers the CA while responses are presented, and anything else with 404. Use one for all issuances on a port.

    Args:
        host: The address to listen on; None for all.
        port: The port to listen on. The CA connects to port 80 (RFC 8555 section 8.3), so another one requires a
            forwarding.
    """

    challenge_type: Final = "http-01"

    def __init__(self, *, host: str | None = None, port: int = 80) -> None:
        self._contents: dict[str, str] = {}
        self._listener = Listener(self._answer, host=host, port=port)

    @property
    def port(self) -> int:
        """The port that it listens on; for port 0, this is known only while it listens."""
        return self._listener.port

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Start to listen, and serve these responses.

        Raises:
            CannotListen: The port is in use or requires privileges.
        """
        fresh = {proof.http01_path: proof.key_authorization for proof in proofs}
        added = len(fresh.keys() - self._contents.keys())
        self._contents |= fresh
        await self._listener.hold(added)

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """Return immediately: responses are visible as soon as the server listens."""

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """Drop these responses, and stop listening after the last."""
        gone = [path for proof in proofs if self._contents.pop(path := proof.http01_path, None) is not None]
        await self._listener.let_go(len(gone))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await exchange(reader, writer, self._look_up)

    def _look_up(self, _host: str, token: str) -> str | None:
        # For any host: a proxy that forwards requests here may change the name.
        return self._contents.get(f"{WELL_KNOWN_PATH}{token}")
