"""Problem documents: how an ACME server says no (RFC 8555 section 6.7, RFC 7807)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from certwright.acme.identifier import Identifier
from certwright.text import printable

#: What all error types of RFC 8555 begin with.
ERROR_NAMESPACE: Final = "urn:ietf:params:acme:error:"

_MAX_TYPE = 120
_MAX_NAME = 255
_SHOWN_SUBPROBLEMS = 5


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What the server says went wrong. All texts are single lines of printable characters, cut to 500.

    Attributes:
        type: A URI, `urn:ietf:params:acme:error:...` for ACME's own; `about:blank` if there is none.
        detail: An explanation for people.
        title: A short summary of the type.
        status: The HTTP status the document names, which for a problem inside a resource is the only one.
        instance: A URL for the user to visit, for `userActionRequired`.
        algorithms: What the server accepts, for `badSignatureAlgorithm` (section 6.2).
        subproblems: What went wrong by identifier (section 6.7.1).
    """

    type: str = "about:blank"
    detail: str = ""
    title: str = ""
    status: int | None = None
    instance: str | None = None
    algorithms: tuple[str, ...] = ()
    subproblems: tuple[Subproblem, ...] = ()

    @property
    def kind(self) -> str:
        """The type without ACME's prefix, such as `rateLimited`."""
        return self.type.removeprefix(ERROR_NAMESPACE)

    @property
    def by_identifier(self) -> dict[str, Subproblem]:
        """The first subproblem of each identifier, by its value."""
        found: dict[str, Subproblem] = {}
        for subproblem in self.subproblems:
            if subproblem.identifier is not None:
                found.setdefault(subproblem.identifier.value, subproblem)
        return found

    def __str__(self) -> str:
        said = ": ".join(part for part in (self.kind, self.detail or self.title) if part)
        shown = "; ".join(str(subproblem) for subproblem in self.subproblems[:_SHOWN_SUBPROBLEMS])
        more = len(self.subproblems) - _SHOWN_SUBPROBLEMS
        if more > 0:
            shown += f"; and {more} more"
        return f"{said} [{shown}]" if shown else said


@dataclass(frozen=True, kw_only=True)
class Subproblem(Problem):
    """A problem with one identifier of a request (RFC 8555 section 6.7.1).

    Attributes:
        identifier: Which one, or None if the server does not say.
    """

    identifier: Identifier | None = None

    def __str__(self) -> str:
        said = super().__str__()
        return f"{self.identifier}: {said}" if self.identifier else said


def is_problem(document: object) -> bool:
    """Whether a JSON document is a problem document and not just any JSON a gateway made up."""
    return isinstance(document, Mapping) and any(
        isinstance(document.get(name), str) and document[name] for name in ("type", "detail")
    )


def parse_problem(document: Mapping[str, Any]) -> Problem:
    """Read a problem document.

    What is not of the right type is left out: an error must not hide in an error.
    """
    subproblems = document.get("subproblems")
    return Problem(
        **_common(document),
        subproblems=tuple(
            Subproblem(**_common(item), identifier=_identifier(item.get("identifier")))
            for item in (subproblems if isinstance(subproblems, list) else ())
            if isinstance(item, Mapping)
        ),
    )


def _common(document: Mapping[str, Any]) -> dict[str, Any]:
    status = document.get("status")
    algorithms = document.get("algorithms")
    return {
        "type": _text(document, "type", _MAX_TYPE) or "about:blank",
        "detail": _text(document, "detail"),
        "title": _text(document, "title"),
        "status": status if isinstance(status, int) and not isinstance(status, bool) else None,
        "instance": _text(document, "instance") or None,
        "algorithms": tuple(
            printable(name, 20)
            for name in (algorithms if isinstance(algorithms, list) else ())[:20]
            if isinstance(name, str)
        ),
    }


def _text(document: Mapping[str, Any], name: str, limit: int | None = None) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        return ""
    return printable(value) if limit is None else printable(value, limit)


def _identifier(document: object) -> Identifier | None:
    if not isinstance(document, Mapping):
        return None
    kind, value = _text(document, "type", 20), _text(document, "value", _MAX_NAME)
    return Identifier(kind, value) if kind and value else None
