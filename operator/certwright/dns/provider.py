"""The protocol of DNS providers, and what each is created from."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from contextlib import nullcontext
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from certwright.dns.errors import ProviderUnreachable
from certwright.dns.surroundings import Surroundings
from certwright.http.errors import HttpError
from certwright.http.retry_after import retry_after_seconds
from certwright.http.url import host_of
from certwright.runtime.turns import TENANT, Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from certwright.dns.records import TxtRecord
    from certwright.dns.zone import Zone
    from certwright.http.addresses import AddressPolicy
    from certwright.http.message import Response, Transport

MAX_ANSWER_BYTES: Final = 1 << 20
"""A page of a zone's records is shorter."""
MAX_LARGE: Final = 4
"""Answers that may be longer, and are read at a time by all providers together; of one tenant half as many. A server of
a tenant's own may let each become as long as it may be, and take a minute for it."""
LONGEST_BUSY_SECONDS: Final = 3600.0
"""A longer Retry-After of a DNS provider is not believed: a gateway in trouble may say anything."""


_LARGE: Final = Turns(MAX_LARGE, kept=MAX_LARGE // 2)


class Provider(Protocol):
    """Adds TXT records to zones and removes them. Both are idempotent."""

    async def present(self, records: Sequence[TxtRecord]) -> None:
        """Add the records; other values at the same names are kept, and a record that exists already is not an error.

        Raises:
            DnsError: Some or all could not be added; its `names` says which. Other zones were updated.
        """
        ...

    async def clean_up(self, records: Sequence[TxtRecord]) -> None:
        """Remove exactly these values; other values at the same names are kept, and a missing one is not an error.

        Raises:
            DnsError: Some or all could not be removed; its `names` says which. Other zones were updated.
        """
        ...


@runtime_checkable
class ChangeTracker(Protocol):
    """What a `Provider` is as well if its API tells whether a change is served by all of its name servers."""

    async def pending(self, records: Sequence[TxtRecord]) -> Mapping[TxtRecord, str]:
        """Return the records that are not served everywhere yet, each with what the provider says about it.

        It is called at every look for the records, before any DNS server is asked, so it asks the API rarely and never
        waits for its turn. Left out is a record about which it knows nothing, as after a restart or when the API does
        not tell: then the DNS shows whether it is served. It raises no `DnsError`.
        """
        ...


class ProviderContext:
    """What a provider gets besides its configuration; each provider has its own.

    Attributes:
        find_zone: Finds the zone that contains a name in the public DNS: `DnsView.find_zone`.
        before_send: Called right before each message is sent; an exception prevents that. `request` calls
            it by itself.
        surroundings: Where a provider with ambient credentials finds them.
        addresses: Where connections that the transport does not make may lead; None to allow loopback as well.
        monotonic: The clock, in seconds.
        sleep: Waits for some seconds of that clock.
    """

    def __init__(
        self,
        find_zone: Callable[[str], Awaitable[Zone]],
        transport: Callable[[], Transport],
        before_send: Callable[[], None] | None = None,
        *,
        surroundings: Surroundings | None = None,
        addresses: AddressPolicy | None = None,
        trusting: Callable[[str], Transport] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Create a context.

        Args:
            find_zone: See above.
            transport: Returns the transport that all providers share. Its owner closes it, so a provider holds no
                connection of its own and may be dropped at any time.
            before_send: See above; the transport was given it too.
            surroundings: Where a provider with ambient credentials finds them; None for this process's.
            addresses: See above.
            trusting: Returns a transport that trusts the certificates of a bundle (PEM) in place of the public CAs; its
                owner closes it. None if no provider here has a bundle.
            monotonic: See above.
            sleep: See above.
            clock: The time, in UTC, for signatures and for what expires.
        """
        self.find_zone = find_zone
        self.before_send = before_send
        self.surroundings = surroundings or Surroundings()
        self.addresses = addresses
        self._transport = transport
        self._trusting = trusting
        self.monotonic = monotonic
        self.clock = clock
        self.sleep = sleep
        self._busy: dict[str, tuple[float, ProviderUnreachable]] = {}

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
        ca_bundle: str | None = None,
        counted_as: str = "",
    ) -> Response:
        """Send one request to the provider's API over HTTPS; return its answer, unless that is a 429 or a 5xx.

        After an answer with Retry-After (RFC 9110 section 10.2.3) nothing is sent until that time; after a 429 to a
        request that the API counts apart, nothing that is counted with it.

        Args:
            method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
            url: An absolute https URL.
            headers: Header fields, such as the token.
            content: The body.
            max_bytes: The maximum length of the answer's body.
            ca_bundle: Certificates in PEM to trust in place of the public CAs, for a server of the user's own.
            counted_as: What the API counts it with, such as the changes of one zone; empty if it counts all requests of
                the credential together.

        Raises:
            ProviderUnreachable: No answer came that can be used. Its message quotes neither headers nor bodies.
        """
        self._check_busy(counted_as)
        place = _LARGE.place(TENANT.get()) if max_bytes > MAX_ANSWER_BYTES else nullcontext()
        try:
            async with place:
                response = await self._to(url, ca_bundle).request(
                    method, url, headers=headers, content=content, max_bytes=max_bytes
                )
        except HttpError as error:
            raise ProviderUnreachable(
                f"the request to the DNS provider failed: {error}", host=host_of(url), retry_after=error.retry_after
            ) from error
        if response.status != HTTPStatus.TOO_MANY_REQUESTS and response.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return response
        throttled = response.status == HTTPStatus.TOO_MANY_REQUESTS
        raise self._out_of_service(response, url, counted_as=counted_as if throttled else "")

    def _to(self, url: str, ca_bundle: str | None) -> Transport:
        if ca_bundle is None:
            return self._transport()
        if self._trusting is None:
            raise ProviderUnreachable("a CA bundle cannot be used here", host=host_of(url))
        return self._trusting(ca_bundle)

    def throttled(self, response: Response, *, usual: float) -> ProviderUnreachable:
        """Return the error for an answer that means too many requests without being a 429; nothing is sent for a while.

        Args:
            response: The answer.
            usual: Seconds for which nothing is sent, unless it has a Retry-After.
        """
        return self._out_of_service(response, response.url, throttled=True, usual=usual)

    def _out_of_service(
        self,
        response: Response,
        url: str,
        *,
        throttled: bool = False,
        usual: float | None = None,
        counted_as: str = "",
    ) -> ProviderUnreachable:
        wait = retry_after_seconds(response.headers, now=dt.datetime.now(dt.UTC)) or usual
        host, status = host_of(url), response.status
        throttled = throttled or status == HTTPStatus.TOO_MANY_REQUESTS
        why = "it receives too many requests" if throttled else "it is out of service"
        message = f"the DNS provider at {host} answered with HTTP {status}: {why}"
        error = ProviderUnreachable(message, host=host, retry_after=wait)
        if wait:
            self._busy[counted_as] = (self.monotonic() + min(wait, LONGEST_BUSY_SECONDS), error)
        return error

    def _check_busy(self, counted_as: str) -> None:
        now = self.monotonic()
        self._busy = {which: busy for which, busy in self._busy.items() if busy[0] > now}
        found = [self._busy[which] for which in {"", counted_as} if which in self._busy]
        if found:
            until, error = max(found, key=lambda busy: busy[0])
            # The same words, so that the same trouble is told once.
            raise ProviderUnreachable(str(error), host=error.host, retry_after=until - now)


class ProviderConfig(Protocol):
    """The configuration of one kind of provider: a frozen dataclass, so that equal ones can share a provider.

    A field named `api_token` that holds a `Credential` is what an issuer's `apiTokenSecretRef` names; every other field
    has the name that it has in the issuer. A class with `knows_zones = True` makes providers that never call
    `ProviderContext.find_zone`: solvers with the same credential share one, whichever resolvers they use. One with a
    field `ambient`, a bool that no issuer has, may use `ProviderContext.surroundings` if it is true. One with a
    `patience`, a `timedelta`, takes longer than usual to publish records. One with `keeps_values = True` cannot
    remove a value: it stays until other values take its place. One whose `needs_key_authorization` is True makes
    providers that have to be told what the values are the digests of.
    """

    @property
    def destination(self) -> str:
        """Where records are put: two configurations with the same destination change the same records."""
        ...

    def build(self, context: ProviderContext) -> Provider:
        """Create the provider; nothing is sent yet.

        Raises:
            DnsError: Some value cannot be used; the message says which and why, and never shows a credential.
        """
        ...
