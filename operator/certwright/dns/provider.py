"""The protocol of DNS providers, their configuration and their context."""

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
"""The maximum size of a page of a zone's records."""
MAX_LARGE: Final = 4
"""Answers that may be longer, and are read at a time by all providers together; of one tenant half as many. A server of
a tenant's own may let each become as long as it may be, and take a minute for it."""
LONGEST_BUSY_SECONDS: Final = 3600.0
"""The longest Retry-After of a DNS provider that is followed, because a failing gateway may send anything."""


_LARGE: Final = Turns(MAX_LARGE, kept=MAX_LARGE // 2)


class Provider(Protocol):
    """Adds TXT records to zones and removes them. Both are idempotent."""

    async def present(self, records: Sequence[TxtRecord]) -> None:
        """Add the records. Other values at the same names stay, and existing records are not an error.

        Raises:
            DnsError: Some or all records could not be added; `names` says which. Other zones were updated.
        """
        ...

    async def clean_up(self, records: Sequence[TxtRecord]) -> None:
        """Remove exactly these values. Other values at the same names stay, and missing ones are not an error.

        Raises:
            DnsError: Some or all records could not be removed; `names` says which. Other zones were updated.
        """
        ...


@runtime_checkable
class ChangeTracker(Protocol):
    """An additional protocol for a `Provider` whose API can tell whether all its name servers serve a change."""

    async def pending(self, records: Sequence[TxtRecord]) -> Mapping[TxtRecord, str]:
        """Return the records that are not served everywhere yet, each with the provider's message.

        This is called at every check of the records, before any DNS server is queried, so it must rarely call the API,
        and never wait for its turn. Leave out records about which nothing is known, for example after a restart: then
        the DNS shows whether they are served. It raises no `DnsError`.
        """
        ...


class ProviderContext:
    """What a provider needs in addition to its configuration. Each provider has its own context.

    Attributes:
        find_zone: Finds the zone that contains a name in the public DNS: `DnsView.find_zone`.
        before_send: Called right before each message is sent; an exception prevents sending. `request` calls it
            automatically.
        surroundings: Where a provider finds ambient credentials.
        addresses: Allowed addresses for connections outside of the transport; None to also allow loopback.
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
                connections of its own and may be dropped at any time.
            before_send: See above; the transport uses the same function.
            surroundings: Where a provider finds ambient credentials; None for those of this process.
            addresses: See above.
            trusting: Returns a transport that trusts a CA bundle (PEM) instead of the public CAs; its owner closes it.
                None if no provider has a bundle.
            monotonic: See above.
            sleep: See above.
            clock: The current time, in UTC, for signatures and expiry.
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
        """Send one request to the provider's API over HTTPS, and return the response unless it is a 429 or a 5xx.

        After a response with Retry-After (RFC 9110 section 10.2.3), no further request is sent until that time. After a
        429 for a request that the API counts separately, this applies only to requests that are counted with it.

        Args:
            method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
            url: An absolute https URL.
            headers: Header fields, such as the token.
            content: The body.
            max_bytes: The maximum length of the answer's body.
            ca_bundle: Certificates in PEM to trust instead of the public CAs, for the user's own server.
            counted_as: Identifies what the API counts together, such as the changes in one zone; empty if it counts all
                requests of the credential together.

        Raises:
            ProviderUnreachable: There was no usable response. The message quotes neither headers nor bodies.
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
        """Return the error for a response that means "too many requests" without being a 429, and pause requests.

        Args:
            response: The response.
            usual: How long to pause, in seconds, unless it has a Retry-After.
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
            # The same words each time, so that the same problem is reported once.
            raise ProviderUnreachable(str(error), host=error.host, retry_after=until - now)


class ProviderConfig(Protocol):
    """The configuration of a kind of provider: a frozen dataclass, so that equal configurations can share a provider.

    A field `api_token` that holds a `Credential` corresponds to `apiTokenSecretRef` in an issuer; every other field has
    the same name as in the issuer. Optional class attributes and fields:

    - `knows_zones = True`: the provider never calls `ProviderContext.find_zone`, so solvers with the same credential
      share one provider, whichever resolvers they use.
    - `ambient`, a bool field that issuers do not have: the provider may use `ProviderContext.surroundings`.
    - `patience`, a `timedelta`: the provider takes longer than usual to publish records.
    - `keeps_values = True`: the provider cannot remove a value; it stays until other values replace it.
    - `needs_key_authorization`: if true, the provider needs the key authorizations, not only their digests.
    """

    @property
    def destination(self) -> str:
        """Identifies where records are put: configurations with the same destination change the same records."""
        ...

    def build(self, context: ProviderContext) -> Provider:
        """Create the provider; nothing is sent yet.

        Raises:
            DnsError: A value is invalid. The message says which and why, and never shows a credential.
        """
        ...
