"""Orders, the requests about them, and why they fail (RFC 8555 sections 7.1.3 and 7.4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import base64url
from certwright.acme.authorization import AuthorizationClient, AuthorizationStatus
from certwright.acme.errors import AcmeError, ConnectionFailed, ServiceUnavailable, TimedOut
from certwright.acme.fields import Fields, contradiction
from certwright.acme.identifier import canonical, shown
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
from certwright.text import printable, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from certwright.acme.authorization import Authorization
    from certwright.acme.identifier import Identifier
    from certwright.acme.problem import Problem
    from certwright.acme.transport import UrlPolicy
    from certwright.http.message import Response

MAX_AUTHORIZATIONS: Final = 1000
"""The most authorizations that an order may have: each would be fetched."""

_SHOWN_REASONS: Final = 5

# Reasons that would refuse the order without `replaces` as well.
_NOT_ABOUT_REPLACES: Final = (
    AccountDoesNotExist,
    BadNonce,
    InvalidProfile,
    RateLimited,
    RejectedIdentifier,
    UserActionRequired,
)


class OrderStatus(StrEnum):
    """States of an order (section 7.1.6)."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


@dataclass(frozen=True)
class Order:
    """A request for one certificate, and its state.

    Attributes:
        url: Its URL: all that is needed to continue it after a restart.
        status: `pending` until everything is authorized, `ready` for the CSR, `processing`, `valid` or `invalid`.
        identifiers: The domains and addresses of the certificate, in the server's order.
        authorization_urls: The authorizations it needs, each once, in no reliable order.
        finalize_url: Where to send the CSR.
        certificate_url: The certificate, once the order is valid.
        expires: When it expires, aware UTC, or None.
        not_before: The requested start of validity, aware UTC, or None.
        not_after: The requested end of validity, aware UTC, or None.
        profile: The certificate profile, or None.
        replaces: The identifier of the certificate that the server considers replaced by this one (RFC 9773
            section 5), or None.
        error: What went wrong, or None.
        retry_after: Seconds that the server asks to wait before the next request, at least 0, or None.
    """

    url: str
    status: OrderStatus
    identifiers: tuple[Identifier, ...]
    authorization_urls: tuple[str, ...]
    finalize_url: str
    certificate_url: str | None = None
    expires: datetime | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    profile: str | None = None
    replaces: str | None = None
    error: Problem | None = None
    retry_after: float | None = None

    @classmethod
    def parse(cls, response: Response, url: str, urls: UrlPolicy, *, retry_after: float | None = None) -> Order:
        """Parse an order.

        Raises:
            MalformedResponse: The body is not an order object, is valid without a certificate URL, or has more than
                1000 authorizations.
            UnsafeUrl: It contains a URL that must not be requested.
        """
        fields = Fields.of(response, "the order", urls)
        status = fields.status(OrderStatus)
        authorization_urls = tuple(dict.fromkeys(fields.url_list("authorizations")))
        if len(authorization_urls) > MAX_AUTHORIZATIONS:
            fields.fail("authorizations", f"longer than {MAX_AUTHORIZATIONS}")
        certificate_url = fields.optional_url("certificate")
        if status is OrderStatus.VALID and certificate_url is None:
            fields.fail("certificate", "missing")
        return cls(
            url=url,
            status=status,
            identifiers=tuple(child.identifier() for child in fields.children("identifiers")),
            authorization_urls=authorization_urls,
            finalize_url=fields.url("finalize"),
            certificate_url=certificate_url,
            expires=fields.instant("expires"),
            not_before=fields.instant("notBefore"),
            not_after=fields.instant("notAfter"),
            profile=printable(fields.optional_text("profile") or "") or None,
            replaces=printable(fields.optional_text("replaces") or "") or None,
            error=fields.problem("error"),
            retry_after=retry_after,
        )


class OrderFailed(AcmeError):
    """An order became invalid. That is final; a new order is needed.

    Attributes:
        order: The order.
        by_identifier: The problem of each failed domain, as the order spells it. Empty if the server only says that
            the order as a whole failed; `order.error` then explains why.
    """

    def __init__(self, order: Order, by_identifier: dict[str, Problem]) -> None:
        reasons = [f"{name}: {problem}" for name, problem in by_identifier.items()]
        if not reasons:
            reasons = [str(order.error) if order.error is not None else "the server gives no reason"]
        shown = "; ".join(reasons[:_SHOWN_REASONS])
        if len(reasons) > _SHOWN_REASONS:
            shown += f"; and {len(reasons) - _SHOWN_REASONS} more names"
        super().__init__(f"The order failed: {shown}", retry_after=order.retry_after)
        self.order = order
        self.by_identifier = by_identifier

    @classmethod
    def of(cls, order: Order, authorizations: Iterable[Authorization]) -> OrderFailed:
        """Return the error with the problem of each domain.

        It comes from the challenges of the authorizations where possible, otherwise from the order's subproblems.
        """
        by_identifier: dict[str, Problem] = {
            authorization.name: authorization.error
            for authorization in authorizations
            if authorization.status is AuthorizationStatus.INVALID and authorization.error is not None
        }
        if order.error is not None:
            for name, problem in order.error.by_identifier.items():
                # A subproblem names the base domain of a wildcard; the authorization said it better.
                if name not in by_identifier and f"*.{name}" not in by_identifier:
                    by_identifier[name] = problem
        return cls(order, by_identifier)


