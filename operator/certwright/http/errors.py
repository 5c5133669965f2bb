"""The errors of HTTP requests, independent of the protocol above. Each is an `HttpError`.

Each message says what happened and what to do, and never quotes a body.

HttpError
  · TransportError
    · ConnectionFailed
    · TimedOut
    · UntrustedServer
    · ResponseTooLarge
    · AddressRefused
  · ServerResponseError
    · MalformedResponse
  · UnsafeUrl
  · InvalidProxy
  · InvalidTrustBundle
"""

from __future__ import annotations

from typing import ClassVar

from certwright.portable import PortableError


class HttpError(PortableError):
    """The root of all errors of this package.

    Attributes:
        temporary: Whether the same request may succeed later without any change.
        retry_after: Seconds that the server asked to wait before the next try, or None.
    """

    temporary: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TransportError(HttpError):
    """No complete answer came back.

    Attributes:
        host: Host and port of the request.
    """

    temporary: ClassVar[bool] = True

    def __init__(self, message: str, *, host: str) -> None:
        super().__init__(message)
        self.host = host


class ConnectionFailed(TransportError):
    """The connection could not be made, or it broke.

    Attributes:
        request_sent: False if the request certainly did not reach the server, so that it may be repeated.
    """

    def __init__(self, message: str, *, host: str, request_sent: bool) -> None:
        super().__init__(message, host=host)
        self.request_sent = request_sent


class TimedOut(TransportError):
    """The server did not connect, answer or finish in time. It may still have acted on the request."""


class UntrustedServer(TransportError):
    """The certificate of the server did not verify.

    Attributes:
        reason: What the TLS library found, such as "self-signed certificate in certificate chain".
    """

    temporary: ClassVar[bool] = False

    def __init__(self, message: str, *, host: str, reason: str) -> None:
        super().__init__(message, host=host)
        self.reason = reason


class ResponseTooLarge(TransportError):
    """The answer is longer than any legitimate one; the rest of it was not read."""

    temporary: ClassVar[bool] = False


class AddressRefused(TransportError):
    """The host has an address that must not be connected to; nothing was sent."""

    temporary: ClassVar[bool] = False


class ServerResponseError(HttpError):
    """An answer came, but it cannot be used.

    Attributes:
        request_url: The URL of the request.
        status: The HTTP status of the answer.
    """

    def __init__(self, message: str, *, url: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.request_url = url
        self.status = status


class MalformedResponse(ServerResponseError):
    """The answer is not what was requested.

    Counted as temporary: gateways and maintenance pages are the usual cause.
    """

    temporary: ClassVar[bool] = True


class UnsafeUrl(HttpError):
    """A URL that must not be requested: not https, with credentials, or not a URL."""


class InvalidProxy(HttpError):
    """The URL of a proxy, given or from the environment, cannot be used. The message never quotes it."""


class InvalidTrustBundle(HttpError):
    """The CA bundle or the client certificate of a transport cannot be loaded."""
