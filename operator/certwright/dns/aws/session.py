"""Shared by all requests with the same credentials: the keys (which may expire), the pace, and the errors."""

from __future__ import annotations

import asyncio
import datetime as dt
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote, urlencode
from weakref import WeakKeyDictionary, WeakValueDictionary

from certwright.dns.aws.sigv4 import Keys, signed
from certwright.dns.aws.xml import error_code
from certwright.dns.errors import DnsError, ProviderRefused, ProviderUnreachable
from certwright.dns.hosted.answer import refused
from certwright.dns.hosted.pace import Pace
from certwright.dns.outcomes import of_ones_own
from certwright.http.url import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from certwright.dns.provider import ProviderContext
    from certwright.dns.surroundings import Surroundings
    from certwright.http.message import Response

RENEW_BEFORE: Final = dt.timedelta(minutes=5)
"""How long before they expire keys are replaced."""
RETRY_AFTER_FAILURE: Final = 10.0
"""Seconds for which a failure to get keys holds: a hundred Certificates would each ask."""
PER_SECOND: Final = 4.0
"""Of the five requests a second that Route 53 takes from an account: others use it as well."""
THROTTLED_SECONDS: Final = 2.0
"""For how long nothing is sent after AWS says that there are too many requests; it does not say for how long."""
MAX_SKEW: Final = dt.timedelta(minutes=4)
"""AWS refuses signatures that are 5 minutes off."""

THROTTLED: Final = frozenset(
    {"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestLimitExceeded",
     "TooManyRequestsException", "SlowDown", "BandwidthLimitExceeded", "LimitExceededException"}
)  # fmt: skip
_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_UNKNOWN: Final = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"})
_UNSIGNED: Final = frozenset(
    {"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "RequestExpired",
     "RequestTimeTooSkewed", "MissingAuthenticationToken", "AuthFailure"}
)  # fmt: skip
_NOT_ALLOWED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"})


class KeySource(Protocol):
    """Gets keys from where they are."""

    @property
    def what(self) -> str:
        """What they are, for messages: `the access key AKIA...`, `the role arn:...`."""
        ...

    async def fetch(self) -> Keys:
        """Get them anew. Raises `DnsError`."""
        ...


class KeyCache:
    """Keeps keys until shortly before they expire; one request for all who wait.

    Args:
        source: Gets them.
        clock: The time, in UTC.
        monotonic: The clock, in seconds.
    """

    def __init__(self, source: KeySource, *, clock: Callable[[], dt.datetime], monotonic: Callable[[], float]) -> None:
        self.source = source
        self._clock = clock
        self._monotonic = monotonic
        self._keys: Keys | None = None
        self._fetched = 0.0
        self._fetching: asyncio.Task[Keys | DnsError] | None = None
        self._failed: tuple[float, DnsError] | None = None

    async def get(self) -> Keys:
        """Return keys that are valid for some minutes. Raises `DnsError`."""
        if self._keys is not None and self._is_fresh(self._keys):
            return self._keys
        if self._failed is not None and self._monotonic() < self._failed[0]:
            raise of_ones_own(self._failed[1])
        if self._fetching is None:
            self._fetching = asyncio.ensure_future(self._fetch())
        # Shielded: whoever is cancelled must not take the answer away from the others.
        found = await asyncio.shield(self._fetching)
        if isinstance(found, DnsError):
            raise of_ones_own(found)
        return found

    def drop(self, keys: Keys) -> bool:
        """Forget keys that AWS no longer takes; return whether others can be got."""
        if self._keys is keys:
            self._keys = None
        return keys.expires_at is not None

    def _is_fresh(self, keys: Keys) -> bool:
        if keys.expires_at is None or keys.expires_at - self._clock() > RENEW_BEFORE:
            return True
        # To a clock that is far ahead they are never fresh, and each request would ask for others.
        return self._monotonic() - self._fetched < RETRY_AFTER_FAILURE

    async def _fetch(self) -> Keys | DnsError:
        try:
            found = await self.source.fetch()
        except DnsError as error:
            self._failed = (self._monotonic() + RETRY_AFTER_FAILURE, error)
            return error
        finally:
            self._fetching = None
        self._keys, self._failed, self._fetched = found, None, self._monotonic()
        return found


