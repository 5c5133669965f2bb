"""A look at the answers of http-01 as the CA will take it, before the CA counts a failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from certwright.acme import AcmeError
from certwright.client.errors import NotVisible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.acme import Transport
    from certwright.client.proof import Proof
    from certwright.client.solver import Solver

#: Seconds until an answer has to be there, unless the caller says otherwise.
CHECK_SECONDS: Final = 30.0

_PAUSE: Final = 1.0
_MAX_ANSWER: Final = 4096
_OK: Final = 200
_REDIRECTS: Final = range(300, 400)


class SelfChecked:
    """A solver for http-01 that asks its own URLs before the CA does: Let's Encrypt allows five failures an hour.

    A redirect passes: the CA follows it, and where to is its own affair. Do without where this host cannot reach the
    names that it proves (hairpin NAT, split horizon).

    Args:
        solver: Any solver for http-01.
        transport: `HttpxTransport(allow_insecure=True)`, as the CA asks over plain http.
        port: The port to ask at, where a forwarding stands in for port 80.
        seconds: How long an answer may take to appear.
    """

    challenge_type: Final = "http-01"

    def __init__(self, solver: Solver, transport: Transport, *, port: int = 80, seconds: float = CHECK_SECONDS) -> None:
        if solver.challenge_type != self.challenge_type:
            raise ValueError(f"a self-check is for http-01, not for {solver.challenge_type}")
        self._solver = solver
        self._transport = transport
        self._port = port
        self._seconds = seconds

    async def present(self, proofs: Sequence[Proof]) -> None:
        """As the solver does."""
        await self._solver.present(proofs)

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """As the solver does, and then until all answers are there.

        Raises:
            NotVisible: One was not in time; says what was there instead.
        """
        await self._solver.wait(proofs)
        await asyncio.gather(*map(self._until_there, proofs))

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """As the solver does."""
        await self._solver.clean_up(proofs)

    async def _until_there(self, proof: Proof) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        while (complaint := await self._look(proof)) is not None:
            if loop.time() + _PAUSE > deadline:
                raise NotVisible(f"{proof.http01_url} {complaint}. Check DNS, firewall, and which server answers there")
            await asyncio.sleep(_PAUSE)

    async def _look(self, proof: Proof) -> str | None:
        url = proof.http01_url
        if self._port != 80:  # noqa: PLR2004 - http's own
            host, slash, path = url.removeprefix("http://").partition("/")
            url = f"http://{host}:{self._port}{slash}{path}"
        try:
            answer = await self._transport.request("GET", url, headers={}, max_bytes=_MAX_ANSWER)
        except AcmeError as error:
            return f"gives no answer: {error}"
        if answer.status in _REDIRECTS:
            return None
        if answer.status != _OK:
            return f"answers with HTTP {answer.status}"
        if answer.body.strip() != proof.key_authorization.encode("ascii"):
            return "answers with something else than the proof"
        return None
