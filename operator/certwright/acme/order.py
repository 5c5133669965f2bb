"""Orders, the requests about them, and why they fail (RFC 8555 sections 7.1.3 and 7.4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import base64url
from certwright.acme.authorization import AuthorizationClient, AuthorizationStatus
from certwright.acme.errors import (
    AcmeError,
    CertificateNotNamed,
    ConnectionFailed,
    MalformedResponse,
    PollTimedOut,
    ServerResponseError,
    ServiceUnavailable,
    TimedOut,
    UnsafeUrl,
)
from certwright.acme.fields import Fields, contradiction, malformed
from certwright.acme.identifier import canonical, shown
from certwright.acme.patience import LONGEST_ASKED_PAUSE, is_unreadable, may_pass
from certwright.acme.polling import Pace, poll
from certwright.acme.problem import (
    AccountDoesNotExist,
    BadNonce,
    InvalidProfile,
    OrderNotReady,
    Problem,
    ProblemError,
    RateLimited,
    RejectedIdentifier,
    UserActionRequired,
)
from certwright.acme.validation import ValidationWatch
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from certwright.acme.authorization import Authorization, Challenge
    from certwright.acme.identifier import Identifier
    from certwright.acme.patience import Patience
    from certwright.acme.transport import UrlPolicy
    from certwright.http.message import Response

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


_ENDED: Final = frozenset({AuthorizationStatus.DEACTIVATED, AuthorizationStatus.EXPIRED, AuthorizationStatus.REVOKED})

_UNFINALIZED: Final = frozenset({OrderStatus.PENDING, OrderStatus.READY})


@dataclass(frozen=True)
class Order:
    """A request for one certificate, and its state.

    Attributes:
        url: Its URL: all that is needed to continue it after a restart.
        status: `pending` until everything is authorized, `ready` for the CSR, `processing`, `valid` or `invalid`.
        identifiers: The domains and addresses of the certificate, in the server's order.
        authorization_urls: The authorizations it needs, each once, in no reliable order.
        finalize_url: Where to send the CSR; empty if an order that was finalized does not say.
        certificate_url: The certificate, if the order is valid.
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
    def parse(
        cls,
        response: Response,
        url: str,
        urls: UrlPolicy,
        *,
        retry_after: float | None = None,
        known: Order | None = None,
        asked: Sequence[Identifier] = (),
    ) -> Order:
        """Parse an order.

        Args:
            response: The answer.
            url: The order's URL.
            urls: Which URLs may be requested.
            retry_after: What the server asks to wait.
            known: The order as seen before: what an answer leaves out is as it was.
            asked: The identifiers of a new order, which need not be repeated.

        Raises:
            MalformedResponse: The body is not an order object, lacks what its state needs (a finalize URL until it is
                finalized, a certificate URL once it is valid), or has more authorizations than
                identifiers.
            UnsafeUrl: A URL that its state needs must not be requested.
        """
        fields = Fields.of(response, "the order", urls)
        status = fields.status(OrderStatus)
        identifiers = _identifiers(fields, known, asked)
        return cls(
            url=url,
            status=status,
            identifiers=identifiers,
            authorization_urls=_authorization_urls(fields, status, known, identifiers),
            finalize_url=_finalize_url(fields, status, known),
            certificate_url=_certificate_url(fields, status, known),
            expires=fields.readable_instant("expires") or (known.expires if known else None),
            not_before=fields.readable_instant("notBefore"),
            not_after=fields.readable_instant("notAfter"),
            profile=fields.shown("profile"),
            replaces=fields.shown("replaces") or (known.replaces if known else None),
            error=fields.problem("error"),
            retry_after=retry_after,
        )


def _identifiers(fields: Fields, known: Order | None, asked: Sequence[Identifier]) -> tuple[Identifier, ...]:
    if known is not None and known.identifiers:
        # They never change, and were checked.
        return known.identifiers
    if asked and fields.document.get("identifiers") is None:
        return tuple(asked)
    return tuple(child.identifier() for child in fields.children("identifiers"))


