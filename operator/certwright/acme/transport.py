"""The transport and the rule for URLs, raising the errors of this package: one `except AcmeError` catches all of them.

Nothing else differs from `certwright.http`.
"""

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
    """Decides whether a URL may be asked; see `certwright.http.url.UrlPolicy`."""

    error: ClassVar[type[errors.UnsafeUrl]] = errors.UnsafeUrl


def _like(
    constructor: Callable[Concatenate[Any, _Settings], None],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, _Settings], None]]:
    """Give a constructor the signature and the documentation of another."""
    return wraps(constructor)


class HttpxTransport(transport.HttpxTransport):
    """Carries requests over one long-lived pool of connections: make one for each trust configuration.

    Redirects are not followed, content codings not asked for, cookies not kept. Use it as an asynchronous
    context manager or call `aclose`.
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
            UnsafeUrl: The URL must not be asked.
            ConnectionFailed: There was no connection, or it broke.
            TimedOut: The server did not answer in time.
            UntrustedServer: The server's certificate did not verify.
            ResponseTooLarge: The body is longer than `max_bytes`.
            Exception: Whatever `before_send` raises.
            MalformedResponse: The body is compressed, although that was not asked for. The body of an error status is
                dropped instead.
        """
        try:
            return await super().request(method, url, headers=headers, content=content, max_bytes=max_bytes)
        except http.HttpError as error:
            raise errors.of_http(error) from error.__cause__
