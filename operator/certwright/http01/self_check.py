"""Asks for a file as the CA will, and says in words what came back. A wrong answer's content is shown to nobody."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from certwright.http01.addresses import Addresses, Remembered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.challenges.response import FileResponse

SECONDS: Final = 5.0
"""For one answer."""
SECONDS_OF_REDIRECTS: Final = 10.0
"""For all of those on the way to one file: who redirects to what is slow holds the other names of an order up."""
MAX_REDIRECTS: Final = 10
"""Boulder follows as many."""
MAX_CONCURRENT: Final = 10
MAX_ADDRESSES: Final = 3
"""Told of one host."""
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
MEDIA_TYPE: Final = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}", re.ASCII)
USER_AGENT: Final = "certwright self-check"


@dataclass(frozen=True)
class HttpSighting:
    """What came back for one file.

    Attributes:
        resource: The file.
        complete: Whether the CA can be expected to be satisfied.
        seen: What came back, in words.
        status: The HTTP status of the last answer, None without one.
        redirected: Whether somebody had said to look elsewhere.
        cause: Why, as far as the solver's own objects tell; an empty text otherwise.
    """

    resource: FileResponse
    complete: bool
    seen: str
    status: int | None = None
    redirected: bool = False
    cause: str = ""

    def describe(self) -> str:
        """Say for people what was seen, and why."""
        return f"{self.seen}; {self.cause}" if self.cause else self.seen


class SelfCheck:
    """Looks for files over HTTP.

    Args:
        port: Of the first request: 80 for every CA but those for tests.
        nameservers: Recursive DNS servers to look names up at; empty for the system's.

    Raises:
        InvalidServer: A nameserver is none.
    """

    def __init__(self, *, port: int = 80, nameservers: Sequence[str] = ()) -> None:
        self._port = port
        self._resolver = Addresses(nameservers)

    async def look(self, resources: list[FileResponse]) -> list[HttpSighting]:
        """Ask for every file once, a few at a time; never an error."""
        places = asyncio.Semaphore(MAX_CONCURRENT)
        resolver = Remembered(self._resolver)

        async def one(session: aiohttp.ClientSession, resource: FileResponse) -> HttpSighting:
            async with places:
                return await self._look(session, resource, resolver)

        # No connection is kept: the next look must find what is there then. Certificates are not checked where a
        # redirect leads to HTTPS, as CAs do not: the one there may be what is to be replaced.
        connector = aiohttp.TCPConnector(
            ssl=_unverified(), force_close=True, limit=MAX_CONCURRENT, resolver=resolver, use_dns_cache=False
        )
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        headers = {"User-Agent": USER_AGENT}
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, headers=headers, cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            return await asyncio.gather(*(one(session, resource) for resource in resources))

    async def _look(self, session: aiohttp.ClientSession, resource: FileResponse, resolver: Remembered) -> HttpSighting:
        url = URL.build(scheme="http", host=resource.host, port=self._port, path=resource.path)
        via: list[str] = []

        def saw(words: str, *, status: int | None = None, complete: bool = False) -> HttpSighting:
            return HttpSighting(resource, complete, f"{_place(via)}{words}", status, redirected=bool(via))

        def missing(words: str, status: int | None = None) -> HttpSighting:
            asked = resolver.found.get(url.host or "", ())
            at = f" at {' or '.join(asked[:MAX_ADDRESSES])}" if asked else ""
            return saw(f"{words}{at}", status=status)

        try:
            async with asyncio.timeout(SECONDS_OF_REDIRECTS):
                for _ in range(MAX_REDIRECTS + 1):
                    async with session.get(url, allow_redirects=False) as answer:
                        if answer.status not in REDIRECTS or "Location" not in answer.headers:
                            body = await _read(answer, len(resource.key_authorization) + 16)
                            if wrong := _wrong(resource, answer, body):
                                return missing(wrong, answer.status)
                            return saw("the right answer", status=answer.status, complete=True)
                        location = answer.headers["Location"]
                    goal = _joined(url, location)
                    if goal is None:
                        return saw("a redirect to what is no URL")
                    if refusal := _refusal(goal, self._port):
                        return saw(refusal)
                    url = goal
                    via.append(_words(url))
        except TimeoutError:
            found = url.host in resolver.found or _is_address(url)
            what = "no answer" if found else f"the DNS did not say where {url.host} leads"
            return missing(f"{what} within {SECONDS_OF_REDIRECTS if via else SECONDS:g} s")
        except aiohttp.ClientConnectorDNSError as error:
            return saw(error.os_error.strerror or f"{url.host} has no address in the DNS")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return missing(_reason(error))
        return HttpSighting(
            resource, complete=False, seen=f"more than {MAX_REDIRECTS} redirects, {_place(via[:3])}...", redirected=True
        )


async def _read(answer: aiohttp.ClientResponse, most: int) -> bytes:
    body = b""
    while len(body) < most and (part := await answer.content.read(most - len(body))):
        body += part
    return body


def _wrong(resource: FileResponse, answer: aiohttp.ClientResponse, body: bytes) -> str:
    """Say what is wrong with an answer; an empty text if it is the right one."""
    if answer.status != HTTPStatus.OK:
        try:
            return f"HTTP {answer.status} {HTTPStatus(answer.status).phrase}"
        except ValueError:
            return f"HTTP {answer.status}"
    # RFC 8555 section 8.3 lets white space follow.
    if body.rstrip() == resource.key_authorization.encode():
        return ""
    # The type is the server's own text: it is told if it is one.
    of_type = f" ({answer.content_type})" if MEDIA_TYPE.fullmatch(answer.content_type) else ""
    return f"HTTP 200 with other content{of_type} than the key authorization"


def _joined(url: URL, location: str) -> URL | None:
    try:
        return url.join(URL(location))
    except ValueError:
        return None


def _is_address(url: URL) -> bool:
    try:
        ipaddress.ip_address((url.host or "").partition("%")[0])
    except ValueError:
        return False
    return True


def _refusal(url: URL, check_port: int) -> str:
    """Say why a redirect is not followed, or an empty text; CAs follow none to other schemes, ports or to addresses."""
    if url.scheme not in {"http", "https"} or not url.host:
        return "a redirect to something that is neither HTTP nor HTTPS, which no CA follows"
    if url.port not in {80, 443, check_port}:
        return f"a redirect to port {url.port}, which no CA follows: only 80 and 443 are"
    if _is_address(url):
        # Boulder follows none, and whoever applies a Certificate is not to choose what of the cluster's is asked for.
        return "a redirect to an IP address, which CAs do not follow"
    return ""


def _place(via: list[str]) -> str:
    return f"redirected to {' and '.join(via)}: " if via else ""


def _words(url: URL) -> str:
    """A redirect's goal without path and query, which may hold anything."""
    return f"{url.scheme}://{(url.raw_host or '')[:253]}"


def _reason(error: BaseException) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(cause, OSError) and cause.strerror:
        return f"no connection: {cause.strerror}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed without an answer"
    return f"no usable answer ({type(error).__name__})"


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
