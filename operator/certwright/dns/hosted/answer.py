"""Reads an API's responses: bounded, and never quoted in a message."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from certwright.dns.errors import ProviderRefused, ProviderUnreachable
from certwright.http.url import host_of

if TYPE_CHECKING:
    from certwright.http.message import Response

MAX_VALUES: Final = 500_000
"""Values in one answer: a megabyte of empty objects would become more than twenty in memory."""

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}|[0-9]{1,9}")
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def json_of(response: Response) -> dict[str, Any]:
    """Return the object that an answer holds.

    Raises:
        ProviderUnreachable: It holds none: something else answered, such as a proxy.
    """
    found = value_of(response)
    if not isinstance(found, dict):
        raise not_understood(response)
    return found


def value_of(response: Response) -> Any:
    """Return what an answer holds, an object or a list; None if it is no JSON in UTF-8 (RFC 8259 section 8).

    A surrogate without its other half is no character: nothing that has one could be sent back. Nor is what has more
    values than any answer needs an answer.
    """
    body = response.body
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_VALUES:
        return None
    try:
        text = body.decode("utf-8-sig")
        found = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return found


def objects_of(found: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, which an API may leave out if it is empty."""
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def not_understood(response: Response) -> ProviderUnreachable:
    """Return the error for an answer that is not one of the API's."""
    host = host_of(response.url)
    return ProviderUnreachable(
        f"the DNS provider at {host} answered with HTTP {response.status} and nothing that is an answer of its API",
        host=host,
    )


def code_of(said: object) -> str:
    """Return an API's own code for an error, if it looks like one: nothing else of an answer is shown."""
    text = str(said) if isinstance(said, str | int) and not isinstance(said, bool) else ""
    return text if _CODE.fullmatch(text) else ""


def refused(response: Response, code: str, why: str) -> ProviderRefused:
    """Return the error for a request that the API did not accept.

    Args:
        response: What it answered.
        code: From `code_of`, or empty.
        why: What to do, or what it means.
    """
    host = host_of(response.url)
    said = f"HTTP {response.status}, {code}" if code else f"HTTP {response.status}"
    return ProviderRefused(
        f"the DNS provider at {host} refused the request ({said}): {why}",
        host=host,
        code=code,
        for_all=response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN),
    )
