"""Notices when the API server's resourceVersions go backwards, because etcd was restored from a backup.

A watch from a future version receives nothing until that version is reached, possibly for days, and kopf would wait.
When a watch is reopened, one object is listed to learn the current version. If the watch is ahead, kopf gets the API
server's response for a version that is too old, and lists again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.kube.errors import KubeError

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

    from certwright.kube.client import KubeClient

logger = logging.getLogger(__name__)

GONE: Final = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}
PAUSES: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds before each try to find out which version there is: an API server that was restored is just starting."""

_BELOW_SERVER: Final = re.compile(r"/(?:api|apis/[^/]+)/v[^/]+/.*$")
_SELECTORS: Final = ("labelSelector", "fieldSelector")


@dataclass
class _Reopened:
    """A watch that was opened again.

    Attributes:
        response: Its stream, once the API server has begun it.
        is_ahead: Whether it begins at a version that is yet to come.
    """

    response: aiohttp.ClientResponse | None = None
    is_ahead: bool = False


class Rewinds:
    """Checks each watch that is opened again.

    Args:
        client: Sends the requests, whoever leads.
    """

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._listed: dict[str, str] = {}
        self._reopened: dict[str, _Reopened] = {}
        self._checks: set[asyncio.Task[None]] = set()

    def listed(self, url: URL, version: str) -> None:
        """Note the version of a list: the watch that follows it needs no check."""
        self._listed[url.path] = version

    def asked(self, url: URL) -> None:
        """Note that a watch is opened, and check it if it goes on where one ended."""
        version = url.query.get("resourceVersion", "")
        if "watch" not in url.query or not version.isdecimal() or self._listed.get(url.path) == version:
            self._reopened.pop(url.path, None)
            return
        reopened = self._reopened[url.path] = _Reopened()
        check = asyncio.create_task(self._check(url, int(version), reopened), name=f"version of {url.path}")
        self._checks.add(check)
        check.add_done_callback(self._checks.discard)

    def opened(self, url: URL, response: aiohttp.ClientResponse) -> None:
        """Note that the API server has begun a watch."""
        reopened = self._reopened.get(url.path)
        if reopened is not None:
            reopened.response = response
            self._end(url.path, reopened)

    async def _check(self, url: URL, version: int, reopened: _Reopened) -> None:
        found = await self._version(url)
        if found is None or found >= version:
            return
        logger.warning(
            "%s is at version %d, and was at %d: was etcd restored from a backup? It is listed again",
            url.path,
            found,
            version,
        )
        reopened.is_ahead = True
        self._end(url.path, reopened)

    async def _version(self, url: URL) -> int | None:
        """Return the version that there is now, or None if it cannot be found out."""
        path = _BELOW_SERVER.search(url.path)
        if path is None:
            return None
        query = {"limit": "1", **{name: url.query[name] for name in _SELECTORS if name in url.query}}
        for pause in PAUSES:
            await asyncio.sleep(pause)
            try:
                answer = await self._client.request("GET", path[0], action=f"see the version of {path[0]}", query=query)
                return int(answer["metadata"]["resourceVersion"])
            except (KubeError, KeyError, ValueError) as error:
                logger.debug("%s", error)
        return None

    def _end(self, path: str, reopened: _Reopened) -> None:
        """End a watch that is ahead, once both are known."""
        response = reopened.response
        if response is None or not reopened.is_ahead or self._reopened.get(path) is not reopened:
            return
        del self._reopened[path]
        if not response.closed and not response.content.at_eof():
            line = json.dumps({"type": "ERROR", "object": GONE}) + "\n"
            response.content.feed_data(line.encode())
