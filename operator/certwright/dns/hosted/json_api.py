"""A JSON API over HTTPS: one credential, one pace, and one way to report refusals."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from certwright.dns.hosted.answer import code_of, not_understood, refused, value_of
from certwright.dns.hosted.listing import Listing, Page, every_item
from certwright.dns.hosted.provider import Outdated
from certwright.dns.hosted.zones import label_of
from certwright.http.link import links_to, parse_links
from certwright.http.url import host_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from certwright.dns.hosted.pace import Pace
    from certwright.dns.hosted.zones import HostedZone
    from certwright.dns.provider import ProviderContext
    from certwright.http.message import Response


class JsonApi:
    """Sends the requests of one credential.

    Args:
        context: What sends them.
        url: What all paths follow.
        headers: The credential, in header fields.
        pace: How often.
        rights: What the credential needs, in the provider's own words.
    """

    def __init__(
        self, context: ProviderContext, url: str, headers: Mapping[str, str], *, pace: Pace, rights: str
    ) -> None:
        self.host = host_of(url)
        self._context = context
        self._url = url
        self._headers = headers
        self.pace = pace
        self._rights = rights

    def code(self, answer: Any) -> object:
        """Return what an answer calls its error."""
        return field_of(answer, "code")

    def failed(self, response: Response, answer: Any) -> bool:
        """Return whether an answer is an error."""
        del answer
        return response.status >= HTTPStatus.BAD_REQUEST

    async def headers(self, method: str, url: str, content: bytes | None) -> Mapping[str, str]:
        """Return the header fields of the credential for a request. Raises `DnsError`."""
        del method, url, content
        return self._headers

    async def turn(self, method: str) -> None:
        """Wait until a request may be sent."""
        del method
        await self.pace.turn()

    def counted_as(self, method: str, zone: HostedZone | None) -> str:
        """Return what the API counts a request with; see `ProviderContext.request`."""
        del method, zone
        return ""

    async def call(
        self,
        method: str,
        path: str,
        *,
        zone: HostedZone | None = None,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        may_be_gone: bool = False,
    ) -> Any:
        """Send a request; return what its answer holds, None if that is nothing.

        What is to be deleted and is not there is no error.

        Args:
            method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
            path: Its segments that others choose are quoted by `segment`.
            zone: What it is about, for messages.
            query: Parameters.
            body: Becomes JSON.
            may_be_gone: Whether it is no error either if what is asked for is not there.

        Raises:
            Outdated: Somebody else was quicker.
            ProviderRefused: The API did not accept it.
            ProviderUnreachable: No answer came that can be used.
        """
        _, answer = await self.exchange(method, path, zone=zone, query=query, body=body, may_be_gone=may_be_gone)
        return answer

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        zone: HostedZone | None = None,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        may_be_gone: bool = False,
    ) -> tuple[Response, Any]:
        """Send a request; return its answer and what that holds, as `call` does."""
        url = f"{self._url}{path}?{urlencode(query)}" if query else f"{self._url}{path}"
        content = None if body is None else json.dumps(body).encode()
        await self.turn(method)
        headers = {"Accept": "application/json", **await self.headers(method, url, content)}
        if content is not None:
            headers["Content-Type"] = "application/json"
        response = await self._context.request(
            method, url, headers=headers, content=content, counted_as=self.counted_as(method, zone)
        )
        answer = value_of(response) if response.body else None
        if self.failed(response, answer):
            if response.status == HTTPStatus.NOT_FOUND and (may_be_gone or method == "DELETE"):
                return response, None
            raise self._refusal(response, code_of(self.code(answer)), zone)
        if answer is None and (response.body or method == "GET"):
            raise not_understood(response)
        return response, answer

    async def every(
        self, fetch: Callable[[str], Awaitable[Page]], zone: HostedZone | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the objects of all pages of a list.

        Args:
            fetch: Fetches a page, the first for an empty string; raises `DnsError`.
            zone: Whose records it has; None for a list of zones.

        Raises:
            ListTooLong: There is more than is read of a list.
            DnsError: As for `call`.
        """
        async for item in every_item(fetch, Listing(label_of(zone), monotonic=self._context.monotonic)):
            if isinstance(item, dict):
                yield item

    def numbered(
        self,
        path: str,
        key: str | None,
        *,
        size: tuple[str, int],
        query: Mapping[str, str] | None = None,
        zone: HostedZone | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the objects of a list whose pages have numbers.

        Args:
            path: Of the list.
            key: The field that has the objects; None if the answer is the list.
            size: The parameter for the size of a page, and the size.
            query: Other parameters.
            zone: Whose records it has; None for a list of zones.

        Raises:
            DnsError: As for `every`.
        """

        async def fetch(page: str) -> Page:
            number = int(page or "1")
            asked = {**(query or {}), "page": str(number), size[0]: str(size[1])}
            response, answer = await self.exchange("GET", path, zone=zone, query=asked)
            items = answer if key is None else field_of(answer, key)
            # A full page may be followed by another one, whatever has become of the fields that say so.
            more = is_full(items, size[1]) or (items and (_goes_on(answer, number) or next_page(response)))
            return Page(response, items, str(number + 1) if more else "")

        return self.every(fetch, zone)

    def linked(
        self, path: str, parameter: str, *, query: Mapping[str, str] | None = None, zone: HostedZone | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the objects of a list whose pages link the next one (RFC 8288).

        Of a link only one parameter is used: the credential is sent nowhere else than to the API.

        Args:
            path: Of the list.
            parameter: The one that tells the pages apart.
            query: Other parameters.
            zone: Whose records it has; None for a list of zones.

        Raises:
            DnsError: As for `every`.
        """

        async def fetch(page: str) -> Page:
            response, items = await self.exchange("GET", path, zone=zone, query={**(query or {}), parameter: page})
            return Page(response, items, parse_qs(urlsplit(next_page(response)).query).get(parameter, [""])[0])

        return self.every(fetch, zone)

    def _refusal(self, response: Response, code: str, zone: HostedZone | None) -> Exception:
        if zone is not None and self.is_outdated(response, code):
            return Outdated()
        about = f", for {zone.name}" if zone is not None else ""
        if self.lacks_rights(response, code):
            error = refused(response, code, f"{self._rights}{about}")
            error.for_all = True
            return error
        if response.status == HTTPStatus.NOT_FOUND and zone is not None:
            return refused(response, code, f"the zone {zone.name} is gone, or the credential may not see it")
        return refused(response, code, f"the request{about} is not one that it takes")

    def is_outdated(self, response: Response, code: str) -> bool:
        """Return whether a refusal says that somebody else was quicker."""
        del response, code
        return False

    def lacks_rights(self, response: Response, code: str) -> bool:
        """Return whether a refusal says that the credential is wrong or has no rights."""
        del code
        return response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def is_full(items: Any, size: int) -> bool:
    """Return whether a page has as many items as one can have, so that another one may follow."""
    return isinstance(items, list) and len(items) >= size


def next_page(response: Response) -> str:
    """Return the URL of the page after an answer's, which it links (RFC 8288); empty if it is the last one."""
    return next(iter(links_to(parse_links(response.headers.get_all("Link"), base=response.url), "next")), "")


def field_of(answer: Any, *path: str) -> Any:
    """Return a field of an answer, by the names of those around it; None if it is not there."""
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


def _goes_on(answer: Any, number: int) -> bool:
    pages = field_of(answer, "pages")
    return (isinstance(pages, int) and pages > number) or bool(field_of(answer, "links", "pages", "next"))


def segment(text: str) -> str:
    """Write a text as one segment of a path."""
    return quote(text, safe="@")


def bearer(token: str) -> dict[str, str]:
    """Return the header field of a bearer token (RFC 6750 section 2.1)."""
    return {"Authorization": f"Bearer {token}"}


def relative(name: str, zone: HostedZone, apex: str = "") -> str:
    """Write a name without its zone.

    Args:
        name: In the zone.
        zone: The zone.
        apex: How the API writes the name of the zone itself.
    """
    return name.removesuffix(zone.name).rstrip(".") or apex


def below(name: Any, zone: HostedZone) -> str:
    """Read a name that an API writes without its zone; the zone itself as an empty text or as `@`."""
    text = str(name if name is not None else "").lower()
    return zone.name if text in ("", "@") else f"{text}.{zone.name}"


def absolute(name: Any, zone: HostedZone) -> str:
    """Read a name that an API writes as a whole, with a dot at its end or without."""
    del zone
    return str(name or "").lower().removesuffix(".")
