"""Paged lists of an API: read completely, within bounds, wherever their links point."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from certwright.dns.errors import ProviderRefused, ProviderUnreachable
from certwright.http.url import host_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from certwright.http.message import Response

MAX_PAGES: Final = 1000
"""Pages of one list: 50,000 zones, where an API gives 50 at a time."""
MAX_ITEMS: Final = 100_000
"""Zones, records or sets of one list."""
MAX_BYTES: Final = 64 << 20
"""Of all pages together. They are not kept, but what is looked for may be in each."""
MAX_SECONDS: Final = 600.0
"""For all pages together: a server that is slow with each of them would be waited for during hours."""

_FEWER_ZONES: Final = "use a credential that may see fewer of them"
_SMALLER_ZONE: Final = "delegate the names of challenges to a smaller zone by CNAME records (cnameStrategy: Follow)"


class ListTooLong(ProviderRefused):
    """A list that an API gives is longer than what is read of one. The message says which, and what to do."""


class Page(NamedTuple):
    """A page of a list.

    Attributes:
        response: The answer that has it.
        items: What is on it; anything but a list has none.
        following: What the next one is asked with; empty if it is the last.
    """

    response: Response
    items: Any
    following: str = ""


class Listing:
    """Counts what is read of one list.

    Args:
        of: The zone whose records it has; empty for a list of zones.
        monotonic: The clock, in seconds.
    """

    def __init__(self, of: str = "", *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._what = f"records of {of}" if of else "zones"
        self._way_out = _SMALLER_ZONE if of else _FEWER_ZONES
        self._monotonic = monotonic
        self._started = monotonic()
        self._pages = self._items = self._bytes = 0
        self._followed: set[object] = {""}

    def count(self, response: Response, items: int, following: object) -> None:
        """Count a page, and look at what follows it.

        Args:
            response: The answer that has the page.
            items: How many are on it.
            following: What the next page is asked with; empty if it is the last one.

        Raises:
            ListTooLong: There is more than is read of a list.
            ProviderUnreachable: It takes too long, or the next page was read already.
        """
        self._pages += 1
        self._items += items
        self._bytes += len(response.body)
        host = host_of(response.url)
        for counted, most, what in (
            (self._items, MAX_ITEMS, f"{MAX_ITEMS} {self._what}"),
            (self._bytes, MAX_BYTES, f"{MAX_BYTES >> 20} MiB of {self._what}"),
            (self._pages + bool(following), MAX_PAGES, f"{MAX_PAGES} pages of {self._what}"),
        ):
            if counted > most:
                raise ListTooLong(
                    f"the DNS provider at {host} lists more than {what}, and no more are read: {self._way_out}",
                    host=host,
                )
        if not following:
            return
        if self._monotonic() - self._started > MAX_SECONDS:
            raise ProviderUnreachable(
                f"the DNS provider at {host} has not finished its list of {self._what} within {MAX_SECONDS:g} s: "
                f"{self._way_out}",
                host=host,
            )
        if following in self._followed:
            raise ProviderUnreachable(
                f"the pages of {self._what} that the DNS provider at {host} lists lead back to one of them: it is out "
                "of service",
                host=host,
            )
        self._followed.add(following)


async def every_item(fetch: Callable[[str], Awaitable[Page]], listing: Listing) -> AsyncIterator[Any]:
    """Yield what is on all pages, one after the other: a caller keeps only what it looks for.

    Args:
        fetch: Fetches a page, the first for an empty string; raises `DnsError`.
        listing: Counts them.

    Raises:
        ListTooLong: There is more than is read of a list.
        ProviderUnreachable: The pages lead back to one of them, or take too long.
        DnsError: A page cannot be read.
    """
    following = ""
    while True:
        response, found, following = await fetch(following)
        items: Sequence[Any] = found if isinstance(found, list) else ()
        listing.count(response, len(items), following)
        for item in items:
            yield item
        if not following:
            return
