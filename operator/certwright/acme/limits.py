"""The published rate limits of CAs (https://letsencrypt.org/docs/rate-limits/, August 2026)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Limit:
    """A number of requests in a period, refilled evenly: a token bucket, as in Boulder.

    Attributes:
        count: The size of the bucket.
        period: How long it takes to refill the empty bucket.
    """

    count: int
    period: timedelta

    @property
    def seconds_each(self) -> float:
        """How long it takes to refill one token."""
        return self.period.total_seconds() / self.count

    def __str__(self) -> str:
        """Return it for people: "50 in 7 days"."""
        seconds = int(self.period.total_seconds())
        for unit, word in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
            if seconds % unit == 0:
                number = seconds // unit
                return f"{self.count} in {number} {word}{'s' * (number != 1)}"
        return f"{self.count} in {self.period}"


@dataclass(frozen=True)
class LimitProfile:
    """The limits of one CA; None for each that it does not publish.

    Attributes:
        orders_per_account: New orders of an account.
        certificates_per_registered_domain: New certificates under one registered domain, by all accounts together.
        certificates_per_exact_set: New certificates for exactly the same set of domains.
        failed_validations: Failed validations of one domain by one account.
        accounts_per_address: New accounts from one IP address.
        requests: Requests a second from one IP address, by the action they are for (see `RequestRecord.action`).
        renewals_exempt: Whether renewals are exempt as at Let's Encrypt: with `replaces` from all, for the same names
            from the limits on orders and registered domains.
    """

    orders_per_account: Limit | None = None
    certificates_per_registered_domain: Limit | None = None
    certificates_per_exact_set: Limit | None = None
    failed_validations: Limit | None = None
    accounts_per_address: Limit | None = None
    requests: Mapping[str, Limit] = field(default_factory=dict)
    renewals_exempt: bool = True


NO_LIMITS: Final = LimitProfile()
"""The assumption about a CA that publishes no limits; the budget learns from its 429 responses."""

LETS_ENCRYPT: Final = LimitProfile(
    orders_per_account=Limit(300, timedelta(hours=3)),
    certificates_per_registered_domain=Limit(50, timedelta(days=7)),
    certificates_per_exact_set=Limit(5, timedelta(days=7)),
    failed_validations=Limit(5, timedelta(hours=1)),
    accounts_per_address=Limit(10, timedelta(hours=3)),
    requests={
        action: Limit(count, timedelta(seconds=1))
        for action, count in {
            "newNonce": 20,
            "newAccount": 5,
            "newOrder": 300,
            "revokeCert": 10,
            "renewalInfo": 1000,
            "directory": 40,
        }.items()
    },
)
"""The limits of Let's Encrypt's production environment, as published in August 2026; see `limits_of`."""

LETS_ENCRYPT_STAGING: Final = LimitProfile(
    orders_per_account=Limit(1500, timedelta(hours=3)),
    certificates_per_registered_domain=Limit(30_000, timedelta(days=7)),
    certificates_per_exact_set=Limit(30_000, timedelta(days=7)),
    failed_validations=Limit(200, timedelta(hours=1)),
    accounts_per_address=Limit(50, timedelta(hours=3)),
    requests=LETS_ENCRYPT.requests,
)
"""The limits of Let's Encrypt's staging environment, far wider; only those that tests could exceed."""

_BY_HOST: Final[Mapping[str, LimitProfile]] = {
    "acme-v02.api.letsencrypt.org": LETS_ENCRYPT,
    "acme-staging-v02.api.letsencrypt.org": LETS_ENCRYPT_STAGING,
}


def limits_of(directory_url: str) -> LimitProfile:
    """Return the known limits of the CA at a directory URL."""
    try:
        host = urlsplit(directory_url).hostname or ""
    except ValueError:
        return NO_LIMITS
    return _BY_HOST.get(host, NO_LIMITS)
