"""The errors of this package. Each is an `AcmeError`.

Each message says what happened and what to do, and never quotes a body that is not an ACME problem document.

AcmeError
  · TransportError
    · ConnectionFailed
    · TimedOut
    · UntrustedServer
    · ResponseTooLarge
    · AddressRefused
  · ServerResponseError
    · MalformedResponse
      · CertificateNotNamed
    · ServiceUnavailable
    · RedirectRefused
    · AccountKeyInUse
    · ProblemError (in `problem`, with a class for each type of problem)
  · OrderFailed (in `order`)
  · PollTimedOut
  · BudgetExhausted (in `budget`)
  · RolloverUnconfirmed
  · DeactivationUnconfirmed
  · NotOffered
  · NotRegistered
  · NoSuchChain
  · UnsupportedChallenge
  · UnsafeUrl
  · InvalidAccountKey
  · InvalidCertificate
  · InvalidCredentials
  · InvalidExternalAccountKey
  · InvalidIdentifier
  · InvalidProxy
  · InvalidTrustBundle

Those that a transport raises also inherit from the error of the same name in `certwright.http.errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from certwright.http import errors as http
from certwright.portable import PortableError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHOWN_REASONS: Final = 5


class AcmeError(PortableError):
    """The root of all errors of this package.

    Attributes:
        temporary: Whether the same request may succeed later without any change.
        retry_after: Seconds that the server asked to wait before the next try, or None.
    """

    temporary: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TransportError(http.TransportError, AcmeError):
    """No complete answer came back.

    Attributes:
        host: Host and port of the request.
    """


class ConnectionFailed(TransportError, http.ConnectionFailed):
    """The connection could not be made, or it broke.

    Attributes:
        request_sent: False if the request certainly did not reach the server, so that it may be repeated.
    """


class TimedOut(TransportError, http.TimedOut):
    """The server did not connect, answer or finish in time. It may still have acted on the request."""


class UntrustedServer(TransportError, http.UntrustedServer):
    """The certificate of the server did not verify (RFC 8555 section 6.1).

    Attributes:
        reason: What the TLS library found, such as "self-signed certificate in certificate chain".
    """


class ResponseTooLarge(TransportError, http.ResponseTooLarge):
    """The answer is longer than any legitimate one; the rest of it was not read."""


class AddressRefused(http.AddressRefused, TransportError):
    """The host has an address that must not be connected to; nothing was sent."""


class ServerResponseError(http.ServerResponseError, AcmeError):
    """An answer came, but it cannot be used.

    Attributes:
        request_url: The URL of the request.
        status: The HTTP status of the answer.
    """


class MalformedResponse(ServerResponseError, http.MalformedResponse):
    """The answer does not conform to ACME: HTML, truncated JSON, a missing field or header.

    Counted as temporary: gateways and maintenance pages are the usual cause.
    """


class CertificateNotNamed(MalformedResponse):
    """A valid order does not say where its certificate is. A moment later it may."""


class ServiceUnavailable(ServerResponseError):
    """A 5xx status without a problem document: the ACME server is down, or a gateway in front of it answered."""

    temporary: ClassVar[bool] = True


class RedirectRefused(ServerResponseError):
    """The server answered with a redirect.

    A signed request is bound to its URL (RFC 8555 section 6.4), so it cannot be sent elsewhere, and a
    directory that moved should be configured where it is.
    """


class AccountKeyInUse(ServerResponseError):
    """The new key of a rollover already belongs to another account (RFC 8555 section 7.3.5). Use another key.

    Attributes:
        account_url: The account that uses it, or None if the server does not say.
    """

    def __init__(self, message: str, *, url: str, status: int, account_url: str | None) -> None:
        super().__init__(message, url=url, status=status)
        self.account_url = account_url


class RolloverUnconfirmed(AcmeError):
    """The server accepted a rollover, but the account cannot be read with the new key. The cause is in `__cause__`.

    The account may use either key: keep both, and call `probe_keys`.
    """


class DeactivationUnconfirmed(AcmeError):
    """The server accepted a deactivation, but the account is still valid: keep its key, and try again."""


class NotOffered(AcmeError):
    """The server's directory does not have the resource that the request needs.

    Attributes:
        resource: Its name in the directory, such as `newAuthz` or `keyChange`.
    """

    def __init__(self, message: str, *, resource: str) -> None:
        super().__init__(message)
        self.resource = resource


class NoSuchChain(AcmeError):
    """No chain that the server offers for the certificate leads to the requested issuer.

    Attributes:
        wanted: The common name that was requested.
        offered: The common names of the issuers that the offered chains lead to, the default chain's first.
    """

    def __init__(self, *, wanted: str, offered: tuple[str, ...]) -> None:
        shown = ", ".join(repr(name) for name in offered) or "none that have a name"
        super().__init__(f"The server offers no chain to {wanted!r}. Available issuers: {shown}")
        self.wanted = wanted
        self.offered = offered


class InvalidCertificate(AcmeError):
    """A given certificate cannot be read, or lacks what the request needs."""


class InvalidCredentials(AcmeError):
    """Saved account credentials cannot be read. The message names the member, never its value."""


class InvalidIdentifier(AcmeError):
    """A text is neither a domain name nor an IP address that a certificate can contain."""


class UnsupportedChallenge(AcmeError):
    """A challenge lacks what is needed to answer it, or is for another kind of identifier.

    Attributes:
        type: The type of the challenge.
    """

    def __init__(self, message: str, *, type: str) -> None:  # noqa: A002 - RFC 8555's own name
        super().__init__(message)
        self.type = type


class UnsafeUrl(http.UnsafeUrl, AcmeError):
    """A URL that must not be requested: not https, with credentials, or not a URL."""


class InvalidAccountKey(AcmeError):
    """The text contains no private key that ACME can use."""


class InvalidExternalAccountKey(AcmeError):
    """The key of an external account binding is neither base64url nor base64."""


class InvalidProxy(http.InvalidProxy, AcmeError):
    """The URL of a proxy, given or from the environment, cannot be used. The message never quotes it."""


class InvalidTrustBundle(http.InvalidTrustBundle, AcmeError):
    """The CA bundle or the client certificate of a transport cannot be loaded."""


class NotRegistered(AcmeError):
    """The request needs an account, and the client has no account URL yet."""


class PollTimedOut(AcmeError):
    """The resource did not reach the expected state in time.

    Attributes:
        url: The resource that was polled.
        status: The last state seen.
        reasons: Why the CA is not done, in its own words as far as it said any, by domain.
    """

    temporary: ClassVar[bool] = True

    def __init__(
        self,
        message: str,
        *,
        url: str,
        status: str,
        retry_after: float | None = None,
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.url = url
        self.status = status
        self.reasons = dict(reasons or {})

    def because(self, reasons: Mapping[str, str]) -> PollTimedOut:
        """Return the error with the reasons."""
        message = str(self)
        if reasons:
            shown = "; ".join(f"{name}: {reason}" for name, reason in list(reasons.items())[:_SHOWN_REASONS])
            more = len(reasons) - _SHOWN_REASONS
            message += f". The CA last said: {shown}" + (f"; and {more} more" if more > 0 else "")
        return PollTimedOut(message, url=self.url, status=self.status, retry_after=self.retry_after, reasons=reasons)


def _counterparts() -> dict[type[http.HttpError], type[AcmeError]]:
    """Find the class here for each error of the transport: the one that inherits from it under the same name."""
    found: dict[type[http.HttpError], type[AcmeError]] = {}
    for kind in globals().values():
        for base in kind.__bases__ if isinstance(kind, type) and issubclass(kind, AcmeError) else ():
            if issubclass(base, http.HttpError) and not issubclass(base, AcmeError):
                found[base] = kind
    return found


_COUNTERPARTS: Final = _counterparts()


def of_http(error: http.HttpError) -> AcmeError:
    """Return an error of the transport as one of this package, with the same message and attributes."""
    if isinstance(error, AcmeError):
        return error
    kind = next((_COUNTERPARTS[base] for base in type(error).__mro__ if base in _COUNTERPARTS), AcmeError)
    translated = kind.__new__(kind)
    translated.args = error.args
    vars(translated).update(vars(error))
    return translated
