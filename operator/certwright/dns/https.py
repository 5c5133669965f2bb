"""DNS over HTTPS (RFC 8484), for networks that block other DNS queries or answer them differently."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from certwright.dns.errors import InvalidServer, MalformedAnswer, NameserverUnreachable
from certwright.dns.wire import MAX_MESSAGE_BYTES, PARSING_FAILURES, parse
from certwright.http.errors import HttpError, ServerResponseError, TimedOut, UnsafeUrl
from certwright.http.transport import HttpxTransport
from certwright.http.url import UrlPolicy, host_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import dns.message

    from certwright.http.message import Response, Transport

SCHEME: Final = "https://"
"""The prefix that distinguishes a DNS over HTTPS resolver from one for UDP and TCP."""
MEDIA_TYPE: Final = "application/dns-message"
_URLS: Final = UrlPolicy()


@dataclass(frozen=True)
class HttpsResolver:
    """A recursive resolver for DNS over HTTPS.

    Attributes:
        url: The URL for queries, such as ``https://dns.example.net/dns-query``.
    """

    url: str

    @classmethod
    def parse(cls, text: str) -> HttpsResolver:
        """Read a URL.

        Raises:
            InvalidServer: It is not an https URL, or has credentials or a fragment.
        """
        stripped = text.strip()
        try:
            _URLS.check(stripped, what="the URL of a DNS resolver")
        except UnsafeUrl as error:
            raise InvalidServer(f"{error}. Write it like https://dns.example.net/dns-query") from None
        return cls(stripped)

    def __str__(self) -> str:
        """Return a readable form without the path, which may contain an account name."""
        return f"{SCHEME}{host_of(self.url)}"


class OneRequestTransport:
    """Opens a connection for each request, so nothing needs to be closed. For programs that send few queries."""

    async def request(self, method: str, url: str, **details: Any) -> Response:
        """Send one request; see `Transport.request`."""
        async with HttpxTransport(trust_env=True, http2=True) as transport:
            return await transport.request(method, url, **details)

    async def aclose(self) -> None:
        """Do nothing, because no connection stays open."""


async def send_https(
    question: dns.message.Message, resolver: HttpsResolver, transport: Callable[[], Transport]
) -> dns.message.Message:
    """Send a query by POST (RFC 8484 section 4.1), and return the answer.

    Args:
        question: The query; its ID becomes 0, for the benefit of HTTP caches.
        resolver: The resolver.
        transport: Returns the transport for the request, whose timeouts apply.

    Raises:
        NameserverUnreachable: There was no answer, or one with another status than 200.
        MalformedAnswer: The answer is not a DNS message that answers the query.
    """
    question.id = 0
    try:
        response = await transport().request(
            "POST",
            resolver.url,
            headers={"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE},
            content=question.to_wire(),
            max_bytes=MAX_MESSAGE_BYTES,
        )
    except ServerResponseError as error:
        raise MalformedAnswer(str(resolver), f"({error})") from None
    except HttpError as error:
        raise NameserverUnreachable(str(resolver), str(error), timed_out=isinstance(error, TimedOut)) from None
    if response.status != HTTPStatus.OK:
        raise NameserverUnreachable(str(resolver), f"it answered HTTP {response.status}")
    if response.media_type != MEDIA_TYPE:
        raise MalformedAnswer(str(resolver), f"(the content type is not {MEDIA_TYPE})")
    try:
        answer = await parse(response.body, question)
    except PARSING_FAILURES as error:
        raise MalformedAnswer(str(resolver)) from error
    if not question.is_response(answer):
        raise MalformedAnswer(str(resolver), "to another question")
    return answer
