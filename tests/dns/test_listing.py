"""Lists in pages: read to their end, within bounds, wherever the pages lead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.dns import ProviderRefused, ProviderUnreachable
from certwright.dns.hosted import listing
from certwright.dns.hosted.listing import Listing, ListTooLong, Page, every_item
from certwright.http.message import Headers, Response

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "https://api.dns.example/v1/zones"


def page(items: Any, following: str = "", *, size: int = 2) -> Page:
    return Page(Response(200, Headers({}), b"x" * size, URL), items, following)


async def read(pages: Callable[[str], Page], read_as: Listing | None = None) -> list[Any]:
    async def fetch(following: str) -> Page:
        return pages(following)

    return [item async for item in every_item(fetch, read_as or Listing())]


def numbered(following: str, items: Any = ("a",), *, size: int = 2) -> Page:
    return page(list(items), str(int(following or "0") + 1), size=size)


async def test_all_pages_are_read_in_their_order_also_after_one_that_is_empty() -> None:
    pages = {"": page([1, 2], "b"), "b": page([], "c"), "c": page(None, "d"), "d": page([3])}
    assert await read(pages.__getitem__) == [1, 2, 3]


@pytest.mark.parametrize(
    ("bound", "most", "said"),
    [
        ("MAX_PAGES", 7, "more than 7 pages of zones"),
        ("MAX_ITEMS", 7, "more than 7 zones"),
        ("MAX_BYTES", 7 << 20, "more than 7 MiB of zones"),
    ],
)
async def test_a_list_without_an_end_is_told(monkeypatch: pytest.MonkeyPatch, bound: str, most: int, said: str) -> None:
    monkeypatch.setattr(listing, bound, most)
    read_pages = []

    def pages(following: str) -> Page:
        read_pages.append(following)
        return numbered(following, size=1 << 20)

    with pytest.raises(ListTooLong, match=rf"api\.dns\.example lists {said}.*use a credential that may see") as caught:
        await read(pages)
    assert len(read_pages) <= 8
    assert isinstance(caught.value, ProviderRefused)
    assert caught.value.host == "api.dns.example"


async def test_a_list_that_is_as_long_as_may_be_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_PAGES", 3)
    monkeypatch.setattr(listing, "MAX_ITEMS", 6)
    found = await read(lambda at: page([at, at], "" if at == "2" else str(int(at or "0") + 1)))
    assert found == ["", "", "1", "1", "2", "2"]


async def test_of_records_it_says_which_zone_and_that_a_cname_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_PAGES", 2)
    with pytest.raises(ListTooLong, match=r"2 pages of records of example\.com.*CNAME"):
        await read(numbered, Listing("example.com"))


async def test_a_page_that_leads_back_to_one_that_was_read_ends_it() -> None:
    for links in ({"": "b", "b": "b"}, {"": "b", "b": "c", "c": "b"}):
        with pytest.raises(
            ProviderUnreachable, match=r"zones that the DNS provider at api\.dns\.example lists lead back"
        ):
            await read(lambda following, links=links: page(["a"], links[following]))  # type: ignore[misc]


async def test_a_server_that_is_slow_with_each_page_is_not_waited_for() -> None:
    now = [0.0]

    def pages(following: str) -> Page:
        now[0] += 59
        return numbered(following)

    with pytest.raises(ProviderUnreachable, match="has not finished its list of zones within 600 s"):
        await read(pages, Listing(monotonic=lambda: now[0]))
    assert now[0] < 660


async def test_a_caller_gets_the_items_of_a_page_before_the_next_is_asked_for() -> None:
    asked = []

    async def fetch(following: str) -> Page:
        asked.append(following)
        return numbered(following)

    items = every_item(fetch, Listing())
    assert await anext(items) == "a"
    assert asked == [""]
    await items.aclose()  # type: ignore[attr-defined]  # it is a generator
