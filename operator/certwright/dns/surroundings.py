"""Ambient credentials: from the environment, the token files of the pod, or the metadata service of the cloud.

They belong to the process; an issuer that uses them does not name them.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from certwright.dns.errors import InvalidCredential, ProviderUnreachable
from certwright.http.errors import HttpError
from certwright.http.url import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.http.message import Response, Transport

MAX_FILE_BYTES: Final = 64 * 1024
"""The maximum size of a token or key file."""
MAX_ANSWER_BYTES: Final = 64 * 1024
"""The maximum size of a metadata service's response."""


class Surroundings:
    """Reads the environment of this process, on demand only.

    Args:
        environ: The environment variables; None for this process's.
        transport: Creates the transport for metadata services; None for one without proxies that may use plain HTTP and
            link-local addresses.
        user_agent: For requests to metadata services.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        transport: Callable[[], Transport] | None = None,
        *,
        user_agent: str = "certwright",
    ) -> None:
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self._user_agent = user_agent
        self._make_transport = transport or self._new_transport
        self._transport: Transport | None = None

    async def read_file(self, path: str, what: str) -> str:
        """Read a file each time, because tokens in pods are replaced while in use.

        Args:
            path: The path, from an environment variable.
            what: Its name in messages, such as `web identity token`.

        Raises:
            InvalidCredential: It cannot be read, is longer than 64 KiB, or is not text.
        """
        try:
            content = await asyncio.to_thread(_read, Path(path))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text of a usual length"
            raise InvalidCredential(f"the {what} in {path} cannot be read: {why}") from None
        return content

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None
    ) -> Response:
        """Send a request to a metadata service, over HTTP or HTTPS, and return the response with any status.

        Args:
            method: `GET`, `PUT` or `POST`.
            url: A constant or the value of an environment variable, never from an issuer.
            headers: Header fields.
            content: The body.

        Raises:
            ProviderUnreachable: There was no answer; usually the machine is not in that cloud.
        """
        if self._transport is None:
            self._transport = self._make_transport()
        try:
            return await self._transport.request(
                method, url, headers=headers, content=content, max_bytes=MAX_ANSWER_BYTES
            )
        except HttpError as error:
            raise ProviderUnreachable(
                f"the request for credentials to the metadata service failed: {error}", host=host_of(url)
            ) from error

    async def aclose(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    def _new_transport(self) -> Transport:
        from certwright.http.transport import HttpxTransport, Timeouts  # noqa: PLC0415 - most have no use for it

        # A metadata service is on the same host, or does not exist.
        timeouts = Timeouts(connect=2.0, read=5.0, total=10.0)
        return HttpxTransport(
            user_agent=self._user_agent, allow_insecure=True, max_connections=4, timeout=timeouts, trust_env=False
        )


def _read(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError
    return content.decode()