def _authorization_urls(
    fields: Fields, status: OrderStatus, known: Order | None, identifiers: Sequence[Identifier]
) -> tuple[str, ...]:
    """Return the authorizations, each of which is going to be fetched: not more than there are identifiers."""
    needed = status is OrderStatus.PENDING
    found = tuple(dict.fromkeys(fields.url_list("authorizations") if needed else fields.usable_urls("authorizations")))
    if needed and len(found) > max(1, len(identifiers)):
        fields.fail("authorizations", f"too long: {len(found)} for {len(identifiers)} identifiers")
    found = found[: max(1, len(identifiers))]
    return found or (known.authorization_urls if known is not None else ())


def _finalize_url(fields: Fields, status: OrderStatus, known: Order | None) -> str:
    before = known.finalize_url if known is not None else ""
    if before or status not in _UNFINALIZED:
        return next(iter(fields.usable_urls("finalize")), before)
    return fields.url("finalize")


def _certificate_url(fields: Fields, status: OrderStatus, known: Order | None) -> str | None:
    if status is not OrderStatus.VALID:
        return None
    found = fields.optional_url("certificate") or (known.certificate_url if known is not None else None)
    if found is None:
        complaint = str(malformed(fields.source, f"'certificate' of {fields.what} is missing"))
        raise CertificateNotNamed(complaint, url=fields.source.url, status=fields.source.status)
    return found


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
    def of(cls, order: Order, authorizations: Collection[Authorization]) -> OrderFailed:
        """Return the error with the problem of each domain.

        It comes from the challenges of the authorizations where possible, otherwise from the order's subproblems.
        """
        by_identifier: dict[str, Problem] = {
            authorization.name: authorization.error
            for authorization in authorizations
            if authorization.status is AuthorizationStatus.INVALID and authorization.error is not None
        }
        for authorization in authorizations:
            if authorization.status in _ENDED:
                detail = f"its authorization is {authorization.status}"
                by_identifier.setdefault(authorization.name, Problem(type="", detail=detail))
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
            OrderFailed: The order is invalid from the start.
            RejectedIdentifier: The CA does not issue for a domain; see `identifiers`.
            RateLimited: A limit is exceeded; see `retry_at`.
            InvalidProfile: The directory does not list the profile, so no order was placed; or the CA refuses it.
            MalformedResponse: Among other things: the order is for other identifiers.
            AccountDoesNotExist: The CA does not know the account, or no longer.
            ValueError: A time has no time zone; no order was placed.
        """
        return await self._new_order(
            identifiers, profile=profile, not_before=not_before, not_after=not_after, replaces=replaces
        )

    async def _new_order(
        self,
        identifiers: Sequence[Identifier],
        *,
        profile: str | None,
        not_before: datetime | None,
        not_after: datetime | None,
        replaces: str | None = None,
        patient: bool = True,
    ) -> Order:
        directory = await self.server.directory_with_profile(profile)
        payload: dict[str, Any] = {"identifiers": [identifier.to_json() for identifier in identifiers]}
        optional = {
            "profile": profile,
            "notBefore": None if not_before is None else _instant(not_before, "not_before"),
            "notAfter": None if not_after is None else _instant(not_after, "not_after"),
            "replaces": replaces,
        }
        payload |= {name: value for name, value in optional.items() if value is not None}
        # Not repeatable after a lost answer. But a server that answers with an error has made no order.
        response = await self._post("newOrder", directory.new_order, payload, repeatable=False, patient=patient)
        url, retry_after = self._location(response), self._retry_after(response)
        try:
            order = Order.parse(response, url, self.server.urls, retry_after=retry_after, asked=identifiers)
            check_identifiers(order, identifiers)
        except (MalformedResponse, UnsafeUrl) as error:
            # It was made, and counts: one damaged answer must not cost it. It may be read where it is.
            try:
                order = await self.fetch_order(url)
                check_identifiers(order, identifiers)
            except AcmeError:
                raise error from None
        if order.status is OrderStatus.INVALID:
            order = await self.fetch_order(url, known=order)
        if order.status is OrderStatus.INVALID:
            raise await self.order_failure(order)
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
                # Not patient: if the server fails on `replaces`, the order without it comes first.
                return await self._new_order(
                    identifiers,
                    profile=profile,
                    not_before=not_before,
                    not_after=not_after,
                    replaces=replaces,
                    patient=False,
                )
            except (ProblemError, ServiceUnavailable) as error:
                if isinstance(error, _NOT_ABOUT_REPLACES):
                    raise
                if on_refusal is not None:
                    on_refusal(error)
        return await self.new_order(identifiers, profile=profile, not_before=not_before, not_after=not_after)

    async def fetch_order(self, url: str, *, known: Order | None = None, fresh: bool = True) -> Order:
        """Fetch an order.

        Args:
            url: Its URL.
            known: The order as seen before, for what the answer leaves out.
            fresh: Whether a 404 is taken for a replica that is behind, and asked again.
        """
        return await self._read("order", url, lambda response: self._parsed(response, url, known), fresh=fresh)

    async def finalize(self, order: Order, csr_der: bytes) -> Order:
        """Request the certificate (section 7.4).

        If the answer is lost or unusable, or the server fails or reports that the order is not ready, read the order:
        the request, or an earlier one, may have finalized it. Send it again only if the order is still `ready`.

        Args:
            order: An order that is `ready`.
            csr_der: A PKCS #10 request in DER for exactly the identifiers of the order.

        Returns:
            The order as last seen: usually `processing` or `valid`, but perhaps `invalid`.

        Raises:
            OrderNotReady: The order is in another state.
            BadCsr: The server does not accept the request.
        """
        patience = self.server.patience()
        repeated = False
        while True:
            try:
                return await self._finalize_once(order, csr_der)
            except (ConnectionFailed, TimedOut, ServerResponseError) as error:
                if not _may_be_finalized(error):
                    raise
                passing = may_pass(error, fresh=True) or is_unreadable(error)
                early = isinstance(error, OrderNotReady)
                pause = patience.next_pause(error.retry_after) if passing or early else None
                if pause is not None:
                    await self.server.pause("finalize", pause)
                seen = await self._seen_after_finalization(order, patience if early else None)
                if seen.status in _FINALIZED:
                    return seen
                again = pause is not None or not (repeated or passing)
                if seen.status is not OrderStatus.READY or not again:
                    raise
                order, repeated = seen, True

    async def _seen_after_finalization(self, order: Order, patience: Patience | None) -> Order:
        """Return an order as it is now; with patience, wait while a replica that is behind still has it `pending`."""
        seen = await self.fetch_order(order.url, known=order)
        while patience is not None and seen.status is OrderStatus.PENDING:
            pause = patience.next_pause(seen.retry_after)
            if pause is None:
                break
            await self.server.pause("order", pause)
            seen = await self.fetch_order(order.url, known=order)
        return seen

    async def _finalize_once(self, order: Order, csr_der: bytes) -> Order:
        if not order.finalize_url:
            raise contradiction(order.url, f"the order is {order.status} and does not say where to finalize it")
        payload = {"csr": base64url.encode(csr_der)}
        # Not patient: it may have been accepted, so the order has to be looked at first.
        response = await self._post("finalize", order.finalize_url, payload, repeatable=False, patient=False)
        return self._parsed(response, order.url, order)

    def _parsed(self, response: Response, url: str, known: Order | None) -> Order:
        return Order.parse(response, url, self.server.urls, retry_after=self._retry_after(response), known=known)

    async def order_failure(self, order: Order) -> OrderFailed:
        """Return (not raise) the error that says which domains of an invalid order failed and why.

        Authorizations that cannot be read, because they are gone by now, say nothing; then the order's own error has to
        do.
        """
        return OrderFailed.of(order, await self.fetch_readable_authorizations(order))

    async def poll_order(
        self,
        order: Order,
        *,
        until: Collection[str] = (OrderStatus.VALID,),
        timeout: float = 60.0,  # noqa: ASYNC109 - it bounds many requests and the waits between them
        answered: Collection[Challenge] = (),
        pace: Pace = Pace(),  # noqa: B008 - immutable
    ) -> Order:
        """Poll an order until it is in one of the states.

        Wait as long as the server asks by Retry-After, otherwise a little longer each time. If the order stays pending
        for some seconds, read its authorizations, too, less and less often: a server may leave a failed challenge to be
        answered again, or an invalid authorization in a pending order.

        Args:
            order: The order as last seen; if it is already in one of the states, no request is sent.
            until: The states to wait for.
            timeout: Seconds for all waits between requests; the last request has the time-outs of the transport.
            answered: The challenges that were answered, as last seen. One that the server leaves `pending` with an
                error is answered again, less and less often (section 8.2). The longest Retry-After of their answers is
                respected before the first look.
            pace: The pauses where the server does not say.

        `invalid` is the end of an order, and one of a CA's machines may be alone in saying so: it is read twice.

        Raises:
            OrderFailed: The order became `invalid`, which is not one of the states, or it cannot become ready because
                an authorization is not pending any more.
            PollTimedOut: It did not reach one of the states in time; see `reasons`.
        """
        watch = ValidationWatch(self, answered)
        asked = [one.retry_after for one in answered if one.retry_after is not None]
        first = replace(order, retry_after=max(*asked, order.retry_after or 0.0)) if asked else order
        latest = order
        is_the_end = OrderStatus.INVALID not in until

        async def look(last: Order) -> Order:
            nonlocal latest
            latest = await self.fetch_order(last.url, known=last)
            if latest.status is OrderStatus.INVALID and is_the_end:
                latest = await self.fetch_order(last.url, known=latest)
            if latest.status is OrderStatus.PENDING and (failed := await watch.look(latest)):
                raise OrderFailed(latest, dict(failed))
            return latest

        wanted = frozenset({*until, OrderStatus.INVALID})
        try:
            if first.status is OrderStatus.INVALID and is_the_end:
                first = await self.fetch_order(order.url, known=order)
            found = await poll(first, look, until=wanted, timeout=timeout, clock=self.server.clock, pace=pace)
        except PollTimedOut as error:
            if latest.status is OrderStatus.PENDING and not watch.has_looked:
                failed = (await watch.review(latest)).failed
                if failed:
                    raise OrderFailed(latest, dict(failed)) from error
            raise error.because({name: str(problem) for name, problem in watch.reasons.items()}) from error.__cause__
        if found.status is OrderStatus.INVALID and OrderStatus.INVALID not in until:
            raise await self.order_failure(found)
        return found


def _instant(time: datetime, what: str) -> str:
    if time.tzinfo is None:
        # It would be taken for the time of this host.
        raise ValueError(f"{what} has no time zone: give it one, such as datetime.UTC")
    return rfc3339(time)


_FINALIZED: Final = frozenset({OrderStatus.PROCESSING, OrderStatus.VALID, OrderStatus.INVALID})


def _may_be_finalized(error: AcmeError) -> bool:
    """Return whether an order has to be looked at, because it may be finalized: now, or before."""
    if isinstance(error, ConnectionFailed):
        return error.request_sent
    if isinstance(error, RateLimited):
        # Nothing has happened; a short limit is waited for, and a look does no harm.
        return (error.retry_after or 0.0) <= LONGEST_ASKED_PAUSE
    return isinstance(error, TimedOut | OrderNotReady) or is_unreadable(error) or may_pass(error, fresh=True)
