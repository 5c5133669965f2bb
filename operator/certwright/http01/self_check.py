"""Asks for a file as the CA will, and says in words what came back. A wrong answer's content is shown to no one."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import aiohttp

from certwright.challenges.self_check import (
    MAX_REDIRECTS,
    Answer,
    CheckPolicy,
    Finding,
    Found,
    NoAnswer,
    is_address,
    look,
)
from certwright.http01.addresses import Addresses, Remembered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.challenges.response import FileResponse

SECONDS: Final = 5.0
"""For one answer."""
SECONDS_OF_REDIRECTS: Final = 10.0
"""For all of those on the way to one file: slow redirects would hold up the other names of an order."""
MAX_CONCURRENT: Final = 10
MAX_ADDRESSES: Final = 3
"""Shown of one host."""
USER_AGENT: Final = "certwright self-check"


@dataclass(frozen=True)
class HttpSighting:
    """What came back for one file.

    Attributes:
        file: The file.
        complete: Whether the CA can be expected to be satisfied.
        seen: What came back, in words.
        status: The HTTP status of the last answer, None without one.
        redirected: Whether a server had redirected the request.
        cause: Why, as far as the solver's own objects show; an empty text otherwise.
    """

    file: FileResponse
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

    async def look(self, files: Sequence[FileResponse]) -> list[HttpSighting]:
        """Ask for every file once, a few at a time; never an error."""
        places = asyncio.Semaphore(MAX_CONCURRENT)
        resolver = Remembered(self._resolver)
        policy = CheckPolicy(port=self._port, follow_addresses=False, seconds=SECONDS_OF_REDIRECTS)
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

            async def fetch(url: str, *, enough: int) -> Answer | NoAnswer:
                return await _fetch(session, url, enough=enough)

            async def one(file: FileResponse) -> HttpSighting:
                async with places:
                    return _sighting(file, await look(file.url, file.key_authorization, fetch, policy), resolver)

            return await asyncio.gather(*map(one, files))


async def _fetch(session: aiohttp.ClientSession, url: str, *, enough: int) -> Answer | NoAnswer:
    try:
        async with session.get(url, allow_redirects=False) as answer:
            head = Answer(answer.status, answer.headers.get("Location"), answer.content_type)
            return head if head.redirects else replace(head, body=await _read(answer, enough))
    except TimeoutError:
        raise
    except aiohttp.ClientConnectorDNSError as error:
        return NoAnswer(error.os_error.strerror or f"{error.host} has no address in the DNS")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return NoAnswer(_reason(error))


async def _read(answer: aiohttp.ClientResponse, most: int) -> bytes:
    body = b""
    while len(body) < most and (part := await answer.content.read(most - len(body))):
        body += part
    return body


def _sighting(file: FileResponse, finding: Finding, resolver: Remembered) -> HttpSighting:
    return HttpSighting(
        file,
        finding.complete,
        _describe(finding, resolver),
        finding.status,
        redirected=bool(finding.via),
    )


def _describe(finding: Finding, resolver: Remembered) -> str:
    if finding.found is Found.TOO_MANY_REDIRECTS:
        return f"more than {MAX_REDIRECTS} redirects, {_via(finding.via[:3])}..."
    asked = resolver.found.get(finding.host, ())
    at = f" at {' or '.join(asked[:MAX_ADDRESSES])}" if asked else ""
    return f"{_via(finding.via)}{_words(finding, looked_up=bool(asked), at=at)}"


def _words(finding: Finding, *, looked_up: bool, at: str) -> str:
    """Say what was found, and at which addresses."""
    match finding.found:
        case Found.WRONG_STATUS:
            return finding.status_line + at
        case Found.WRONG_CONTENT:
            of_type = f" ({finding.detail})" if finding.detail else ""
            return f"HTTP 200 with other content{of_type} than the key authorization{at}"
        case Found.NO_ANSWER:
            return finding.detail + at
        case Found.TIMED_OUT:
            found = looked_up or is_address(finding.host)
            what = "no answer" if found else f"the DNS did not resolve {finding.host}"
            return f"{what} within {SECONDS_OF_REDIRECTS if finding.via else SECONDS:g} s{at}"
        case Found.NO_URL:
            return "a redirect to an invalid URL"
        case Found.OTHER_SCHEME:
            return "a redirect to something that is neither HTTP nor HTTPS, which no CA follows"
        case Found.OTHER_PORT:
            return f"a redirect to port {finding.detail.rpartition(':')[2]}, which no CA follows: only 80 and 443"
        case Found.ADDRESS:
            return "a redirect to an IP address, which CAs do not follow"
        case _:
            return "the right answer"


def _via(via: Sequence[str]) -> str:
    return f"redirected to {' and '.join(via)}: " if via else ""


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
