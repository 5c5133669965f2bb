"""When to renew a certificate, and why at that time. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from certwright.acme import renewal_by_lifetime
from certwright.certificates.renewal.windows import next_opening
from certwright.resources import Renewal
from certwright.text import rfc3339

if TYPE_CHECKING:
    from certwright.certificates.renewal.suggestion import Suggestion
    from certwright.certificates.secret.annotations import RolledBack
    from certwright.pki import CertificateFacts
    from certwright.reasons import Reason
    from certwright.resources import Certificate, RenewalBasis

LARGEST_PART: Final = 0.9
"""Of the real lifetime. A longer renewBefore was meant for longer certificates, and would order them without end."""
LARGEST_PART_LEFT: Final = 0.95
"""The same of what was left of it when the certificate was issued: CAs date it back, by an hour or so."""
JITTER_PART: Final = 20
"""Of the lifetime: by so much at most a renewal is earlier, so that what was applied together is renewed apart."""
JITTER_OF_PAUSE: Final = 10
"""Of the time from the issuance to the renewal: neither is it earlier by more than so much."""
LONGEST_JITTER: Final = dt.timedelta(days=3)
MARGIN_PART: Final = 6
"""Of the lifetime: so long before its end no maintenance window is waited for any more, as failures need time."""
LONGEST_MARGIN: Final = dt.timedelta(days=7)
LONGEST_SPREAD: Final = dt.timedelta(hours=1)
"""Within so long after a maintenance window opens, or half of it, its renewals begin."""


def kept_until(facts: CertificateFacts, rolled_back: RolledBack | None) -> dt.datetime | None:
    """Return until when a certificate that was put back is not renewed; None for any other.

    Its own time of renewal is past, as a rule: that is why there was a later one. So the rest of its lifetime counts
    as a lifetime of its own, of which one third remains when it is renewed.
    """
    if rolled_back is None:
        return None
    at = min(max(rolled_back.at, facts.not_before), facts.not_after)
    return at + (facts.not_after - at) * 2 / 3


@dataclass(frozen=True)
class RenewalDecision:
    """When a certificate is to be renewed.

    Attributes:
        at: The time; None if it is not renewed.
        basis: What it follows from.
        why: For messages, to follow the time: empty, or with a comma before it.
        warning: A reason and a message for people, if something is not as they may think.
        look_at: When there will be something to say that there is not yet; None if there will not.
        due_at: When it would be renewed if there were no maintenance windows; None without any.
    """

    at: dt.datetime | None
    basis: RenewalBasis
    why: str = ""
    warning: tuple[Reason, str] | None = None
    look_at: dt.datetime | None = None
    due_at: dt.datetime | None = None

    @property
    def unwindowed(self) -> dt.datetime | None:
        """When it is due, whether or not a maintenance window is open then: what has begun goes on after it closes."""
        return self.due_at or self.at


def renewal_of(
    certificate: Certificate,
    facts: CertificateFacts,
    suggestion: Suggestion | None,
    now: dt.datetime | None,
    *,
    kept_until: dt.datetime | None = None,
) -> RenewalDecision:
    """Decide when a certificate is renewed.

    Args:
        certificate: Whose spec says how.
        facts: Of the certificate in its Secret.
        suggestion: What the CA suggests.
        now: The present time: a maintenance window that is over is of no use. None if it does not matter.
        kept_until: Until when it is kept at least because it was put back, whatever the CA suggests meanwhile.
    """
    settings = certificate.spec.renewal or Renewal()
    if settings.policy == "Disabled":
        return _disabled(facts, now)
    suggested = suggestion.time(facts) if suggestion is not None and settings.ari and kept_until is None else None
    if suggestion is not None and suggested is not None:
        see = f" (see {suggestion.explanation_url})" if suggestion.explanation_url else ""
        decision = RenewalDecision(suggested, "ARI", f", as its CA suggests{see}")
    else:
        issued = suggestion.issued_at(facts) if suggestion is not None else facts.not_before
        decision = _by_spec(certificate, facts, issued)
        if kept_until is not None and decision.at is not None and decision.at < kept_until:
            decision = RenewalDecision(kept_until.replace(microsecond=0), "RolledBack", ", as it was put back")
    if not settings.windows:
        return decision
    ends = suggestion.end if suggestion is not None and suggested is not None else None
    return _in_window(decision, certificate, facts, ends, now)


def fraction_of(uid: str, purpose: str) -> float:
    """Return a number from 0 to 1 that differs between objects and stays the same for one of them."""
    return int.from_bytes(hashlib.sha256(f"{purpose} {uid}".encode()).digest()[:6]) / 2.0**48


def _disabled(facts: CertificateFacts, now: dt.datetime | None) -> RenewalDecision:
    near = _default(facts, facts.not_before)
    if now is None or now < near:
        return RenewalDecision(None, "Disabled", look_at=near)
    message = (
        f"The certificate expires at {rfc3339(facts.not_after)} and is not renewed, because spec.renewal.policy is "
        "Disabled. Set it to Automatic to have it renewed."
    )
    return RenewalDecision(None, "Disabled", warning=("RenewalDisabled", message))


def _by_spec(certificate: Certificate, facts: CertificateFacts, issued: dt.datetime) -> RenewalDecision:
    """Renew ``renewBefore`` (or its percentage) ahead of the end, else by the real lifetime; a little earlier."""
    spec, life = certificate.spec, facts.not_after - facts.not_before
    default = _earlier(certificate, facts, _default(facts, issued), issued)
    before, field = spec.renew_before, "renewBefore"
    if before is None and spec.renew_before_percentage is not None:
        before, field = life * spec.renew_before_percentage / 100, "renewBeforePercentage"
    if before is None:
        return RenewalDecision(default, "Lifetime")
    real = facts.not_after - issued
    if before <= life * LARGEST_PART and before <= real * LARGEST_PART_LEFT:
        return RenewalDecision(_earlier(certificate, facts, facts.not_after - before, issued), "RenewBefore")
    message = (
        f"spec.{field} is ignored: it is more than 90 % of the certificate's actual lifetime, "
        f"{_shown(real)}, so the certificate would be renewed again and again. The operator uses the lifetime instead."
    )
    return RenewalDecision(default, "Lifetime", warning=("RenewBeforeTooLong", message))


def _default(facts: CertificateFacts, issued: dt.datetime) -> dt.datetime:
    """Return when to renew by the lifetime: of one that began long before it was issued, a third is left to be used."""
    return max(renewal_by_lifetime(facts.not_before, facts.not_after), issued + (facts.not_after - issued) / 3)


def _earlier(certificate: Certificate, facts: CertificateFacts, at: dt.datetime, issued: dt.datetime) -> dt.datetime:
    life = facts.not_after - facts.not_before
    most = min(life / JITTER_PART, LONGEST_JITTER, (at - issued) / JITTER_OF_PAUSE)
    return (at - most * fraction_of(certificate.metadata.uid, "renewal")).replace(microsecond=0)


def _in_window(
    decision: RenewalDecision,
    certificate: Certificate,
    facts: CertificateFacts,
    suggestion_ends: dt.datetime | None,
    now: dt.datetime | None,
) -> RenewalDecision:
    """Move a renewal into a maintenance window, if one opens before it would be too late."""
    if decision.at is None or certificate.spec.renewal is None:
        return decision
    life = facts.not_after - facts.not_before
    deadline = facts.not_after - min(life / MARGIN_PART, LONGEST_MARGIN)
    if suggestion_ends is not None:
        deadline = min(deadline, suggestion_ends)
    time = max(decision.at, now or decision.at)
    opening = next_opening(certificate.spec.renewal.windows, time, until=deadline) if time < deadline else None
    if opening is None:
        why = f"{decision.why}, outside the maintenance windows: none opens before {rfc3339(deadline)}"
        return replace(decision, why=why)
    spread = min((opening.end - opening.start) / 2, LONGEST_SPREAD)
    begins = opening.start + spread * fraction_of(certificate.metadata.uid, "window")
    at = max(decision.at, begins.replace(microsecond=0))
    return replace(decision, at=at, why=f"{decision.why}, in a maintenance window", due_at=decision.at)


def _shown(life: dt.timedelta) -> str:
    day, hour = dt.timedelta(days=1), dt.timedelta(hours=1)
    return f"{life / day:.0f} days" if life >= 3 * day else f"{life / hour:.1f} h"
