"""http-01 by a server of our own, for hosts where nothing listens at port 80."""

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
    """Answers the CA while files are presented; everything else is 404. Use one for all issuances at a port.

    Args:
        host: The address to listen at; None for all.
        port: The port to listen at. The CA asks at port 80 (RFC 8555 section 8.3): another one needs a forwarding.
    """

    challenge_type: Final = "http-01"

    def __init__(self, *, host: str | None = None, port: int = 80) -> None:
        self._contents: dict[str, str] = {}
        self._listener = Listener(self._answer, host=host, port=port)

    @property
    def port(self) -> int:
        """The port that it listens at, which for port 0 is only known while it does."""
        return self._listener.port

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Listen, and answer for these.

        Raises:
            CannotListen: The port is taken or needs rights.
        """
        fresh = {proof.http01_path: proof.key_authorization for proof in proofs}
        added = len(fresh.keys() - self._contents.keys())
        self._contents |= fresh
        await self._listener.hold(added)

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """It answers from the moment it listens."""

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """Forget these, and close the port after the last."""
        gone = [path for proof in proofs if self._contents.pop(path := proof.http01_path, None) is not None]
        await self._listener.let_go(len(gone))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await exchange(reader, writer, self._look_up)

    def _look_up(self, _host: str, token: str) -> str | None:
        # Whatever the host: what forwards the port here may call it by another name.
        return self._contents.get(f"{WELL_KNOWN_PATH}{token}")
