"""Each error of the transport arrives as the one of this package, so that one `except AcmeError` catches it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from certwright import acme
from certwright.acme import AcmeError, AcmeServer, HttpxTransport, Response
from certwright.acme.errors import of_http
from certwright.http import errors as http
from certwright.http import transport

if TYPE_CHECKING:
    from collections.abc import Mapping

URL = "https://ca.test/dir"

RAISED = [
    http.TransportError("no answer", host="ca.test"),
    http.ConnectionFailed("broke", host="ca.test", request_sent=True),
    http.ConnectionFailed("refused", host="ca.test", request_sent=False),
    http.TimedOut("late", host="ca.test"),
    http.UntrustedServer("no", host="ca.test", reason="expired"),
    http.ResponseTooLarge("too long", host="ca.test"),
    http.AddressRefused("a link-local address", host="ca.test"),
    http.ServerResponseError("what", url=URL, status=200, retry_after=3.0),
    http.MalformedResponse("compressed", url=URL, status=200),
    http.UnsafeUrl("no https"),
    http.InvalidProxy("no proxy"),
    http.InvalidTrustBundle("no bundle"),
]


def test_no_error_of_the_transport_is_left_out() -> None:
    kinds = {kind for _, kind in inspect.getmembers(http, inspect.isclass) if issubclass(kind, http.HttpError)}
    assert {type(error) for error in RAISED} == kinds - {http.HttpError}


@pytest.mark.parametrize("raised", RAISED, ids=lambda error: type(error).__name__)
class TestTranslation:
    async def test_a_request_raises_ours(self, monkeypatch: pytest.MonkeyPatch, raised: http.HttpError) -> None:
        cause = OSError("the cause")

        async def fail(*_: object, **__: object) -> Response:
            raise raised from cause

        monkeypatch.setattr(transport.HttpxTransport, "request", fail)
        async with HttpxTransport(ca_bundle=None) as ours:
            with pytest.raises(AcmeError) as caught:
                await ours.request("GET", URL, headers={}, max_bytes=100)
        assert type(caught.value) is getattr(acme, type(raised).__name__, None)
        assert isinstance(caught.value, type(raised))
        assert str(caught.value) == str(raised)
        assert vars(caught.value) == vars(raised)
        assert caught.value.temporary == raised.temporary
        assert caught.value.__cause__ is cause

    async def test_so_does_a_request_over_a_transport_that_knows_nothing_of_us(self, raised: http.HttpError) -> None:
        class Foreign:
            async def request(
                self,
                method: str,  # noqa: ARG002 - the protocol's
                url: str,  # noqa: ARG002 - as of `Transport`
                *,
                headers: Mapping[str, str],  # noqa: ARG002 - as of `Transport`
                content: bytes | None = None,  # noqa: ARG002 - as of `Transport`
                max_bytes: int,  # noqa: ARG002 - as of `Transport`
            ) -> Response:
                raise raised

            async def aclose(self) -> None:
                pass

        async def sleep(_: float) -> None:
            pass

        server = AcmeServer(URL, Foreign(), clock=acme.Clock(sleep=sleep))
        with pytest.raises(AcmeError) as caught:
            await server.directory()
        assert type(caught.value) is getattr(acme, type(raised).__name__, None)

    def test_it_is_made_as_any_other_of_its_kind(self, raised: http.HttpError) -> None:
        ours = of_http(raised)
        again = of_http(ours) if isinstance(ours, http.HttpError) else None
        assert again is ours


def test_an_error_that_has_no_counterpart_is_still_an_acme_error() -> None:
    class Another(http.HttpError):
        """None of those that the transport raises."""

    translated = of_http(Another("odd", retry_after=2.0))
    assert (type(translated), str(translated), translated.retry_after) == (AcmeError, "odd", 2.0)


def test_errors_are_made_here_as_ever() -> None:
    failed = acme.ConnectionFailed("broke", host="ca.test", request_sent=True)
    assert (failed.host, failed.request_sent, failed.retry_after, failed.temporary) == ("ca.test", True, None, True)
    malformed = acme.MalformedResponse("what", url=URL, status=200, retry_after=1.0)
    assert (malformed.request_url, malformed.status, malformed.retry_after) == (URL, 200, 1.0)
    assert acme.UnsafeUrl("no").retry_after is None


def test_the_constructor_raises_ours() -> None:
    with pytest.raises(acme.InvalidTrustBundle):
        HttpxTransport(ca_bundle="nothing in PEM")
    with pytest.raises(acme.InvalidProxy):
        HttpxTransport(proxy="no url")
    assert inspect.signature(HttpxTransport) == inspect.signature(transport.HttpxTransport)


async def test_a_url_that_must_not_be_asked_is_refused_with_ours() -> None:
    with pytest.raises(acme.UnsafeUrl):
        AcmeServer("http://ca.test/dir", HttpxTransport())
    async with HttpxTransport() as ours:
        with pytest.raises(acme.UnsafeUrl):
            await ours.request("GET", "http://ca.test/dir", headers={}, max_bytes=100)
