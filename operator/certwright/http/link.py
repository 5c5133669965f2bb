"""Link header fields (RFC 8288): the next page, alternate chains, terms of service, help."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LINKS: Final = 50
"""The most links that are parsed; a legitimate response has a handful."""

_LINK = re.compile(
    r'\s*<(?P<target>[^<>"\s]*)>(?P<parameters>(?:\s*;\s*[^\s=;,"<>]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*))?)*)'
)
_PARAMETER = re.compile(r';\s*(?P<name>[^\s=;,"<>]+)\s*(?:=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^\s;,"]*)))?')
_SEPARATOR = re.compile(r"\s*(?:,\s*)+")
# A scheme and two slashes (RFC 3986 section 3); further on they may stand in a relative reference, too.
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class Link:
    """One link.

    Attributes:
        url: The target, absolute.
        relations: The relation types, in lower case.
    """

    url: str
    relations: frozenset[str]


def parse_links(values: Iterable[str], *, base: str) -> tuple[Link, ...]:
    """Parse the values of all `Link` fields of a response.

    Parsing of a field ends at the first error: the links before it count.

    Args:
        values: The field values; each may hold several links.
        base: The URL of the request; relative targets are resolved against it.
    """
    links: list[Link] = []
    for value in values:
        position = 0
        while len(links) < MAX_LINKS and (match := _LINK.match(value, position)):
            link = _link(match["target"], match["parameters"], base)
            if link is not None:
                links.append(link)
            separator = _SEPARATOR.match(value, match.end())
            if separator is None:
                break
            position = separator.end()
    return tuple(links)


def links_to(links: Iterable[Link], relation: str) -> tuple[str, ...]:
    """Return the URLs of the links with this relation type, each once, in order."""
    return tuple(dict.fromkeys(link.url for link in links if relation in link.relations))


def _link(target: str, parameters: str, base: str) -> Link | None:
    relations: frozenset[str] = frozenset()
    for match in _PARAMETER.finditer(parameters):
        # Only the first rel parameter counts (RFC 8288 section 3.3).
        if match["name"].lower() == "rel" and not relations:
            relations = frozenset((match["quoted"] or match["token"] or "").lower().split())
    try:
        return Link(resolve(base, target), relations)
    except ValueError:
        return None


def resolve(base: str, target: str) -> str:
    """Resolve a reference against the request URL, leaving an absolute URL exactly as the server wrote it.

    Raises:
        ValueError: The target cannot be read as a URL.
    """
    return target if _ABSOLUTE.match(target) else urljoin(base, target)
