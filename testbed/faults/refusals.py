"""A CA that refuses: rate limits, maintenance, defects of its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

from testbed.exchanges import Stream

from .answers import made_up
from .fault import MARKER, in_place_of

if TYPE_CHECKING:
    from testbed.exchanges import Response

    from .fault import Exchange

WAIT = timedelta(minutes=10)
"""How long the CA asks to wait."""
HELP = "https://ca.example.test/limits"
HTML = f"<html><title>{MARKER}</title></html>".encode()


def _in_seconds() -> dict[str, str]:
    return {"Retry-After": f"{WAIT.total_seconds():.0f}"}


def _as_date() -> dict[str, str]:
    return {"Retry-After": format_datetime(datetime.now(UTC) + WAIT, usegmt=True)}


def problem(status: int, kind: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return an answer with a problem document of one of ACME's types."""
    document = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": status}
    return made_up(status, "application/problem+json", json.dumps(document).encode(), headers)


@in_place_of("newOrder")
def rate_limited_for_seconds(_: Exchange) -> Response:
    """429 with a problem document, Retry-After in seconds and a link to the limits."""
    headers = {**_in_seconds(), "Link": f'<{HELP}>;rel="help"'}
    return problem(429, "rateLimited", "too many new orders", headers)


@in_place_of("newOrder")
def rate_limited_until_date(_: Exchange) -> Response:
    """429 with a problem document and Retry-After as an HTTP date."""
    return problem(429, "rateLimited", "too many new orders", _as_date())


@in_place_of("newOrder")
def rate_limited_by_gateway(_: Exchange) -> Response:
    """429 with an HTML page and Retry-After in seconds."""
    return made_up(429, "text/html", HTML, _in_seconds())


@in_place_of("order")
def rate_limited_and_cut_off(_: Exchange) -> Stream:
    """429 with Retry-After in seconds, cut off by a reset inside the page."""
    headers = {"Content-Type": "text/html", **_in_seconds()}
    return Stream(429, headers, lambda: [HTML], length=2 * len(HTML), ending="reset")


@in_place_of("order")
def unavailable_for_seconds(_: Exchange) -> Response:
    """503 with an HTML page and Retry-After in seconds."""
    return made_up(503, "text/html", HTML, _in_seconds())


@in_place_of("order")
def unavailable_until_date(_: Exchange) -> Response:
    """503 with an HTML page and Retry-After as an HTTP date."""
    return made_up(503, "text/html", HTML, _as_date())


@in_place_of("order")
def unavailable_with_endless_page(_: Exchange) -> Stream:
    """503 with Retry-After in seconds and an endless page."""
    headers = {"Content-Type": "text/html", **_in_seconds()}
    return Stream(503, headers, lambda: iter(lambda: HTML * 1000, b""))


@in_place_of("finalize")
def internal_error(_: Exchange) -> Response:
    """500 with a problem document."""
    return problem(500, "serverInternal", "the signer is out of order")


@in_place_of("finalize")
def internal_error_in_html(_: Exchange) -> Response:
    """500 with an HTML page."""
    return made_up(500, "text/html", HTML)
