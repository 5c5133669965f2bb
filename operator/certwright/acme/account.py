"""Accounts (RFC 8555 sections 7.1.2 and 7.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from certwright.acme.fields import Fields
from certwright.text import printable

if TYPE_CHECKING:
    from certwright.acme.transport import UrlPolicy
    from certwright.http.message import Response


class AccountStatus(StrEnum):
    """States of an account (section 7.1.6)."""

    VALID = "valid"
    DEACTIVATED = "deactivated"
    REVOKED = "revoked"


@dataclass(frozen=True)
class Account:
    """An account at a CA.

    Attributes:
        url: Its URL, the `kid` of every request it signs.
        status: Its state; only a `valid` one can do anything.
        contact: URLs such as `mailto:ops@example.com`; some CAs never tell.
        orders_url: Where the server lists the account's orders, or None.
        created: Whether the request that returned this account made it (201), rather than found it (200).
    """

    url: str
    status: AccountStatus
    contact: tuple[str, ...] = ()
    orders_url: str | None = None
    created: bool = False

    @classmethod
    def parse(cls, response: Response, url: str, urls: UrlPolicy, *, created: bool = False) -> Account:
        """Read an account.

        Raises:
            MalformedResponse: It is no account object.
            UnsafeUrl: It names a URL that must not be asked.
        """
        fields = Fields.of(response, "the account", urls)
        return cls(
            url=url,
            status=fields.status(AccountStatus),
            contact=tuple(printable(contact) for contact in fields.texts("contact")),
            orders_url=fields.optional_url("orders"),
            created=created,
        )