def check_identifiers(order: Order, asked: Iterable[Identifier]) -> None:
    """Check that an order is for the requested identifiers, in any order (RFC 8555 section 7.4).

    Raises:
        MalformedResponse: Identifiers are missing, or there are others.
    """
    wanted, found = set(map(canonical, asked)), set(map(canonical, order.identifiers))
    missing, foreign = wanted - found, found - wanted
    if missing or foreign:
        parts = [f"without {shown(missing)}"] if missing else []
        parts += [f"with {shown(foreign)}, which was not requested"] if foreign else []
        raise contradiction(order.url, f"the order came back {' and '.join(parts)}")


class OrderClient(AuthorizationClient):
    """Adds orders to `AuthorizationClient`."""

    async def new_order(
        self,
        identifiers: Sequence[Identifier],
        *,
        profile: str | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        replaces: str | None = None,
    ) -> Order:
        """Order a certificate. Store `order.url` before anything else.

        Args:
            identifiers: The domains and addresses of the certificate; wildcards as `*.example.com`.
            profile: One of the directory's `meta.profiles`.
            not_before: The requested start of validity, aware; many CAs refuse it.
            not_after: The requested end of validity, aware; many CAs refuse it.
            replaces: The identifier of the certificate that this one renews (RFC 9773 section 5);
                `new_replacement_order` also handles servers that refuse it.

        Raises:
            RejectedIdentifier: The CA does not issue for a domain; see `identifiers`.
            RateLimited: A limit is exceeded; see `retry_at`.
            InvalidProfile: The directory does not list the profile, so no order was placed; or the CA refuses it.
            MalformedResponse: Among other things: the order is for other identifiers.
            AccountDoesNotExist: The CA does not know the account, or no longer.
        """
        directory = await self.server.directory_with_profile(profile)
        payload: dict[str, Any] = {"identifiers": [identifier.to_json() for identifier in identifiers]}
        optional = {
            "profile": profile,
            "notBefore": None if not_before is None else rfc3339(not_before),
            "notAfter": None if not_after is None else rfc3339(not_after),
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
        """Order the renewal of a certificate; if the server refuses `replaces`, order again without it.

        `replaces` exempts the order from rate limits, but nothing depends on it. So it must not prevent a renewal, if
        the certificate was replaced before or the server does not know it or fails on it.

        Args:
            identifiers: See `new_order`, as for the other arguments.
            replaces: See `certificate_identifier`; only sent to servers that have renewal information.
            profile: One of the directory's `meta.profiles`.
            not_before: The requested start of validity, aware.
            not_after: The requested end of validity, aware.
            on_refusal: Called with the refusal before the order without `replaces`.

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
        """Fetch an order."""
        response = await self._post("order", url, None)
        return Order.parse(response, url, self.server.urls, retry_after=self._retry_after(response))

    async def finalize(self, order: Order, csr_der: bytes) -> Order:
        """Request the certificate (section 7.4).

        If the answer is lost, or the server reports that the order is not ready, read the order: an earlier request
        may have finalized it. Send the request again, once, only if the order is still `ready`.

        Args:
            order: An order that is `ready`.
            csr_der: A PKCS #10 request in DER for exactly the identifiers of the order.

        Returns:
            The order as last seen, usually `processing` or `valid`.

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
        """Return (not raise) the error that says which domains of an invalid order failed and why."""
        return OrderFailed.of(order, await self.fetch_authorizations(order))

    async def poll_order(
        self,
        order: Order,
        *,
        until: Collection[str] = (OrderStatus.VALID,),
        timeout: float = 60.0,  # noqa: ASYNC109 - it bounds many requests and the waits between them
    ) -> Order:
        """Poll an order until it is in one of the states.

        Wait as long as the server asks by Retry-After, otherwise a little longer each time.

        Args:
            order: The order as last seen; if it is already in one of the states, no request is sent.
            until: The states to wait for.
            timeout: Seconds for all waits between requests; the last request has the time-outs of the transport.

        Raises:
            OrderFailed: The order became `invalid`, which is not one of the states.
            PollTimedOut: It did not reach one of the states in time, or the server asks to wait longer.
        """

        async def look(last: Order) -> Order:
            return await self.fetch_order(last.url)

        wanted = frozenset({*until, OrderStatus.INVALID})
        found = await poll(order, look, until=wanted, timeout=timeout, clock=self.server.clock)
        if found.status is OrderStatus.INVALID and OrderStatus.INVALID not in until:
            raise await self.order_failure(found)
        return found
