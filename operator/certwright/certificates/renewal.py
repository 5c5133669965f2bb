"""When a certificate is to be renewed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

    from certwright.certificates.secret import RolledBack
    from certwright.pki import CertificateFacts
    from certwright.resources import Certificate


def kept_until(facts: CertificateFacts, rolled_back: RolledBack | None) -> dt.datetime | None:
    """Return until when a certificate that was put back is not renewed; None for any other.

    Its own time of renewal is past, as a rule: that is why there was a later one. So the rest of its lifetime counts
    as a lifetime of its own, of which one third remains when it is renewed.
    """
    if rolled_back is None:
        return None
    at = min(max(rolled_back.at, facts.not_before), facts.not_after)
    return at + (facts.not_after - at) * 2 / 3


def renewal_time(certificate: Certificate, facts: CertificateFacts) -> dt.datetime:
    """Return the time from which the certificate is to be renewed.

    ``renewBefore`` (or its percentage) ahead of the end, if that lies within the certificate's real lifetime, else
    after two thirds of it: a CA may issue for less time than was requested, and then must not be asked without end.
    """
    life = facts.not_after - facts.not_before
    before = certificate.spec.renew_before
    if before is None and certificate.spec.renew_before_percentage is not None:
        before = life * certificate.spec.renew_before_percentage / 100
    if before is None or before >= life:
        before = life / 3
    return facts.not_after - before
