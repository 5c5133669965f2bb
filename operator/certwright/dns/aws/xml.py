"""Parses XML from AWS: bounded, and without a DOCTYPE."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from certwright.dns.hosted.answer import code_of, not_understood

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from certwright.http.message import Response

LONG_BYTES: Final = 32 * 1024
"""What is longer takes milliseconds: it is parsed in a thread."""


async def xml_of(response: Response) -> Element:
    """Return the element that an answer holds.

    Raises:
        ProviderUnreachable: It holds none, or it has a DOCTYPE: something else answered, such as a proxy.
    """
    found = await asyncio.to_thread(parsed, response.body) if len(response.body) > LONG_BYTES else parsed(response.body)
    if found is None:
        raise not_understood(response)
    return found


def parsed(body: bytes) -> Element | None:
    """Return the element that a body holds; None if it is no XML in UTF-8, or has a DOCTYPE."""
    try:
        # As text, so that no declared encoding can hide what is looked for. Entities need a DOCTYPE, and AWS has none.
        text = body.decode()
        return None if "<!DOCTYPE" in text else ET.fromstring(text)  # noqa: S314 - see above
    except (ValueError, ET.ParseError):
        return None


def text_of(element: Element, *path: str) -> str:
    """Return the text of an element below another one, whatever their namespace; empty if there is none."""
    return (element.findtext("/".join(f"{{*}}{name}" for name in path)) or "").strip()


def error_code(response: Response) -> str:
    """Return the code of an error that AWS answered, or an empty text.

    The shapes are `<ErrorResponse><Error><Code>` and, of some errors of Route 53, an element named as the code.
    """
    root = parsed(response.body) if len(response.body) <= LONG_BYTES else None
    if root is None:
        return ""
    name = root.tag.rpartition("}")[2]
    return code_of(text_of(root, "Error", "Code") or ("" if name == "ErrorResponse" else name))
