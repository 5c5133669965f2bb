"""Renewal requests from cert-manager's tools, which set a condition in the status of a Certificate. Pure.

Anyone who may write that status can request a renewal, once for each transition, within the order budget that applies
to every request. Nothing else in the status is used.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.resources import READY, is_true

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.mirror.objects import Mirrored
    from certwright.resources import Certificate

OLDEST: Final = dt.timedelta(days=1)
"""A trigger that is older was written to an operator that did not run, or is from a backup."""
SKEW: Final = dt.timedelta(minutes=5)
"""By how much the clock of whoever asks may be ahead."""
REQUESTED_BY: Final = "the condition Issuing of certificates.cert-manager.io, as cmctl renew writes it"


@dataclass(frozen=True)
class Trigger:
    """What becomes of a trigger.

    Attributes:
        is_pending: Whether it stands until the renewal has begun; else it is taken away.
        request: The request to write now; None for none.
    """

    is_pending: bool = False
    request: Mapping[str, Any] | None = None


def renewal_of(theirs: Mirrored, ours: Certificate | None, now: dt.datetime) -> Trigger:
    """Return what becomes of the trigger in a Certificate of theirs.

    Args:
        theirs: The Certificate of cert-manager.
        ours: The one that serves it; None if there is none.
        now: The present time.
    """
    if theirs.triggered is None or ours is None or not _is_recent(theirs.triggered, now):
        return Trigger()
    request_id = _request_id(theirs)
    known = next((one for one in ours.status.requests if one.id == request_id), None)
    if known is not None:
        return Trigger(is_pending=known.state == "Running")
    if ours.spec.request is not None:
        # One after the other; this one is looked at again when the other has ended.
        return Trigger(is_pending=True)
    if not is_true(ours.status.conditions, READY) and not ours.status.failed_attempts:
        # One is being issued as it is. After a failure it is not, until a pause is over that a request ends.
        return Trigger()
    return Trigger(is_pending=True, request={"id": request_id, "action": "Renew", "requestedBy": REQUESTED_BY})


def _is_recent(text: str, now: dt.datetime) -> bool:
    try:
        asked = dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return asked.tzinfo is not None and now - OLDEST <= asked <= now + SKEW


def _request_id(theirs: Mirrored) -> str:
    """Return the same ID for the same transition, whoever looks at it, so that it is carried out once."""
    said = f"{theirs.uid} {theirs.triggered}"
    return f"cmctl-{hashlib.sha256(said.encode()).hexdigest()[:24]}"
