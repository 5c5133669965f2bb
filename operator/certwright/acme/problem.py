"""Problem documents and the exceptions for them (RFC 8555 section 6.7, RFC 7807).

There is one class for each problem type that a caller may want to handle separately.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.acme.errors import ServerResponseError
from certwright.acme.identifier import Identifier
from certwright.http.url import host_of, page_url
from certwright.text import listed, printable, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

ERROR_NAMESPACE: Final = "urn:ietf:params:acme:error:"
"""The prefix of all error types of RFC 8555."""

_MAX_TYPE = 120

_MAX_NAME = 255

_SHOWN_SUBPROBLEMS = 5

_SHOWN_PROFILES: Final = 20


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The server's description of an error. All texts are single lines of printable characters, cut to 500.

    Attributes:
        type: A URI, `urn:ietf:params:acme:error:...` for those of ACME; `about:blank` if it is missing.
        detail: A human-readable explanation.
        title: A short summary of the type.
        status: The HTTP status in the document; for a problem inside a resource there is no other.
        instance: A URL for the user to visit, for `userActionRequired`.
        algorithms: The algorithms that the server accepts, for `badSignatureAlgorithm` (section 6.2).
        subproblems: The problems of single identifiers (section 6.7.1).
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
        identifier: The identifier, or None if the server does not say.
    """

    identifier: Identifier | None = None

    def __str__(self) -> str:
        said = super().__str__()
        return f"{self.identifier}: {said}" if self.identifier else said


def is_problem(document: object) -> bool:
    """Return whether a JSON document is a problem document, rather than some JSON of a gateway."""
    return isinstance(document, Mapping) and any(
        isinstance(document.get(name), str) and document[name] for name in ("type", "detail")
    )


def parse_problem(document: Mapping[str, Any]) -> Problem:
    """Parse a problem document.

    Ignore members of the wrong type: a malformed problem must not hide the problem.
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


class ProblemError(ServerResponseError):
    """The server refused a request with a problem document (RFC 8555 section 6.7).

    Types without a class of their own are raised as this class; `problem.kind` distinguishes them.

    Attributes:
        problem: The problem document.
        identifiers: The identifiers in its subproblems.
        action: The request, such as `newOrder`.
        request_url: The URL of the request.
        status: The HTTP status.
    """

    remedy: ClassVar[str] = ""
    """The advice to the user at the end of the message."""

    def __init__(
        self, problem: Problem, *, action: str, url: str, status: int, retry_after: float | None = None
    ) -> None:
        message = f"{host_of(url)} refused {action} (HTTP {status}): {problem}"
        super().__init__(message, url=url, status=status, retry_after=retry_after)
        self.problem = problem
        self.action = action

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """The identifiers that the subproblems name, in the server's order."""
        named = (subproblem.identifier for subproblem in self.problem.subproblems)
        return tuple(dict.fromkeys(identifier for identifier in named if identifier is not None))

    def _advice(self) -> tuple[str, ...]:
        return (self.remedy,) if self.remedy else ()

    def __str__(self) -> str:
        said = super().__str__()
        sentences = (sentence.rstrip(".") for sentence in (said, *self._advice()))
        return ". ".join(sentences)


class AccountDoesNotExist(ProblemError):
    """The server does not know an account with this URL or key, or no longer."""

    remedy = "Register the account again, or check the account key and the directory URL"


class AlreadyReplaced(ProblemError):
    """The certificate in `replaces` was already replaced (RFC 9773 section 5). Order without it."""


class AlreadyRevoked(ProblemError):
    """The certificate is already revoked."""


class BadCsr(ProblemError):
    """The server does not accept the certificate signing request."""


class BadNonce(ProblemError):
    """The server rejected every nonce, including fresh ones, up to the last try (section 6.5)."""

    temporary: ClassVar[bool] = True


class BadPublicKey(ProblemError):
    """The server does not accept the public key of the account or the request."""

    remedy = "Use a key of another algorithm or size"


class BadRevocationReason(ProblemError):
    """The server does not allow this account to revoke for this reason (section 7.6)."""

    remedy = "Use another reason, or none"


class BadSignatureAlgorithm(ProblemError):
    """The server does not accept the account key's algorithm (section 6.2).

    `problem.algorithms` lists the accepted ones. An RSA key already tried one of them; other keys have no choice.
    """

    def _advice(self) -> tuple[str, ...]:
        accepted = ", ".join(self.problem.algorithms) or "another algorithm"
        return (f"Use an account key for {accepted}",)


class CaaForbids(ProblemError):
    """A CAA record forbids this CA to issue for a domain (RFC 8659)."""

    remedy = "Allow this CA in the CAA records of the domain, or use another CA"


class ExternalAccountRequired(ProblemError):
    """The CA only accepts accounts that are bound to one of its customers (section 7.3.4)."""

    remedy = "Get a key identifier and a MAC key from the CA and register with an external account binding"


