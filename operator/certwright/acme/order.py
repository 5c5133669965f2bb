"""Orders (RFC 8555 sections 7.1.3 and 7.4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from certwright.acme.authorization import AuthorizationStatus
from certwright.acme.errors import AcmeError
from certwright.acme.fields import Fields
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from certwright.acme.authorization import Authorization
    from certwright.acme.identifier import Identifier
    from certwright.acme.problem import Problem
    from certwright.acme.transport import UrlPolicy
    from certwright.http.message import Response

#: More authorizations than this are no order's: they would all be asked for.
MAX_AUTHORIZATIONS: Final = 1000

_SHOWN_REASONS: Final = 5


class OrderStatus(StrEnum):
    """States of an order (section 7.1.6)."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


@dataclass(frozen=True)
class Order:
    """A request for one certificate and how far it is.

    Attributes:
        url: Where it is: all that is needed to go on with it after a restart.
        status: `pending` until all is authorized, `ready` for the CSR, `processing`, `valid` or `invalid`.
        identifiers: What the certificate is for, in the server's order.
        authorization_urls: The authorizations it needs, each once, in no order that can be relied on.
        finalize_url: Where the CSR goes.
        certificate_url: Where the certificate is, once the order is valid.
        expires: When the server forgets it, aware UTC, or None.
        not_before: The start of validity that was asked for, aware UTC, or None.
        not_after: The end of validity that was asked for, aware UTC, or None.
        profile: The certificate profile, or None.
        replaces: The identifier of the certificate that the server counts this one as the renewal of (RFC 9773
            section 5), or None.
        error: What went wrong, or None.
        retry_after: Seconds that the server asks to wait before the next look, at least 0, or None.
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
        """Read an order.

        Raises:
            MalformedResponse: It is no order object, is valid but names no certificate, or wants more than 1000
                authorizations.
            UnsafeUrl: It names a URL that must not be asked.
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
    """An order became invalid; it stays so, and a new one is needed.

    Attributes:
        order: The order.
        by_identifier: What went wrong with each name, as the order wrote it; the names that are fine are not
            in it. Empty if the server only says that the order as a whole failed, which `order.error` then
            explains.
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
        """Find out which names failed.

        The challenges of their authorizations say it best, then the order's subproblems.
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
