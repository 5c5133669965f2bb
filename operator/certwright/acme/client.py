"""The porcelain: what one account does at a CA, from registration to certificate."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import base64url
from certwright.acme.account_client import AccountClient
from certwright.acme.authorization import Authorization, AuthorizationStatus
from certwright.acme.certificate import PEM_CERTIFICATE_CHAIN, CertificateChainPem
from certwright.acme.challenge import Challenge, dns01_value, key_authorization
from certwright.acme.fidelity import check_authorization, check_identifiers
from certwright.acme.fields import Fields
from certwright.acme.link import links_to, parse_links
from certwright.acme.order import Order, OrderFailed, OrderStatus
from certwright.acme.polling import poll

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from certwright.acme.identifier import Identifier

#: The most bytes of a certificate chain that are read.
MAX_CHAIN_BYTES: Final = 256 * 1024

#: How many authorizations of an order are fetched at the same time.
MAX_CONCURRENT_FETCHES: Final = 10

_MAX_ALTERNATES: Final = 10

#: The states in which nothing more happens to an authorization unless somebody acts (section 7.1.6).
SETTLED_AUTHORIZATION: Final = frozenset(AuthorizationStatus) - {AuthorizationStatus.PENDING}


class Client(AccountClient):
    """One account at one CA: what `AccountClient` does, and everything from the order to the certificate."""

    async def new_order(
        self,
        identifiers: Sequence[Identifier],
        *,
        profile: str | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        replaces: str | None = None,
    ) -> Order:
        """Order a certificate. Keep `order.url` before doing anything else with it.

        Args:
            identifiers: What the certificate is for; wildcards as `*.example.com`.
            profile: One of the directory's `meta.profiles`.
            not_before: When the certificate should begin to be valid, aware; many CAs refuse it.
            not_after: When it should end, aware; many CAs refuse it.
            replaces: The identifier of the certificate that this one renews (RFC 9773 section 5).

        Raises:
            RejectedIdentifier: The CA does not issue for a name; see `identifiers`.
            RateLimited: A limit is exceeded; see `retry_at`.
            InvalidProfile: There is no such profile.
            MalformedResponse: Among other things: the order is for other names.
            AccountDoesNotExist: The CA does not know the account, or no more.
        """
        directory = await self.server.directory()
        payload: dict[str, Any] = {"identifiers": [identifier.to_json() for identifier in identifiers]}
        optional = {
            "profile": profile,
            "notBefore": None if not_before is None else _rfc3339(not_before),
            "notAfter": None if not_after is None else _rfc3339(not_after),
            "replaces": replaces,
        }
        payload |= {name: value for name, value in optional.items() if value is not None}
        response = await self._post("newOrder", directory.new_order, payload, repeatable=False)
        order = Order.parse(
            response, self._location(response), self.server.urls, retry_after=self._retry_after(response)
        )
        check_identifiers(order, identifiers)
        return order

    async def fetch_order(self, url: str) -> Order:
        """Read an order."""
        response = await self._post("order", url, None)
        return Order.parse(response, url, self.server.urls, retry_after=self._retry_after(response))

    async def finalize(self, order: Order, csr_der: bytes) -> Order:
        """Ask for the certificate (section 7.4).

        If the connection breaks, look at the order before trying again: it may have been finalized.

        Args:
            order: An order that is `ready`.
            csr_der: A PKCS #10 request in DER for exactly the identifiers of the order.

        Raises:
            OrderNotReady: The order is in another state.
            BadCsr: The server does not accept the request.
        """
        payload = {"csr": base64url.encode(csr_der)}
        response = await self._post("finalize", order.finalize_url, payload, repeatable=False)
        return Order.parse(response, order.url, self.server.urls, retry_after=self._retry_after(response))

    async def download_certificate(self, order: Order) -> CertificateChainPem:
        """Fetch the chain of a valid order (section 7.4.2).

        Raises:
            MalformedResponse: The answer is anything but certificates in PEM.
            ValueError: The order is not `valid`.
        """
        if order.certificate_url is None:
            raise ValueError(f"an order that is {order.status} has no certificate yet")
        response = await self._post(
            "certificate",
            order.certificate_url,
            None,
            accept=PEM_CERTIFICATE_CHAIN,
            max_bytes=MAX_CHAIN_BYTES,
        )
        links = parse_links(response.headers.get_all("Link"), base=response.url)
        # Alternatives nobody has asked for yet: one that must not be asked is left out, and spoils nothing.
        alternates = tuple(url for url in links_to(links, "alternate") if self.server.urls.accepts(url))
        return CertificateChainPem.parse(response, alternate_urls=alternates[:_MAX_ALTERNATES])

    async def order_failure(self, order: Order) -> OrderFailed:
        """Return, not raise, the error that says which names of an invalid order failed and why."""
        return OrderFailed.of(order, await self.fetch_authorizations(order))

    async def poll_order(
        self,
        order: Order,
        *,
        until: Collection[str] = (OrderStatus.VALID,),
        timeout: float = 60.0,  # noqa: ASYNC109 - it bounds many requests and the waits between them
    ) -> Order:
        """Look at an order until it is in one of the states.

        Waits as long as the server asks by Retry-After, otherwise a little longer each time.

        Args:
            order: The order as it was last seen; if it is in one of the states already, nothing is asked.
            until: The states to wait for.
            timeout: Seconds in total.

        Raises:
            OrderFailed: The order became `invalid`, and that is none of the states.
            PollTimedOut: None of the states came in time, or the server asks to wait beyond it.
        """

        async def look(last: Order) -> Order:
            return await self.fetch_order(last.url)

        wanted = frozenset({*until, OrderStatus.INVALID})
        found = await poll(order, look, until=wanted, timeout=timeout, clock=self.server.clock)
        if found.status is OrderStatus.INVALID and OrderStatus.INVALID not in until:
            raise await self.order_failure(found)
        return found

    # Authorizations and challenges (section 7.5)

    async def fetch_authorization(self, url: str) -> Authorization:
        """Read an authorization."""
        response = await self._post("authorization", url, None)
        return Authorization.parse(response, url, self.server.urls, retry_after=self._retry_after(response))

    async def fetch_authorizations(self, order: Order) -> tuple[Authorization, ...]:
        """Read all authorizations of an order together, in the order of `order.authorization_urls`.

        Raises:
            MalformedResponse: Among other things: one is for a name that is not in the order.
        """
        slots = asyncio.Semaphore(MAX_CONCURRENT_FETCHES)

        async def fetch(url: str) -> Authorization:
            async with slots:
                authorization = await self.fetch_authorization(url)
            check_authorization(authorization, order)
            return authorization

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(fetch(url)) for url in order.authorization_urls]
        except ExceptionGroup as failures:
            # The first failure cancelled the rest: there is one thing to report, and callers catch AcmeError.
            raise failures.exceptions[0] from None
        return tuple(task.result() for task in tasks)

    async def answer_challenge(self, challenge: Challenge) -> Challenge:
        """Say that the proof is in place and may be looked at (section 7.5.1).

        If the connection breaks, look at the authorization first: a second answer may cost another attempt.
        """
        response = await self._post("challenge", challenge.url, {}, repeatable=False)
        fields = Fields.of(response, "the challenge", self.server.urls)
        return Challenge.parse(fields, retry_after=self._retry_after(response))

    async def poll_authorization(
        self,
        authorization: Authorization,
        *,
        until: Collection[str] = SETTLED_AUTHORIZATION,
        timeout: float = 60.0,  # noqa: ASYNC109 - it bounds many requests and the waits between them
    ) -> Authorization:
        """Look at an authorization until it is in one of the states; see `poll_order`.

        Raises:
            PollTimedOut: None of the states came in time, or the server asks to wait beyond it.
        """

        async def look(last: Authorization) -> Authorization:
            return await self.fetch_authorization(last.url)

        return await poll(authorization, look, until=frozenset(until), timeout=timeout, clock=self.server.clock)

    def key_authorization(self, token: str) -> str:
        """Return what http-01 serves for a token (section 8.1)."""
        return key_authorization(token, self.key.thumbprint)

    def dns01_value(self, token: str) -> str:
        """Return the TXT value that dns-01 wants for a token (section 8.4)."""
        return dns01_value(self.key_authorization(token))


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