class InvalidContact(ProblemError):
    """The server does not accept a contact: `invalidContact` or `unsupportedContact`."""

    remedy = "Use a reachable e-mail address that the CA accepts, or none"


class InvalidProfile(ProblemError):
    """The server does not offer the profile, or not to this account.

    Attributes:
        offered: The profiles in the directory, if the profile was not among them and no order was placed. None if the
            server refused an order.
    """

    remedy = "Choose one of the profiles in the directory's meta"

    def __init__(
        self,
        problem: Problem,
        *,
        action: str,
        url: str,
        status: int,
        retry_after: float | None = None,
        offered: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(problem, action=action, url=url, status=status, retry_after=retry_after)
        self.offered = offered

    @classmethod
    def not_listed(cls, profile: str, *, offered: Iterable[str], url: str) -> InvalidProfile:
        """Return the error for a profile that the directory at a URL does not list."""
        names = tuple(sorted(offered))
        said = (
            f"{host_of(url)} has no profile {printable(profile, 100)!r};"
            f" it offers {listed(names, most=_SHOWN_PROFILES, none='none at all')}"
        )
        problem = Problem(type=f"{ERROR_NAMESPACE}invalidProfile", detail=said)
        error = cls(problem, action="newOrder", url=url, status=HTTPStatus.OK, offered=names)
        # Without the words "refused newOrder": no order was placed.
        error.args = (said,)
        return error


class OrderNotReady(ProblemError):
    """The order is not fully validated yet, or is already finalized (section 7.4)."""


class RateLimited(ProblemError):
    """A limit is exceeded (section 6.6), by problem type or by HTTP status 429.

    Attributes:
        retry_at: When the server accepts requests again, aware UTC, or None if it does not say.
        help_url: Where the limit is explained, or None.
    """

    temporary: ClassVar[bool] = True

    def __init__(
        self,
        problem: Problem,
        *,
        action: str,
        url: str,
        status: int,
        retry_after: float | None = None,
        retry_at: datetime | None = None,
        help_url: str | None = None,
    ) -> None:
        super().__init__(problem, action=action, url=url, status=status, retry_after=retry_after)
        self.retry_at = retry_at
        self.help_url = help_url

    def _advice(self) -> tuple[str, ...]:
        until = self.retry_at and f"The server accepts requests again at {rfc3339(self.retry_at)}"
        explained = self.help_url and f"See {self.help_url}"
        return tuple(sentence for sentence in (until, explained) if sentence)


class RejectedIdentifier(ProblemError):
    """The server does not issue for a domain: policy, a block list, a reserved suffix."""

    remedy = "Leave the name out, or use another CA"


class ServerInternal(ProblemError):
    """The server failed: `serverInternal`, or another type with HTTP 5xx."""

    temporary: ClassVar[bool] = True


class Unauthorized(ProblemError):
    """The account may not do this: it is deactivated, not the owner, or lacks authorization for a domain."""


class UnsupportedIdentifier(ProblemError):
    """The server does not issue for this type of identifier."""


class UserActionRequired(ProblemError):
    """The user must visit a page first, usually to agree to changed terms of service (section 7.3.3).

    Retrying has no effect until then.

    Attributes:
        url: The page to visit, or None if the server names none that a browser can be sent to: https or http.
        terms_of_service: The terms as they are now, or None.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        action: str,
        url: str,
        status: int,
        retry_after: float | None = None,
        terms_of_service: str | None = None,
    ) -> None:
        super().__init__(problem, action=action, url=url, status=status, retry_after=retry_after)
        self.terms_of_service = terms_of_service
        self.url = page_url(problem.instance) or page_url(terms_of_service)

    def _advice(self) -> tuple[str, ...]:
        return (f"Visit {self.url}",) if self.url else ()


ERRORS_BY_KIND: dict[str, type[ProblemError]] = {
    "accountDoesNotExist": AccountDoesNotExist,
    "alreadyReplaced": AlreadyReplaced,
    "alreadyRevoked": AlreadyRevoked,
    "badCSR": BadCsr,
    "badNonce": BadNonce,
    "badPublicKey": BadPublicKey,
    "badRevocationReason": BadRevocationReason,
    "badSignatureAlgorithm": BadSignatureAlgorithm,
    "caa": CaaForbids,
    "externalAccountRequired": ExternalAccountRequired,
    "invalidContact": InvalidContact,
    "invalidProfile": InvalidProfile,
    "orderNotReady": OrderNotReady,
    "rateLimited": RateLimited,
    "rejectedIdentifier": RejectedIdentifier,
    "serverInternal": ServerInternal,
    "unauthorized": Unauthorized,
    "unsupportedContact": InvalidContact,
    "unsupportedIdentifier": UnsupportedIdentifier,
    "userActionRequired": UserActionRequired,
}
"""Problem types by their name in section 6.7, RFC 9773 and the profiles extension."""
