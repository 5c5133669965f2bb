"""Parsing of untrusted JSON, field by field, with errors that name the field.

Strict about what the next step needs, lenient about the rest: CAs omit members, or set them to `null` or empty strings,
which must not break an issuance that does not need them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from certwright.acme.errors import MalformedResponse
from certwright.acme.identifier import Identifier
from certwright.acme.problem import Problem, parse_problem
from certwright.http.link import resolve
from certwright.text import MAX_TEXT, printable

if TYPE_CHECKING:
    from enum import StrEnum

    from certwright.acme.transport import UrlPolicy
    from certwright.http.message import Response

_Status = TypeVar("_Status", bound="StrEnum")

_MAX_IDENTIFIER = 255

_OTHER_LABEL = re.compile(rb"-----BEGIN (?!(?:X509 )?CERTIFICATE-----)[^-]+-----")


@dataclass(frozen=True)
class Fields:
    """The members of one JSON object of a response.

    Unknown members are ignored (RFC 8555 section 7.1). A member that is null or an empty string counts as absent. The
    methods `shown`, `flag`, `any_...` and `readable_...` are for what no step depends on: another shape counts as
    absent, too. The others raise `MalformedResponse`.

    Attributes:
        document: The object.
        what: Its description, for messages: "the order", "challenge 1 of the authorization".
        source: The response it came in.
        urls: Which URLs are acceptable.
    """

    document: Mapping[str, Any]
    what: str
    source: Response
    urls: UrlPolicy

    @classmethod
    def of(cls, response: Response, what: str, urls: UrlPolicy) -> Fields:
        """Parse the object in the body of a response.

        Raises:
            MalformedResponse: The content type or the content is not JSON, or it is not an object.
        """
        if response.media_type != "application/json" and not response.media_type.endswith("+json"):
            media_type = printable(response.media_type, 80) or "no content type"
            raise malformed(response, f"{what} came as {media_type} instead of application/json")
        document = load_json(response.body)
        if not isinstance(document, Mapping):
            raise malformed(response, f"{what} is not a complete JSON object")
        return cls(document, what, response, urls)

    def fail(self, name: str, expectation: str) -> NoReturn:
        """Raise a `MalformedResponse` about one member."""
        raise malformed(self.source, f"{name!r} of {self.what} is {expectation}")

    def text(self, name: str) -> str:
        """Return a required string."""
        value = self.optional_text(name)
        return self.fail(name, "missing") if value is None else value

    def optional_text(self, name: str) -> str | None:
        """Return a string, or None."""
        value = self.document.get(name)
        if value is None or value == "":
            return None
        return value if isinstance(value, str) else self.fail(name, "no string")

    def shown(self, name: str, limit: int = MAX_TEXT) -> str | None:
        """Return a string that is only shown, printable and cut, or None."""
        value = self.document.get(name)
        return (printable(value, limit) or None) if isinstance(value, str) else None

    def shown_list(self, name: str, limit: int = MAX_TEXT) -> tuple[str, ...]:
        """Return the strings of an array that are only shown; one string alone counts as such an array."""
        value = self.document.get(name)
        items = value if isinstance(value, list) else [value]
        return tuple(printable(item, limit) for item in items if isinstance(item, str) and item)

    def flag(self, name: str) -> bool:
        """Return a boolean, False if it is absent or no boolean."""
        value = self.document.get(name)
        return value is True or (isinstance(value, str) and value.lower() == "true")

    def url(self, name: str) -> str:
        """Return a required URL.

        Raises:
            UnsafeUrl: It must not be requested.
        """
        return self._checked(self.text(name), name)

    def optional_url(self, name: str) -> str | None:
        """Return a URL, or None.

        Raises:
            UnsafeUrl: It must not be requested.
        """
        value = self.optional_text(name)
        return None if value is None else self._checked(value, name)

    def readable_url(self, name: str) -> str | None:
        """Return a URL that this step does not request, or None. It is checked when it is requested."""
        value = self.document.get(name)
        return self._absolute(value) if isinstance(value, str) and value else None

    def url_list(self, name: str) -> tuple[str, ...]:
        """Return an array of URLs, empty if it is absent.

        Raises:
            UnsafeUrl: One must not be requested.
        """
        urls = [item for item in self.items(name) if item is not None and item != ""]
        if not all(isinstance(url, str) for url in urls):
            self.fail(name, "not an array of strings")
        return tuple(self._checked(url, name) for url in urls)

    def usable_urls(self, name: str) -> tuple[str, ...]:
        """Return those URLs of a member, one or an array of them, that may be requested."""
        value = self.document.get(name)
        found = (
            self._absolute(item) for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)
        )
        return tuple(url for url in found if self.urls.accepts(url))

    def items(self, name: str) -> list[Any]:
        """Return an array, empty if it is absent."""
        value = self.document.get(name)
        if value is None or value == "":
            return []
        return value if isinstance(value, list) else self.fail(name, "no array")

    def instant(self, name: str) -> datetime:
        """Return a required time of RFC 3339 in UTC."""
        value = self.text(name)
        return _instant(value) or self.fail(name, "not an RFC 3339 time with a zone")

    def readable_instant(self, name: str) -> datetime | None:
        """Return a time of RFC 3339 in UTC, or None if there is none that can be read."""
        value = self.document.get(name)
        return _instant(value) if isinstance(value, str) else None

    def status(self, kind: type[_Status]) -> _Status:
        """Return the member `status` as one of the states that section 7.1.6 defines."""
        value = self.text("status")
        try:
            return kind(value.strip().lower())
        except ValueError:
            self.fail("status", f"{printable(value, 40)!r}, which is not one of {', '.join(kind)}")

    def child(self, name: str) -> Fields | None:
        """Return the object in a member, or None."""
        value = self.document.get(name)
        return None if value is None else self._object(value, name)

    def children(self, name: str) -> tuple[Fields, ...]:
        """Return the objects in an array, empty if it is absent."""
        return tuple(self._object(item, f"{name}[{index}]") for index, item in enumerate(self.items(name)))

    def any_child(self, name: str) -> Fields | None:
        """Return the object in a member that no step depends on, or None."""
        value = self.document.get(name)
        return self._object(value, name) if isinstance(value, Mapping) else None

    def problem(self, name: str) -> Problem | None:
        """Return the problem document in a member, or None. Of a problem that is only a text, that is the detail."""
        value = self.document.get(name)
        if isinstance(value, str) and value:
            return Problem(detail=printable(value))
        return parse_problem(value) if isinstance(value, Mapping) and value else None

    def identifier(self) -> Identifier:
        """Parse this object as an identifier. Without a type it is one of DNS, the only type that most CAs know."""
        kind, value = self.optional_text("type") or "dns", self.text("value")
        if len(value) > _MAX_IDENTIFIER or printable(value) != value:
            self.fail("value", "not a domain or address")
        return Identifier(printable(kind, 20).lower(), value)

    def _object(self, value: object, name: str) -> Fields:
        if not isinstance(value, Mapping):
            self.fail(name, "no object")
        return Fields(value, f"{name} of {self.what}", self.source, self.urls)

    def _checked(self, url: str, name: str) -> str:
        return self.urls.check(self._absolute(url), what=f"{name!r} of {self.what}")

    def _absolute(self, url: str) -> str:
        # RFC 8555 has absolute URLs only; a path of the same server, which some send, can mean one thing only.
        if not url.startswith("/") or url.startswith("//"):
            return url
        return resolve(self.source.url, url)


def _instant(text: str) -> datetime | None:
    try:
        # Section 5.6 of RFC 3339 lets T and Z be written small; Python does not.
        parsed = datetime.fromisoformat(text.strip().upper())
        return None if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def load_json(body: bytes) -> object:
    """Parse JSON; return None if it is invalid or nested too deeply."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def is_whole(response: Response, *, accept: str) -> bool:
    """Return whether an answer that cannot be used is the CA's own, rather than a gateway's page or cut off.

    Args:
        response: A success.
        accept: The media type that was asked for: JSON, or else PEM.
    """
    if accept == "application/json":
        return isinstance(load_json(response.body), Mapping)
    # Nor is something else than a certificate asked for twice.
    return bool(_OTHER_LABEL.search(response.body)) or (
        b"-----BEGIN " in response.body and response.body.rstrip().endswith(b"-----")
    )


def malformed(response: Response, complaint: str) -> MalformedResponse:
    """Return the error for a response that does not conform; the body is never quoted."""
    return MalformedResponse(
        f"Not an ACME response from {response.url} (HTTP {response.status}): {complaint}."
        " Check that the URL is that of an ACME server and that nothing in between answers for it",
        url=response.url,
        status=response.status,
    )


def contradiction(url: str, complaint: str) -> MalformedResponse:
    """Return the error for an object that contradicts the request."""
    return MalformedResponse(f"The server at {url} contradicts itself: {complaint}", url=url, status=200)
