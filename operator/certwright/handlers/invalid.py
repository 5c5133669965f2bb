"""Objects that an API server has stored although our models refuse them: their owners are told in a condition.

No rule of a CRD can see everything (what is inside base64, for one), and objects from before a rule was stricter stay.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.kube.errors import Conflict, NotFound
from certwright.kube.subjects import subject_of
from certwright.resources import FINALIZER, READY, Certificate, ClusterIssuer, Issuer, Metadata

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from certwright.kube.api import KubeApi
    from certwright.kube.events import EventRecorder
    from certwright.resources import InvalidResource
    from certwright.runtime.key import Key

logger = logging.getLogger(__name__)

REASON: Final = "InvalidSpec"
PLURALS: Final = {kind.KIND: kind.PLURAL for kind in (Certificate, Issuer, ClusterIssuer)}


@dataclass(frozen=True)
class InvalidObject:
    """An object and what is wrong with it.

    Attributes:
        body: As the API server has it.
        message: For people.
    """

    body: Mapping[str, Any]
    message: str

    @classmethod
    def of(cls, body: Mapping[str, Any], error: InvalidResource) -> InvalidObject:
        """Keep a refused object with the words of the refusal."""
        return cls(body, f"{'; '.join(error.problems)}. Nothing is done until it is corrected.")


async def tell(
    key: Key, invalid: InvalidObject, *, kube_api: KubeApi, recorder: EventRecorder, now: dt.datetime
) -> None:
    """Say in the object's Ready condition and in an Event what is wrong, unless the condition says it already.

    One that is being deleted is let go instead.

    Raises:
        KubeError: The status cannot be written.
    """
    try:
        if invalid.body["metadata"].get("deletionTimestamp"):
            await _let_go(key, invalid.body["metadata"], kube_api)
        else:
            await _show(key, invalid, kube_api=kube_api, recorder=recorder, now=now)
    except (NotFound, Conflict):
        return  # deleted or made anew meanwhile; the event is on the way


async def _show(
    key: Key, invalid: InvalidObject, *, kube_api: KubeApi, recorder: EventRecorder, now: dt.datetime
) -> None:
    metadata, status = invalid.body["metadata"], dict(invalid.body.get("status") or {})
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    before = conditions.get(READY, {})
    said = {
        "type": READY,
        "status": "False",
        "reason": REASON,
        "message": invalid.message,
        "observedGeneration": metadata["generation"],
    }
    if all(before.get(name) == value for name, value in said.items()):
        return
    changed = before.get("status") != "False"
    since = f"{now:%Y-%m-%dT%H:%M:%SZ}" if changed else before.get("lastTransitionTime")
    conditions[READY] = {**said, "lastTransitionTime": since}
    subject = subject_of(key.kind, Metadata.model_validate(metadata))
    logger.warning("%s is left alone until it is corrected: %s", key, invalid.message)
    recorder.record(subject, "Warning", REASON, invalid.message)
    # The rest of the status stays: an order in it is gone on with once the spec is corrected.
    await kube_api.apply_status(
        PLURALS[key.kind], key.kind, metadata, {**status, "conditions": list(conditions.values())}
    )


async def _let_go(key: Key, metadata: Mapping[str, Any], kube_api: KubeApi) -> None:
    """Hold up no deletion: what it was waiting for cannot be read any more."""
    if key.kind != "Certificate" or FINALIZER not in (metadata.get("finalizers") or ()):
        return  # issuers are never held
    logger.warning("%s goes, and TXT records of it may stay behind: its spec or status cannot be read", key)
    await kube_api.apply_finalizers(PLURALS[key.kind], key.kind, metadata, ())
