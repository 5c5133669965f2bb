from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import (
    AccountDoesNotExist,
    AcmeError,
    AlreadyReplaced,
    BadCsr,
    BadNonce,
    BadSignatureAlgorithm,
    CaaForbids,
    ExternalAccountRequired,
    Headers,
    InvalidContact,
    InvalidProfile,
    MalformedResponse,
    OrderNotReady,
    ProblemError,
    RateLimited,
    RedirectRefused,
    RejectedIdentifier,
    Response,
    ServerInternal,
    ServiceUnavailable,
    Unauthorized,
    UserActionRequired,
)
from certwright.acme.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
URL = "https://ca.test:14000/new-order"
HTML = "<html><h1>secret-looking page"


def answer(
    status: int, body: object, media_type: str = "application/problem+json", headers: Mapping[str, str] | None = None
) -> Response:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return Response(status, Headers({"Content-Type": media_type, **(headers or {})}), content, URL)


def refused(*args: Any, **kwargs: Any) -> AcmeError:
    error = refusal(answer(*args, **kwargs), action="newOrder", now=NOW)
    assert error is not None
    return error


def acme(kind: str, **members: Any) -> dict[str, Any]:
    return {"type": f"urn:ietf:params:acme:error:{kind}", "detail": "The reason.", **members}


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_is_no_refusal(status: int) -> None:
    assert refusal(answer(status, {}), action="newOrder", now=NOW) is None


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("accountDoesNotExist", AccountDoesNotExist),
        ("alreadyReplaced", AlreadyReplaced),
        ("badCSR", BadCsr),
        ("badNonce", BadNonce),
        ("badSignatureAlgorithm", BadSignatureAlgorithm),
        ("caa", CaaForbids),
        ("externalAccountRequired", ExternalAccountRequired),
        ("invalidContact", InvalidContact),
        ("unsupportedContact", InvalidContact),
        ("invalidProfile", InvalidProfile),
        ("orderNotReady", OrderNotReady),
        ("rateLimited", RateLimited),
        ("rejectedIdentifier", RejectedIdentifier),
        ("serverInternal", ServerInternal),
        ("unauthorized", Unauthorized),
        ("userActionRequired", UserActionRequired),
        ("somethingNew", ProblemError),
    ],
)
def test_the_type_of_the_problem_chooses_the_class(kind: str, error: type[ProblemError]) -> None:
    raised = refused(403, acme(kind))
    assert type(raised) is error
    assert isinstance(raised, ProblemError)
    assert (raised.problem.kind, raised.status, raised.request_url, raised.action) == (kind, 403, URL, "newOrder")
    assert str(raised).startswith(f"ca.test:14000 refused newOrder (HTTP 403): {kind}: The reason")
    assert ".." not in str(raised)


def test_plain_json_with_a_problem_in_it_counts_as_well() -> None:
    assert isinstance(refused(400, acme("badCSR"), "application/json"), BadCsr)


def test_the_identifiers_of_the_subproblems_are_listed_once() -> None:
    item = acme("rejectedIdentifier", identifier={"type": "dns", "value": "a.example"})
    raised = refused(400, acme("rejectedIdentifier", subproblems=[item, item, acme("caa")]))
    assert isinstance(raised, RejectedIdentifier)
    assert [identifier.value for identifier in raised.identifiers] == ["a.example"]


@pytest.mark.parametrize(
    ("value", "seconds"), [("90", 90), ("Sun, 01 Mar 2026 12:01:30 GMT", 90), ("garbage", None), (None, None)]
)
def test_a_rate_limit_says_until_when_and_where_it_is_explained(value: str | None, seconds: float | None) -> None:
    headers = {"Link": '<https://ca.test/limits>;rel="help"', **({"Retry-After": value} if value else {})}
    raised = refused(429, acme("rateLimited"), headers=headers)
    assert isinstance(raised, RateLimited)
    assert raised.temporary
    assert raised.retry_after == seconds
    assert raised.retry_at == (None if seconds is None else datetime(2026, 3, 1, 12, 1, 30, tzinfo=UTC))
    assert raised.help_url == "https://ca.test/limits"
    assert "See https://ca.test/limits" in str(raised)
    assert ("again at 2026-03-01T12:01:30Z" in str(raised)) == (seconds is not None)


@pytest.mark.parametrize(
    ("body", "media_type"), [(HTML, "text/html"), ({"type": "about:blank"}, "application/problem+json")]
)
def test_status_429_is_a_rate_limit_whatever_the_body(body: object, media_type: str) -> None:
    raised = refused(429, body, media_type, headers={"Retry-After": "7"})
    assert isinstance(raised, RateLimited)
    assert raised.retry_after == 7


def test_changed_terms_name_the_page_to_visit() -> None:
    links = {"Link": '<https://ca.test/terms/2>;rel="terms-of-service"'}
    raised = refused(403, acme("userActionRequired", instance="https://ca.test/agree"), headers=links)
    assert isinstance(raised, UserActionRequired)
    assert raised.url == "https://ca.test/agree"
    assert raised.terms_of_service == "https://ca.test/terms/2"
    assert not raised.temporary
    assert "Visit https://ca.test/agree" in str(raised)


def test_without_an_instance_the_terms_are_the_page_to_visit() -> None:
    links = {"Link": '<https://ca.test/terms/2>;rel="terms-of-service"'}
    raised = refused(403, acme("userActionRequired"), headers=links)
    assert isinstance(raised, UserActionRequired)
    assert raised.url == "https://ca.test/terms/2"


def test_a_refused_signature_algorithm_names_those_accepted() -> None:
    raised = refused(400, acme("badSignatureAlgorithm", algorithms=["RS256", "ES256"]))
    assert "Use an account key for RS256, ES256" in str(raised)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_5xx_without_a_problem_document_is_an_outage(status: int) -> None:
    raised = refused(status, HTML, "text/html", headers={"Retry-After": "30"})
    assert isinstance(raised, ServiceUnavailable)
    assert raised.temporary
    assert raised.retry_after == 30
    assert raised.status == status


def test_any_problem_with_a_5xx_is_the_servers_own() -> None:
    raised = refused(503, {"type": "about:blank", "detail": "maintenance"}, headers={"Retry-After": "30"})
    assert isinstance(raised, ServerInternal)
    assert raised.temporary
    assert raised.retry_after == 30


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_refused_with_its_target(status: int) -> None:
    raised = refused(status, "", headers={"Location": "https://elsewhere.test/\x1b[31m"})
    assert isinstance(raised, RedirectRefused)
    assert "https://elsewhere.test/" in str(raised)
    assert "\x1b" not in str(raised)


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (HTML, "text/html"),
        (HTML, "application/problem+json"),
        ({"message": "secret-looking"}, "application/json"),
        (["secret-looking"], "application/problem+json"),
        ("[" * 60_000, "application/problem+json"),
        ("", ""),
    ],
)
def test_a_body_that_is_no_problem_document_is_never_quoted(body: object, media_type: str) -> None:
    raised = refused(404, body, media_type)
    assert isinstance(raised, MalformedResponse)
    assert "secret-looking" not in str(raised)
    assert "HTTP 404" in str(raised)
