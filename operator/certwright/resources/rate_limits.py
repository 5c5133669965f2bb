"""What a CA allows, as an issuer sets and shows it."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from certwright.resources.base import Model
from certwright.resources.duration import AtLeast
from certwright.resources.rules import ATOMIC_MAP
from certwright.resources.timestamp import Timestamp


class RateLimit(Model):
    """A number of requests in a period, replenished continuously."""

    model_config = ConfigDict(json_schema_extra=ATOMIC_MAP)

    count: Annotated[int, Field(ge=1, le=1_000_000)]
    """How many the CA allows in the period."""
    period: Annotated[timedelta, AtLeast("1m")]
    """The period, such as 168h for a week."""


class RateLimits(Model):
    """The CA's rate limits.

    The operator places no order that would exceed them. For an unset limit, it uses the one that the CA publishes,
    if Certwright knows it.
    """

    orders_per_account: RateLimit | None = None
    """New orders of the account, such as 300 in 3h."""
    certificates_per_registered_domain: RateLimit | None = None
    """New certificates under one registered domain, such as example.co.uk, by all accounts, such as 50 in 168h."""
    certificates_per_exact_set: RateLimit | None = None
    """Certificates for exactly the same set of domains, such as 5 in 168h."""
    failed_validations: RateLimit | None = None
    """Failed validations of one domain by the account, such as 5 in 1h."""
    renewals_exempt: bool | None = None
    """
    Whether the CA exempts renewals, as Let's Encrypt does: those that follow its renewal information from all limits,
    and those for the same domains from the limits on orders and registered domains. If unset, true.
    """


class RateLimitUsageStatus(Model):
    """How much of a rate limit the issuer's account has used up."""

    limit: Literal["ordersPerAccount"]
    """The name of the limit."""
    used: Annotated[int, Field(ge=0, le=1_000_000)]
    """How much was used up when this was written."""
    allowed: Annotated[int, Field(ge=1, le=1_000_000)]
    """How much the CA allows in the period."""
    period: Annotated[timedelta, AtLeast("1m")]
    """The period."""
    until: Timestamp
    """
    When the whole limit will be available again. The operator writes this ahead, with a reserve of a tenth of the
    limit, to avoid a write for every order.
    """
