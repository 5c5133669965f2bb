"""The transport and the URL policy of `certwright.http`, with the errors of this package."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec

from certwright.acme import errors
from certwright.http import errors as http
from certwright.http import transport, url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Concatenate

    from certwright.http.message import Response

_Settings = ParamSpec("_Settings")


class UrlPolicy(url.UrlPolicy):
    """Decides whether a URL may be requested; see `certwright.http.url.UrlPolicy`."""

    error: ClassVar[type[errors.UnsafeUrl]] = errors.UnsafeUrl


def _like(
    constructor: Callable[Concatenate[Any, _Settings], None],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, _Settings], None]]:
    """Copy the signature and the documentation of a constructor."""
    return wraps(constructor)


class HttpxTransport(transport.HttpxTransport):
    """Sends requests over one long-lived pool of connections: create one for each trust configuration.

    It follows no redirects, requests no content coding and stores no cookies. Use it as an asynchronous context
    manager or call `aclose`.
    """

    @_like(transport.HttpxTransport.__init__)
    def __init__(self, **settings: Any) -> None:
        try:
            super().__init__(**settings)
        except http.HttpError as error:
            raise errors.of_http(error) from error.__cause__

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        max_bytes: int,
    ) -> Response:
        """Send one request and read its answer; see `Transport.request`.

        Raises:
            UnsafeUrl: The URL must not be requested.
            ConnectionFailed: There was no connection, or it broke.
            TimedOut: The server did not answer in time.
            UntrustedServer: The server's certificate did not verify.
            ResponseTooLarge: The body is longer than `max_bytes`.
            Exception: Whatever `before_send` raises.
            MalformedResponse: The body is compressed, although that was not requested. The body of an error status is
                dropped instead.
        """
        try:
            return await super().request(method, url, headers=headers, content=content, max_bytes=max_bytes)
        except http.HttpError as error:
            raise errors.of_http(error) from error.__cause__
