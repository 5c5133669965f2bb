"""The actions of requests. To add one, give it a file beside this one and a line here.

If it does anything other than having a certificate issued, it also needs a step, in `certificates/plan_requests.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from certwright.certificates.requests.record import running
from certwright.certificates.requests.renew import RENEW
from certwright.certificates.requests.revoke import REVOKE
from certwright.certificates.requests.rollback import ROLLBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.certificates.observation import Observation
    from certwright.certificates.requests.action import Action
    from certwright.resources import RequestAction, RequestStatus

ACTIONS: Final[Mapping[RequestAction, Action]] = {"Renew": RENEW, "Revoke": REVOKE, "Rollback": ROLLBACK}


def wanting_certificate(observation: Observation) -> RequestStatus | None:
    """Return the running request that needs a certificate issued now, or None."""
    entry = running(observation)
    action = ACTIONS.get(entry.action) if entry is not None else None
    return entry if entry is not None and action is not None and action.wants_certificate(observation, entry) else None
