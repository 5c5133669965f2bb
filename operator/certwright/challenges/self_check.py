"""A look at the answers of http-01 as the CA will take it, before the CA counts a failure."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urljoin, urlsplit

from certwright.acme import AcmeError, UntrustedServer
from certwright.challenges.errors import NotVisible
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.acme import Response, Transport
    from certwright.challenges.proof import Proof
    from certwright.challenges.solver import Solver

#: Seconds until an answer has to be there, unless the caller says otherwise.
CHECK_SECONDS: Final = 30.0

#: As many as Boulder follows.
MAX_REDIRECTS: Final = 10

_PAUSE: Final = 1.0
_MAX_ANSWER: Final = 4096
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class SelfChecked:
    """A solver for http-01 that asks its own URLs before the CA does: Let's Encrypt allows five failures an hour.

    Redirects are followed as CAs follow them: to http and https at ports 80 and 443, ten at most. Do without where this
    host cannot reach the names that it proves (hairpin NAT, split horizon).

    Args:
        solver: Any solver for http-01.
        transport: `HttpxTransport(allow_insecure=True, verify=False)`: the CA asks over plain http, and takes any
            certificate where a redirect leads to https.
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
        """Say what is wrong with what a CA would see, or return None."""
        url, via = proof.http01_url, ""
        if self._port != 80:  # noqa: PLR2004 - http's own
            host, slash, path = url.removeprefix("http://").partition("/")
            url = f"http://{host}:{self._port}{slash}{path}"
        for _ in range(MAX_REDIRECTS + 1):
            try:
                answer = await self._transport.request("GET", url, headers={}, max_bytes=_MAX_ANSWER)
            except UntrustedServer:
                # CAs take any certificate here: it may be the one that is to be replaced. More cannot be seen.
                return None
            except AcmeError as error:
                return f"{via}gives no answer: {error}"
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or location is None:
                wrong = _wrong(answer, proof)
                return wrong and via + wrong
            url = urljoin(url, location)
            goal = urlsplit(url)
            if not self._is_followed(goal):
                return (
                    f"{via}redirects to {_words(goal)}, where no CA follows: only to http and https at ports 80 and 443"
                )
            via = f"redirects to {_words(goal)}, which "
        return f"redirects more than {MAX_REDIRECTS} times"

    def _is_followed(self, goal: SplitResult) -> bool:
        try:
            port = goal.port
        except ValueError:
            return False
        return goal.scheme in ("http", "https") and bool(goal.hostname) and port in (None, 80, 443, self._port)


def _wrong(answer: Response, proof: Proof) -> str | None:
    if answer.status != HTTPStatus.OK:
        try:
            return f"answers with HTTP {answer.status} {HTTPStatus(answer.status).phrase}"
        except ValueError:
            return f"answers with HTTP {answer.status}"
    # RFC 8555 section 8.3 lets white space follow.
    if answer.body.rstrip() == proof.key_authorization.encode("ascii"):
        return None
    kind = printable(answer.media_type, 60) or "of no type"
    return f"answers with something else ({kind}) than the proof"


def _words(goal: SplitResult) -> str:
    """A redirect's goal without path and query, which may hold anything."""
    return printable(f"{goal.scheme}://{goal.netloc.rpartition('@')[2]}", 253)
