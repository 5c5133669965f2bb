"""Retry-After: seconds or a date, from untrusted servers (RFC 9110 section 10.2.3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from certwright.http.message import Headers

MAX_RETRY_AFTER = timedelta(days=7).total_seconds()
"""The longest wait that is respected. The longest limits of public CAs cover a week."""

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_INTERNET_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]{5,20}(?:[Zz]|[+-][0-9:]{4,5})")
_HTTP_DATE = re.compile(r"[A-Za-z]{3,9},? [A-Za-z0-9 :-]{10,40}")


def retry_after_seconds(headers: Headers, *, now: datetime) -> float | None:
    """Return how long the server asks to wait, between 0 and `MAX_RETRY_AFTER` seconds.

    A date is relative to the server's own `Date` if it sent one, so that a wrong local clock does not matter.

    Args:
        headers: The header fields of the response.
        now: The local time, aware.

    Returns:
        Seconds, or None if the field is missing or invalid.
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        # Of however many digits: a float is infinite at worst.
        return min(float(value), MAX_RETRY_AFTER)
    until = _parse_internet_date(value) or _parse_http_date(value)
    if until is None:
        return None
    start = _parse_http_date((headers.get("Date") or "").strip()) or now
    return min(max((until - start).total_seconds(), 0.0), MAX_RETRY_AFTER)


def _parse_internet_date(value: str) -> datetime | None:
    """Parse the form of RFC 3339, which the rest of ACME has; some servers use it here, too."""
    if not _INTERNET_DATE.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _parse_http_date(value: str) -> datetime | None:
    if not _HTTP_DATE.fullmatch(value):
        return None
    try:
        parsed = parsedate_to_datetime(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
