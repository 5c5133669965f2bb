"""Servers that are none, or not well: every operation ends in a typed error that does not repeat what they said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from certwright.acme import (
    AcmeError,
    AuthorizationStatus,
    BadNonce,
    Challenge,
    ChallengeStatus,
    Client,
    ConnectionFailed,
    Headers,
    Identifier,
    MalformedResponse,
    Order,
    OrderStatus,
    RateLimited,
    RedirectRefused,
    Response,
    ResponseTooLarge,
    ServiceUnavailable,
    TimedOut,
    UntrustedServer,
)
from certwright.acme.server import MAX_RECONNECTS

if TYPE_CHECKING:
    from tests.fakes.acme import FakeCa

ORIGIN = "https://ca.test:14000"
HTML = b"<html><title>Sign in to hotel-wifi-secret</title>"
ORDER = Order(f"{ORIGIN}/order/1", OrderStatus.VALID, (), (), f"{ORIGIN}/finalize", f"{ORIGIN}/cert")
CHALLENGE = Challenge("dns-01", f"{ORIGIN}/chall/0", ChallengeStatus.PENDING, "token-0")

Operation: TypeAlias = Callable[[Client], Awaitable[Any]]

OPERATIONS: dict[str, Operation] = {
    "/dir": lambda client: client.server.directory(),
    "/new-account": lambda client: client.register(),
    "/account/1": lambda client: client.fetch_account(),
    "/new-order": lambda client: client.new_order([Identifier.dns("a.example")]),
    "/order/1": lambda client: client.fetch_order(ORDER.url),
    "/authz/0": lambda client: client.fetch_authorization(f"{ORIGIN}/authz/0"),
    "/chall/0": lambda client: client.answer_challenge(CHALLENGE),
    "/finalize": lambda client: client.finalize(ORDER, b"\x30\x00"),
    "/cert": lambda client: client.download_certificate(ORDER),
}


def sent(status: int, media_type: str, body: bytes, **headers: str) -> Response:
    fields = {"Content-Type": media_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Response(status, Headers(fields), body)


ANSWERS: dict[str, tuple[Response | Exception, type[AcmeError]]] = {
    "HTML with 200": (sent(200, "text/html", HTML), MalformedResponse),
    "HTML that claims to be JSON": (sent(200, "application/json", HTML), MalformedResponse),
    "truncated JSON": (sent(200, "application/json", b'{"status": "val'), MalformedResponse),
    "an array": (sent(200, "application/json", b"[]"), MalformedResponse),
    "an empty object": (sent(200, "application/json", b"{}"), MalformedResponse),
    "nothing": (Response(200), MalformedResponse),
    "JSON by another content type": (sent(200, "text/plain", b"{}"), MalformedResponse),
    "a redirect": (sent(302, "text/html", HTML, Location="https://wifi.test/login"), RedirectRefused),
    "404 HTML": (sent(404, "text/html", HTML), MalformedResponse),
    "429 HTML, seconds": (sent(429, "text/html", HTML, Retry_After="90"), RateLimited),
    "429 HTML, a date": (sent(429, "text/html", HTML, Retry_After="Sun, 01 Mar 2026 12:01:30 GMT"), RateLimited),
    "503 HTML, seconds": (sent(503, "text/html", HTML, Retry_After="90"), ServiceUnavailable),
    "502 HTML": (sent(502, "text/html", HTML), ServiceUnavailable),
    "an endless body": (ResponseTooLarge("too long", host="ca.test"), ResponseTooLarge),
    "a hang": (TimedOut("late", host="ca.test"), TimedOut),
    "no trust": (UntrustedServer("no", host="ca.test", reason="expired"), UntrustedServer),
    "no connection": (ConnectionFailed("refused", host="ca.test", request_sent=False), ConnectionFailed),
}


UNDERSTOOD = {(answer, path) for answer in ("nothing", "an empty object") for path in ("/account/1", "/chall/0")}
"""Where a success needs no words."""


@pytest.mark.parametrize("path", OPERATIONS)
@pytest.mark.parametrize("answer", ANSWERS)
async def test_every_operation_ends_in_the_right_error(client: Client, ca: FakeCa, path: str, answer: str) -> None:
    if path != "/dir":
        await client.server.directory()
    reply, error = ANSWERS[answer]
    if (answer, path) in UNDERSTOOD:
        ca.reply(path, reply)
        await OPERATIONS[path](client)
        return
    ca.reply(path, *[reply] * 20)
    with pytest.raises(error) as caught:
        await OPERATIONS[path](client)
    assert type(caught.value) is error
    assert "secret" not in str(caught.value)
    if "seconds" in answer or "date" in answer:
        assert caught.value.retry_after == 90


@pytest.mark.parametrize("path", [path for path in OPERATIONS if path != "/dir"])
async def test_nonces_that_are_never_accepted_end_in_an_error(client: Client, ca: FakeCa, path: str) -> None:
    ca.reject_nonces = 10_000
    with pytest.raises(BadNonce):
        await OPERATIONS[path](client)
    assert len(ca.requests) < 25


@pytest.mark.parametrize("path", ["/new-order", "/finalize", "/chall/0"])
async def test_what_may_have_taken_effect_is_not_sent_again(client: Client, ca: FakeCa, path: str) -> None:
    """A challenge is read at the URL where it is answered, which is tried as often as any other reading."""
    await client.server.directory()
    ca.reply(path, *[ConnectionFailed("reset", host="ca.test", request_sent=True)] * (1 + 1 + MAX_RECONNECTS))
    with pytest.raises(ConnectionFailed):
        await OPERATIONS[path](client)
    assert len([request for request in ca.requests if request.path == path and request.payload != b""]) == 1


@pytest.mark.parametrize("path", ["/new-account", "/new-order"])
async def test_a_missing_location_is_malformed(client: Client, ca: FakeCa, path: str) -> None:
    await client.server.directory()
    ca.reply(path, ca.json({"status": "valid", **ca.order("pending")}, status=201))
    with pytest.raises(MalformedResponse, match="Location"):
        await OPERATIONS[path](client)


async def test_a_private_key_in_the_chain_is_refused(client: Client, ca: FakeCa) -> None:
    body = b"-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\nAAEC\n"
    ca.reply("/cert", sent(200, "application/pem-certificate-chain", body))
    with pytest.raises(MalformedResponse, match="EC PRIVATE KEY"):
        await client.download_certificate(ORDER)


async def test_after_all_that_the_client_still_works(client: Client, ca: FakeCa) -> None:
    for path, operation in OPERATIONS.items():
        ca.reply(path, *[sent(503, "text/html", HTML)] * 20)
        with pytest.raises(ServiceUnavailable):
            await operation(client)
        ca.replies[path].clear()
    order = await client.new_order([Identifier.dns("a.example")])
    (authorization,) = await client.fetch_authorizations(order)
    assert authorization.status is AuthorizationStatus.PENDING
