"""An issuer's status: conditions derived from what was found, so a restart changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from certwright.resources import READY, Condition, ConditionStatus, IssuerStatus, set_condition

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from certwright.reasons import Reason
    from certwright.resources import AcmeIssuerStatus, ClusterIssuer, Issuer

TERMS_ACCEPTED: Final = "TermsAccepted"
"""Shown while it is False: the CA's terms have changed since the account agreed to them."""
KEY_ROTATED: Final = "AccountKeyRotated"
"""Shown while it is False: a rotation of the account key is due, and refused or failing."""
PROBLEMS: Final = (TERMS_ACCEPTED, KEY_ROTATED)
"""The conditions of an issuer that is ready all the same. They are taken away when they are over."""


class Problem(NamedTuple):
    """Something that an issuer's owner has to know, while the issuer works on."""

    reason: Reason
    message: str


def composed(
    issuer: Issuer | ClusterIssuer,
    acme: AcmeIssuerStatus | None,
    ready: tuple[ConditionStatus, Reason, str],
    problems: Mapping[str, Problem],
    now: dt.datetime,
) -> IssuerStatus:
    """Return the status.

    Args:
        issuer: As last seen; conditions of others stay.
        acme: The account.
        ready: Status, reason and message of Ready.
        problems: By the type of their condition.
        now: The present time.
    """
    conditions = tuple(one for one in issuer.status.conditions if one.type not in PROBLEMS or one.type in problems)
    facts: dict[str, tuple[ConditionStatus, Reason, str]] = {READY: ready}
    facts |= {kind: ("False", *problem) for kind, problem in problems.items()}
    for kind, (status, reason, message) in facts.items():
        condition = Condition(
            type=kind,
            status=status,
            reason=reason,
            message=message,
            observed_generation=issuer.metadata.generation,
        )
        conditions = set_condition(conditions, condition, now)
    return IssuerStatus(
        conditions=conditions,
        observed_generation=issuer.metadata.generation,
        acme=acme,
        rate_limits=issuer.status.rate_limits,
        rate_limit_usage=issuer.status.rate_limit_usage,
        persistent_records=issuer.status.persistent_records,
        persistent_records_seal=issuer.status.persistent_records_seal,
    )
