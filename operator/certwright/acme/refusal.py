"""The error for an unsuccessful response."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from certwright.acme.errors import AccountKeyInUse, AcmeError, RedirectRefused, ServiceUnavailable
from certwright.acme.fields import load_json, malformed
from certwright.acme.problem import (
    ERROR_NAMESPACE,
    ERRORS_BY_KIND,
    Problem,
    ProblemError,
    RateLimited,
    ServerInternal,
    UserActionRequired,
    is_problem,
    parse_problem,
)
from certwright.http.link import links_to, parse_links
from certwright.http.retry_after import retry_after_seconds
from certwright.http.url import UrlPolicy, host_of, page_url, shown_origin
from certwright.text import printable

if TYPE_CHECKING:
    from certwright.http.message import Response

# Some servers send plain JSON, or no type, where the RFC requires application/problem+json. Pages are not parsed.
_PROBLEM_TYPES: Final = frozenset({"application/problem+json", "application/json", "text/json", "text/plain", ""})


def refusal(response: Response, *, action: str, now: datetime) -> AcmeError | None:
    """Return the error for a response, or None if it is a success.

    Args:
        response: The response.
        action: The request, for the message.
        now: The current time, aware, for Retry-After.
    """
    if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
        location = response.headers.get("Location") or ""
        target = shown_origin(location) if "://" in location else "another path"
        return RedirectRefused(
            f"{action} at {response.url} was redirected to {target} (HTTP {response.status}), which is not followed."
            " Use the directory URL that the CA documents",
            url=response.url,
            status=response.status,
        )
    if response.status == HTTPStatus.CONFLICT and action == "keyChange":
        return _key_in_use(response)
    wait = retry_after_seconds(response.headers, now=now)
    document = load_json(response.body) if response.media_type in _PROBLEM_TYPES else None
    if isinstance(document, dict) and is_problem(document):
        return _problem_error(parse_problem(document), response, action=action, wait=wait, now=now)
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        stand_in = Problem(type=f"{ERROR_NAMESPACE}rateLimited", detail="too many requests, no problem document given")
        return _problem_error(stand_in, response, action=action, wait=wait, now=now)
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServiceUnavailable(
            f"{action} at {response.url} failed with HTTP {response.status} and no ACME problem document:"
            " the CA, or a gateway in front of it, is out of service",
            url=response.url,
            status=response.status,
            retry_after=wait,
        )
    return malformed(response, f"{action} failed without an ACME problem document")


def _key_in_use(response: Response) -> AccountKeyInUse:
    # By status and Location (RFC 8555 section 7.3.5); not every server adds a problem document.
    location = response.headers.get("Location") or ""
    usable = UrlPolicy(allow_http=True).accepts(location) and host_of(location) == host_of(response.url)
    url = location if usable else None
    return AccountKeyInUse(
        f"The new account key belongs to {url or 'another account'} already. Generate another key",
        url=response.url,
        status=response.status,
        account_url=url,
    )


def _problem_error(
    problem: Problem, response: Response, *, action: str, wait: float | None, now: datetime
) -> ProblemError:
    kind = ERRORS_BY_KIND.get(problem.kind)
    if kind is None and response.status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = RateLimited
    elif kind is None and response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = ServerInternal
    links = parse_links(response.headers.get_all("Link"), base=response.url)
    url, status = response.url, response.status
    if kind is RateLimited:
        return RateLimited(
            problem,
            action=action,
            url=url,
            status=status,
            retry_after=wait,
            retry_at=None if wait is None else now + timedelta(seconds=wait),
            help_url=next(filter(None, map(page_url, links_to(links, "help"))), None),
        )
    if kind is UserActionRequired:
        terms = next(map(printable, links_to(links, "terms-of-service")), None)
        return UserActionRequired(
            problem, action=action, url=url, status=status, retry_after=wait, terms_of_service=terms
        )
    return (kind or ProblemError)(problem, action=action, url=url, status=status, retry_after=wait)