class AwsSession:
    """Sends signed requests with one set of credentials.

    Args:
        context: Sends requests.
        source: Where the keys are.
    """

    def __init__(self, context: ProviderContext, source: KeySource) -> None:
        self.context = context
        self.clock = context.clock
        self.keys = KeyCache(source, clock=context.clock, monotonic=context.monotonic)
        self.pace = Pace(PER_SECOND, monotonic=context.monotonic, sleep=context.sleep)

    async def send(
        self,
        method: str,
        host: str,
        path: str,
        *,
        service: str,
        region: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Response:
        """Send a request, once more if the keys expired meanwhile; return its answer, unless AWS says wait.

        Args:
            method: `GET` or `POST`.
            host: Of the service.
            path: Escaped.
            service: As signatures name it.
            region: As signatures name it.
            query: Parameters.
            headers: Header fields.
            content: The body.

        Raises:
            DnsError: The keys cannot be got, or are refused; or the service is not in reach, or throttles.
        """
        for last in (False, True):
            keys = await self.keys.get()
            await self.pace.turn()
            url = f"https://{host}{path}" + (f"?{urlencode(query, quote_via=quote, safe='-_.~')}" if query else "")
            fields = signed(
                method, url, headers or {}, content or b"", keys, service=service, region=region, now=self.clock()
            )
            response = await self.context.request(method, url, headers=fields, content=content)
            if response.status < HTTPStatus.BAD_REQUEST:
                return response
            code = error_code(response)
            if code in THROTTLED:
                raise self._throttled(response, code)
            if code in _EXPIRED | _UNKNOWN and self.keys.drop(keys) and not last:
                continue
            if (error := refused_keys(response, code, self.keys.source.what, self.clock())) is not None:
                raise error
            return response
        raise AssertionError("the second try returns or raises")

    def _throttled(self, response: Response, code: str) -> ProviderUnreachable:
        self.pace.hold(THROTTLED_SECONDS)
        host = host_of(response.url)
        return ProviderUnreachable(
            f"the DNS provider at {host} answered with HTTP {response.status}, {code}: it receives too many requests "
            "from this AWS account",
            host=host,
            retry_after=THROTTLED_SECONDS,
        )


def refused_keys(response: Response, code: str, what: str, now: dt.datetime) -> ProviderRefused | None:
    """Return the error for keys that AWS does not accept; None if the answer is about something else."""
    if code in _EXPIRED:
        return refused(response, code, f"the session token of {what} has expired")
    if code in _UNKNOWN:
        return refused(
            response, code, f"{what} does not exist, is inactive, or needs a session token: check the access key ID"
        )
    if code not in _UNSIGNED:
        return None
    skew = _skew(response, now)
    if abs(skew) > MAX_SKEW:
        where = "behind" if skew > dt.timedelta() else "ahead of"
        minutes = abs(skew) // dt.timedelta(minutes=1)
        return refused(response, code, f"the clock of this machine is {minutes} minutes {where} that of AWS")
    return refused(response, code, f"the secret access key is not the one of {what}")


def is_denied(response: Response, code: str) -> bool:
    """Whether an answer says that the identity lacks a right."""
    return code in _NOT_ALLOWED or response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def _skew(response: Response, now: dt.datetime) -> dt.timedelta:
    """Return how far the clock of AWS is ahead of this machine's."""
    try:
        there = parsedate_to_datetime(response.headers.get("Date") or "")
    except ValueError:
        return dt.timedelta()
    return there - now if there.tzinfo is not None else dt.timedelta()


_SESSIONS: WeakKeyDictionary[Surroundings, WeakValueDictionary[Hashable, AwsSession]]
_SESSIONS = WeakKeyDictionary()


def shared_session(context: ProviderContext, key: Hashable, make: Callable[[], AwsSession]) -> AwsSession:
    """Return the session of some credentials: all providers of a process that use the same share their keys and pace.

    Args:
        context: Its surroundings are the process.
        key: The credentials.
        make: Makes a session if there is none.
    """
    sessions = _SESSIONS.setdefault(context.surroundings, WeakValueDictionary())
    session = sessions.get(key)
    if session is None:
        session = sessions[key] = make()
    return session
