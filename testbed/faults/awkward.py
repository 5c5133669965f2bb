"""CAs as they are: of many machines that do not agree at once, sparing with words, in no hurry to be final."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from testbed.exchanges import Forward, Response

from .answers import made_up, with_body, with_header, with_members
from .fault import changing, in_place_of
from .refusals import HTML, problem

if TYPE_CHECKING:
    from .fault import Exchange

FAILURE = {"type": "urn:ietf:params:acme:error:dns", "detail": "no TXT record found", "status": 403}


@in_place_of("order", "authorization", "challenge", "finalize", "certificate")
def not_found_at_first(exchange: Exchange) -> Response | Forward:
    """Whatever was just created is unknown (404) at the first request: a replica is behind."""
    return problem(404, "malformed", "no such resource") if _once(exchange) else Forward()


@in_place_of()
def unavailable_at_first(exchange: Exchange) -> Response | Forward:
    """Each resource answers 503 with an HTML page at the first request: a rolling restart."""
    return made_up(503, "text/html", HTML) if _once(exchange) else Forward()


def _once(exchange: Exchange) -> bool:
    path = exchange.request.path
    is_first = path not in exchange.memory
    exchange.memory[path] = "seen"
    return is_first


@in_place_of("newNonce")
def nonce_by_get_only(exchange: Exchange) -> Response | Forward:
    """HEAD newNonce is refused with 405; GET works."""
    return made_up(405, "text/html", HTML) if exchange.request.method == "HEAD" else Forward()


@changing("newAccount", "account", "newOrder", "order", "finalize", "authorization", "challenge")
def sparing_answers(exchange: Exchange) -> Response:
    """Answers leave out what no step needs, or fill it with null and empty strings."""
    path, answer = exchange.request.path, exchange.answer
    if path.startswith(("/sign-me-up", "/my-account/", "/chalZ/")) and not _is_reading(exchange):
        return with_body(with_header(answer, "Content-Type"), b"")
    document: dict[str, Any] = json.loads(answer.body)
    if path.startswith("/authZ/"):
        odd = [None, {"type": "unheard-of-01", "status": [], "url": "", "token": 7}]
        return with_members(answer, expires="", challenges=[*odd, *document["challenges"]])
    unneeded: dict[str, Any] = {"expires": "", "notBefore": "", "notAfter": "", "profile": None}
    if path.startswith("/order-plz"):
        return with_members(answer, **unneeded, certificate="", error="")
    if path.startswith("/my-order/") and document.get("status") == "pending":
        return with_members(answer, **unneeded, certificate="", error="", identifiers=None)
    return with_members(answer, **unneeded, finalize=None, identifiers=None, authorizations=None)


@changing("authorization")
def asterisk_in_authorization(exchange: Exchange) -> Response:
    """The authorization of a wildcard has the asterisk in its identifier, and no member that says so."""
    document = json.loads(exchange.answer.body)
    if not document.get("wildcard"):
        return exchange.answer
    identifier = {**document["identifier"], "value": f"*.{document['identifier']['value']}"}
    return with_members(exchange.answer, identifier=identifier, wildcard=None)


@changing("authorization")
def wildcard_not_marked(exchange: Exchange) -> Response:
    """The authorization of a wildcard does not say that it is for one."""
    return with_members(exchange.answer, wildcard=None)


@changing("challenge", "authorization", "order", errors=True)
def challenge_fails_at_first(exchange: Exchange) -> Response:
    """A challenge fails at first and stays pending with an error, to be answered again (RFC 8555 section 8.2)."""
    path, answer, answers = exchange.request.path, exchange.answer, exchange.memory
    if b"badNonce" in answer.body:
        # Pebble has not looked at the request.
        return answer
    if path.startswith("/chalZ/") and not _is_reading(exchange):
        answers[path] = str(int(answers.get(path, "0")) + 1)
        if answers[path] == "1":
            return with_members(answer, status="pending", error=FAILURE)
        # Pebble has validated it long since, and refuses a second answer.
        return made_up(200, "application/json", json.dumps({"status": "processing"}).encode(), _nonce(answer))
    if answer.status != HTTPStatus.OK or all(count != "1" for count in answers.values()):
        return answer
    document = json.loads(answer.body)
    if path.startswith("/my-order/"):
        return with_members(answer, status="pending")
    failed = [
        {**one, "status": "pending", "error": FAILURE} if answers.get(_path_of(one["url"])) == "1" else one
        for one in document["challenges"]
    ]
    return with_members(answer, status="pending", challenges=failed) if failed != document["challenges"] else answer


@changing("challenge", "authorization", "order")
def authorization_fails_in_pending_order(exchange: Exchange) -> Response:
    """An authorization becomes invalid after its challenge was answered, and the order stays pending."""
    path, answer = exchange.request.path, exchange.answer
    if path.startswith("/chalZ/"):
        exchange.memory["answered"] = "yes"
    if "answered" not in exchange.memory or path.startswith("/chalZ/"):
        return answer
    if path.startswith("/my-order/"):
        return with_members(answer, status="pending")
    challenges = json.loads(answer.body)["challenges"]
    failed = [{**challenge, "status": "invalid", "error": FAILURE} for challenge in challenges]
    return with_members(answer, status="invalid", challenges=failed)


def _nonce(answer: Response) -> dict[str, str]:
    nonce = answer.headers.get("Replay-Nonce")
    return {} if nonce is None else {"Replay-Nonce": nonce}


def _path_of(url: str) -> str:
    return "/" + url.partition("://")[2].partition("/")[2]


def _is_reading(exchange: Exchange) -> bool:
    """Whether a request is a POST-as-GET."""
    payload = json.loads(exchange.request.body)["payload"]
    return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)) == b""
