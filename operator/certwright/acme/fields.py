"""Parsing of untrusted JSON, field by field, with errors that name the field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from certwright.acme.errors import MalformedResponse
from certwright.acme.identifier import Identifier
from certwright.acme.problem import Problem, parse_problem
from certwright.text import printable

if TYPE_CHECKING:
    from enum import StrEnum

    from certwright.acme.transport import UrlPolicy
    from certwright.http.message import Response

_Status = TypeVar("_Status", bound="StrEnum")

_MAX_IDENTIFIER = 255


@dataclass(frozen=True)
class Fields:
    """The members of one JSON object of a response.

    Unknown members are ignored (RFC 8555 section 7.1). A null member counts as absent.

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
        return value if value is None or isinstance(value, str) else self.fail(name, "no string")

    def flag(self, name: str) -> bool:
        """Return a boolean, False if it is absent."""
        value = self.document.get(name)
        return False if value is None else value if isinstance(value, bool) else self.fail(name, "no boolean")

    def url(self, name: str) -> str:
        """Return a required URL.

        Raises:
            UnsafeUrl: It must not be requested.
        """
        return self.urls.check(self.text(name), what=f"{name!r} of {self.what}")

    def optional_url(self, name: str) -> str | None:
        """Return a URL, or None."""
        return None if self.document.get(name) is None else self.url(name)

    def items(self, name: str) -> list[Any]:
        """Return an array, empty if it is absent."""
        value = self.document.get(name)
        return [] if value is None else value if isinstance(value, list) else self.fail(name, "no array")

    def texts(self, name: str) -> tuple[str, ...]:
        """Return an array of strings, empty if it is absent."""
        items = self.items(name)
        return (
            tuple(items) if all(isinstance(item, str) for item in items) else self.fail(name, "not an array of strings")
        )

    def url_list(self, name: str) -> tuple[str, ...]:
        """Return an array of URLs, empty if it is absent."""
        return tuple(self.urls.check(url, what=f"{name!r} of {self.what}") for url in self.texts(name))

    def instant(self, name: str) -> datetime | None:
        """Return a time of RFC 3339 in UTC, or None."""
        value = self.optional_text(name)
        if value is None:
            return None
        try:
            # Section 5.6 of the RFC lets T and Z be written small; Python does not.
            parsed = datetime.fromisoformat(value.upper())
            return self.fail(name, "not a time with a zone") if parsed.tzinfo is None else parsed.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(name, "not an RFC 3339 time")

    def status(self, kind: type[_Status]) -> _Status:
        """Return the member `status` as one of the states that section 7.1.6 defines."""
        value = self.text("status")
        try:
            return kind(value)
        except ValueError:
            self.fail("status", f"{printable(value, 40)!r}, which is not one of {', '.join(kind)}")

    def child(self, name: str) -> Fields | None:
        """Return the object in a member, or None."""
        value = self.document.get(name)
        return None if value is None else self._object(value, name)

    def children(self, name: str) -> tuple[Fields, ...]:
        """Return the objects in an array, empty if it is absent."""
        return tuple(self._object(item, f"{name}[{index}]") for index, item in enumerate(self.items(name)))

    def problem(self, name: str) -> Problem | None:
        """Return the problem document in a member, or None."""
        child = self.child(name)
        return None if child is None else parse_problem(child.document)

    def identifier(self) -> Identifier:
        """Parse this object as an identifier."""
        kind, value = self.text("type"), self.text("value")
        if not value or len(value) > _MAX_IDENTIFIER or printable(value) != value:
            self.fail("value", "not a domain or address")
        return Identifier(printable(kind, 20), value)

    def _object(self, value: object, name: str) -> Fields:
        if not isinstance(value, Mapping):
            self.fail(name, "no object")
        return Fields(value, f"{name} of {self.what}", self.source, self.urls)


def load_json(body: bytes) -> object:
    """Parse JSON; return None if it is invalid or nested too deeply."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


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
