"""The porcelain: what one account does at a CA, from registration to certificate."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import base64url
from certwright.acme.authorization_client import AuthorizationClient
from certwright.acme.certificate import CertificateClient
from certwright.acme.errors import AcmeError, ConnectionFailed, ServiceUnavailable, TimedOut
from certwright.acme.fidelity import check_identifiers
from certwright.acme.order import Order, OrderFailed, OrderStatus
from certwright.acme.polling import poll
from certwright.acme.problem import (
    AccountDoesNotExist,
    BadNonce,
    InvalidProfile,
    OrderNotReady,
    ProblemError,
    RateLimited,
    RejectedIdentifier,
    UserActionRequired,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from certwright.acme.identifier import Identifier

# What an order would be refused for without `replaces` just as well.
_NOT_ABOUT_REPLACES: Final = (
    AccountDoesNotExist,
    BadNonce,
    InvalidProfile,
    RateLimited,
    RejectedIdentifier,
    UserActionRequired,
)


class Client(AuthorizationClient, CertificateClient):
    """One account at one CA: its account, its proofs, its certificates, and the orders that tie them together."""

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
            replaces: The identifier of the certificate that this one renews (RFC 9773 section 5); see
                `new_replacement_order`, which copes with a server that refuses it.

        Raises:
            RejectedIdentifier: The CA does not issue for a name; see `identifiers`.
            RateLimited: A limit is exceeded; see `retry_at`.
            InvalidProfile: The directory does not list the profile, then no order is placed; or the CA refuses it.
            MalformedResponse: Among other things: the order is for other names.
            AccountDoesNotExist: The CA does not know the account, or no more.
        """
        directory = await self.server.directory_with_profile(profile)
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

    async def new_replacement_order(
        self,
        identifiers: Sequence[Identifier],
        *,
        replaces: str,
        profile: str | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        on_refusal: Callable[[AcmeError], None] | None = None,
    ) -> Order:
        """Order the renewal of a certificate, and if the server refuses `replaces`, once more without it.

        `replaces` spares the CA's rate limits, but nothing depends on it, so it must not stop a renewal: neither when
        the certificate was replaced before, nor when the server does not know it or stumbles over it.

        Args:
            identifiers: See `new_order`, as for the other arguments.
            replaces: See `certificate_identifier`; only sent to servers that have renewal information.
            profile: One of the directory's `meta.profiles`.
            not_before: When the certificate should begin to be valid, aware.
            not_after: When it should end, aware.
            on_refusal: Called with the refusal before the order is made without `replaces`.

        Raises:
            ProblemError: As by `new_order`.
        """
        directory = await self.server.directory()
        if directory.renewal_info is not None:
            try:
                return await self.new_order(
                    identifiers, profile=profile, not_before=not_before, not_after=not_after, replaces=replaces
                )
            except (ProblemError, ServiceUnavailable) as error:
                if isinstance(error, _NOT_ABOUT_REPLACES):
                    raise
                if on_refusal is not None:
                    on_refusal(error)
        return await self.new_order(identifiers, profile=profile, not_before=not_before, not_after=not_after)

    async def fetch_order(self, url: str) -> Order:
        """Read an order."""
        response = await self._post("order", url, None)
        return Order.parse(response, url, self.server.urls, retry_after=self._retry_after(response))

    async def finalize(self, order: Order, csr_der: bytes) -> Order:
        """Ask for the certificate (section 7.4).

        If the answer is lost, or the server says that the order is not ready, the order itself is looked at: it may
        have been finalized. The request is sent once more only if the order is still `ready`.

        Args:
            order: An order that is `ready`.
            csr_der: A PKCS #10 request in DER for exactly the identifiers of the order.

        Returns:
            The order as the server last showed it: `processing` or `valid`, as a rule.

        Raises:
            OrderNotReady: The order is in another state.
            BadCsr: The server does not accept the request.
        """
        try:
            return await self._finalize_once(order, csr_der)
        except (ConnectionFailed, TimedOut, OrderNotReady) as error:
            if isinstance(error, ConnectionFailed) and not error.request_sent:
                raise
            seen = await self.fetch_order(order.url)
            if seen.status is OrderStatus.READY:
                return await self._finalize_once(seen, csr_der)
            if seen.status in (OrderStatus.PROCESSING, OrderStatus.VALID):
                return seen
            raise

    async def _finalize_once(self, order: Order, csr_der: bytes) -> Order:
        payload = {"csr": base64url.encode(csr_der)}
        response = await self._post("finalize", order.finalize_url, payload, repeatable=False)
        return Order.parse(response, order.url, self.server.urls, retry_after=self._retry_after(response))

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
            timeout: Seconds for the waits between the looks; the last look ends within the time-outs of a request.

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


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
