"""When and how a certificate is renewed: `spec.renewal` and `status.renewal`."""

from datetime import timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field

from certwright.resources.base import Model
from certwright.resources.cron import CRON
from certwright.resources.duration import AtLeast
from certwright.resources.references import IssuerRef
from certwright.resources.rules import ATOMIC_LIST, ATOMIC_MAP, MAX_COUNT, VISIBLE_ASCII, rule
from certwright.resources.text_rule import Hint, TextRule
from certwright.resources.timestamp import Timestamp

RenewalBasis = Literal["ARI", "RenewBefore", "Lifetime", "RolledBack", "Disabled"]
"""What decides on the time of a renewal: the CA (RFC 9773), the spec, or neither of them; or that it was put back."""

TIME_ZONE = TextRule(
    pattern=r"[A-Z][A-Za-z0-9_+\-]*(?:/[A-Za-z0-9_+\-]+){0,2}",
    message="is not a time zone of the IANA database, such as Europe/Berlin or Etc/UTC",
    max_length=64,
    unless="Local",
    hints=(Hint(r"^[+-][0-9]", "is an offset: write a time zone of the IANA database, such as Europe/Berlin"),),
)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; a folder's name is an OSError
        raise ValueError(TIME_ZONE.message) from None
    return name


def _with_known_zone(schema: dict[str, Any]) -> None:
    # The API server has the database, too. Of a text of a wrong form only that is said.
    known = f"!({TIME_ZONE.cel}) || timestamp('2026-01-01T00:00:00Z').getHours(self) >= 0"
    schema["x-kubernetes-validations"] = [*schema["x-kubernetes-validations"], rule(known, TIME_ZONE.message)]


TimeZone = Annotated[str, TIME_ZONE, AfterValidator(_known_zone), Field(json_schema_extra=_with_known_zone)]


class RenewalWindow(Model):
    """A recurring maintenance window."""

    schedule: Annotated[str, CRON]
    """
    When the window opens: minute, hour, day of month, month and day of week, as in cron, such as 0 2 * * SAT,SUN.
    """
    duration: Annotated[timedelta, AtLeast("15m")]
    """How long it stays open, such as 4h."""
    time_zone: TimeZone = "Etc/UTC"
    """The time zone of the schedule, such as Europe/Berlin."""


class Rehearsal(Model):
    """A trial of the renewal at another issuer, such as the staging environment of the CA."""

    issuer_ref: IssuerRef
    """The issuer to try. Its certificate is not used: the Secret stays as it is."""
    before: Annotated[timedelta, AtLeast("1h")] = timedelta(days=3)
    """How long before the renewal to try it, such as 72h. There is at most one rehearsal for each renewal."""


class Renewal(Model):
    """When and how the certificate is renewed."""

    policy: Literal["Automatic", "Disabled"] = "Automatic"
    """
    Automatic renews the certificate in time. Disabled never renews it, so it expires. A changed spec or a missing
    Secret still causes a new certificate.
    """
    ari: bool = True
    """
    Whether to ask the CA when to renew the certificate (ACME Renewal Information, RFC 9773). If the CA does not say,
    renewBefore, renewBeforePercentage or the lifetime applies.
    """
    windows: Annotated[tuple[RenewalWindow, ...], Field(max_length=8, json_schema_extra=ATOMIC_LIST)] = ()
    """
    Maintenance windows. The operator renews the certificate while one is open, unless none opens before the CA's
    suggested window ends or the certificate is about to expire.
    """
    rehearse: Rehearsal | None = None
    """A trial of the renewal at another issuer, ahead of time."""


class RehearsalStatus(Model):
    """The last rehearsal."""

    model_config = ConfigDict(json_schema_extra=ATOMIC_MAP)

    certificate: Annotated[str, Field(max_length=256, pattern=VISIBLE_ASCII)]
    """The certificate whose renewal was rehearsed: its SHA-256 fingerprint."""
    issuer: Annotated[str, Field(max_length=300)]
    """The issuer that was tried."""
    state: Literal["Running", "Succeeded", "Failed"]
    """The result."""
    message: Annotated[str, Field(max_length=1600)] = ""
    """What happened, and what to do."""
    started_time: Timestamp
    """When it started."""
    finished_time: Timestamp | None = None
    """When it ended."""


class RenewalStatus(Model):
    """When the certificate in the Secret will be renewed, and why then."""

    model_config = ConfigDict(json_schema_extra=ATOMIC_MAP)

    basis: RenewalBasis | None = None
    """
    The basis of status.renewalTime. ARI: the CA suggests a window. RenewBefore: spec.renewBefore or
    renewBeforePercentage. Lifetime: the actual lifetime of the certificate. RolledBack: an earlier certificate was put
    back, and is kept for two thirds of the rest of its lifetime. Disabled: it is not renewed.
    """
    certificate: Annotated[str, Field(max_length=256, pattern=VISIBLE_ASCII)] | None = None
    """The certificate that the operator asked the CA about, by its identifier (RFC 9773, section 4.1)."""
    window_start: Timestamp | None = None
    """The start of the window that the CA suggests."""
    window_end: Timestamp | None = None
    """The end of the window that the CA suggests."""
    time: Timestamp | None = None
    """The time within the window, chosen at random. It stays the same as long as the window contains it."""
    explanation_url: Annotated[str, Field(max_length=512, pattern=r"^https?://[!-~]+$")] | None = Field(
        default=None, alias="explanationURL"
    )
    """A page by the CA that explains the window."""
    first_seen_time: Timestamp | None = None
    """When the operator first saw the certificate in the Secret."""
    early_renewals: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    """
    How many certificates in a row were replaced early because the CA suggested it, during the first third of their
    lifetime. Each must have been valid longer than the one before.
    """
    rehearsal: RehearsalStatus | None = None
    """The last rehearsal."""
