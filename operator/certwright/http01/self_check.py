"""Requests a file as the CA will, and describes the response, without ever showing the content of a wrong one."""

from __future__ import annotations

import asyncio
import errno
import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp

from certwright import names
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
from certwright.http.addresses import AddressPolicy
from certwright.http01.addresses import Addresses, Remembered, Rounds
from certwright.runtime.turns import TENANT, Turns
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.challenges.response import FileResponse

SECONDS: Final = 5.0
"""For one answer."""
SECONDS_OF_REDIRECTS: Final = 10.0
"""For all of those on the way to one file: slow redirects would hold up the other names of an order."""
MAX_CONCURRENT: Final = 10
"""Files of one order that are asked for at the same time."""
LOOKS: Final = Turns(64, kept=16)
"""For all orders together: a connection whose server is silent takes a third of a MiB, and a tenant may have hundreds.
"""
MAX_ADDRESSES: Final = 3
"""Shown of one host."""
USER_AGENT: Final = "certwright self-check"
NO_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""Why a connection was not even tried: this pod has no address of that family, which says nothing about the host."""


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
        remark: Which addresses could not be asked from here, although it is complete; an empty text if all could.
    """

    file: FileResponse
    complete: bool
    seen: str
    status: int | None = None
    redirected: bool = False
    cause: str = ""
    remark: str = ""

    def describe(self) -> str:
        """Say for people what was seen, and why."""
        return "; ".join(filter(None, (self.seen, self.cause, self.remark)))


class SelfCheck:
    """Looks for files over HTTP.

    Every address of a host is asked, as the CA may ask any of them. One to which there is no route from here is left
    out, and the sighting says so.

    Args:
        port: Of the first request: 80 for every CA but those for tests.
        nameservers: Recursive DNS servers to look names up at; empty for the system's.
        every_address: Whether all addresses of a host are asked, or whichever answers first.
        addresses: Which addresses may be connected to.

    Raises:
        InvalidServer: A nameserver is none.
    """

    def __init__(
        self,
        *,
        port: int = 80,
        nameservers: Sequence[str] = (),
        every_address: bool = True,
        addresses: AddressPolicy | None = None,
    ) -> None:
        self._every_address = every_address
        self._policy = CheckPolicy(port=port, follow_addresses=False, seconds=SECONDS_OF_REDIRECTS)
        self._addresses = addresses or AddressPolicy()
        self._resolver = Addresses(nameservers) if addresses is None else Addresses(nameservers, addresses)

    async def look(self, files: Sequence[FileResponse]) -> list[HttpSighting]:
        """Ask for every file once at each address, a few files at a time; never an error."""
        places = asyncio.Semaphore(MAX_CONCURRENT)
        resolver = Remembered(self._resolver)
        tls = _unverified()

        async def one(file: FileResponse) -> HttpSighting:
            async with places, LOOKS.place(TENANT.get()):
                return await self._look(file, Rounds(resolver, file.host, every=self._every_address), tls)

        return await asyncio.gather(*map(one, files))

    async def _look(self, file: FileResponse, rounds: Rounds, tls: ssl.SSLContext) -> HttpSighting:
        while True:
            rounds.begin()
            # No connection is kept: the next round goes elsewhere, the next look must find what is there then.
            connector = aiohttp.TCPConnector(ssl=tls, force_close=True, resolver=rounds, use_dns_cache=False)
            async with aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=SECONDS),
                headers={"User-Agent": USER_AGENT},
                cookie_jar=aiohttp.DummyCookieJar(),
            ) as session:
                fetch = _Fetch(session, rounds, self._addresses)
                finding = await look(file.url, file.key_authorization, fetch, self._policy)
            if not finding.complete or not rounds.left:
                return _sighting(file, finding, rounds)


@dataclass(frozen=True)
class _Fetch:
    """Sends one request to where a round leads.

    Attributes:
        session: Sends it.
        rounds: Says where.
        addresses: Which addresses may be connected to: for a URL with an address no resolver is asked.
    """

    session: aiohttp.ClientSession
    rounds: Rounds
    addresses: AddressPolicy

    async def __call__(self, url: str, *, enough: int) -> Answer | NoAnswer:
        host = urlsplit(url).hostname or ""
        if names.is_address(host) and (objection := self.addresses.objection(host)):
            return NoAnswer(f"it is {objection}, which no CA can reach")
        while True:
            try:
                async with self.session.get(url, allow_redirects=False) as answer:
                    head = Answer(answer.status, answer.headers.get("Location"), answer.content_type)
                    return head if head.redirects else replace(head, body=await _read(answer, enough))
            except TimeoutError:
                raise
            except aiohttp.ClientConnectorDNSError as error:
                return NoAnswer(error.os_error.strerror or f"{error.host} has no address in the DNS")
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if not (_has_no_route(error) and self.rounds.skip(host)):
                    return NoAnswer(_reason(error))


def _has_no_route(error: BaseException) -> bool:
    return isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno in NO_ROUTE


async def _read(answer: aiohttp.ClientResponse, most: int) -> bytes:
    body = b""
    while len(body) < most and (part := await answer.content.read(most - len(body))):
        body += part
    return body


def _sighting(file: FileResponse, finding: Finding, rounds: Rounds) -> HttpSighting:
    unasked = [f"{host} at {address}" for host, found in rounds.unroutable.items() for address in found]
    remark = f"there is no route from here to {listed(unasked)}, where the CA may connect" if unasked else ""
    return HttpSighting(
        file,
        finding.complete,
        _describe(finding, rounds),
        finding.status,
        redirected=bool(finding.via),
        remark=remark,
    )


def _describe(finding: Finding, rounds: Rounds) -> str:
    if finding.found is Found.TOO_MANY_REDIRECTS:
        return f"more than {MAX_REDIRECTS} redirects, {_via(finding.via[:3])}..."
    asked, right = rounds.at(finding.host), rounds.right(finding.host)
    at = f" at {' or '.join(asked[:MAX_ADDRESSES])}" if asked else ""
    if right and not finding.complete:
        at += f", while {' and '.join(right[:MAX_ADDRESSES])} answered as expected: a CA may ask any of them"
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
