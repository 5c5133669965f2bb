"""Objects that the API server stored although our models refuse them; a condition tells their owners.

CRD rules cannot check everything (such as base64 content), and objects from before a rule became stricter remain.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.kube.errors import Conflict, NotFound
from certwright.kube.events import subject_of
from certwright.resources import FINALIZER, OPERATOR_CONFLICT, READY, Metadata
from certwright.text import rfc3339

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from certwright.kube.api import KubeApi
    from certwright.kube.events import EventRecorder
    from certwright.kube.resource import Resource
    from certwright.resources import InvalidResource

logger = logging.getLogger(__name__)

REASON: Final = "InvalidSpec"


@dataclass(frozen=True)
class InvalidObject:
    """An object and what is wrong with it.

    Attributes:
        body: As the API server has it.
        message: What is wrong, for the user.
    """

    body: Mapping[str, Any]
    message: str

    @classmethod
    def of(cls, body: Mapping[str, Any], error: InvalidResource) -> InvalidObject:
        """Keep a refused object with the words of the refusal."""
        return cls(body, f"{'; '.join(error.problems)}. Certwright ignores it until it is corrected.")


async def tell(
    resource: Resource, invalid: InvalidObject, *, kube_api: KubeApi, recorder: EventRecorder, now: dt.datetime
) -> None:
    """Say in the object's Ready condition and in an Event what is wrong, unless the condition says it already.

    One that is being deleted is let go instead.

    Args:
        resource: One of our own.
        invalid: The object.
        kube_api: Where its status is written.
        recorder: For the Event.
        now: The present time.

    Raises:
        KubeError: The status cannot be written.
    """
    try:
        if invalid.body["metadata"].get("deletionTimestamp"):
            await _let_go(resource, invalid.body["metadata"], kube_api)
        else:
            await _show(resource, invalid, kube_api=kube_api, recorder=recorder, now=now)
    except (NotFound, Conflict):
        return  # deleted or recreated meanwhile; the event is on the way


async def _show(
    resource: Resource, invalid: InvalidObject, *, kube_api: KubeApi, recorder: EventRecorder, now: dt.datetime
) -> None:
    metadata, status = invalid.body["metadata"], dict(invalid.body.get("status") or {})
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    conditions.pop(OPERATOR_CONFLICT, None)
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
    since = rfc3339(now) if changed else before.get("lastTransitionTime")
    conditions[READY] = {**said, "lastTransitionTime": since}
    subject = subject_of(resource.kind, Metadata.model_validate(metadata))
    logger.warning("%s is ignored until it is corrected: %s", resource.key(metadata), invalid.message)
    recorder.record(subject, "Warning", REASON, invalid.message)
    # The rest of the status stays: an order in it is gone on with once the spec is corrected.
    status |= {"conditions": list(conditions.values()), "observedGeneration": metadata["generation"]}
    await kube_api.apply_status(resource.plural, resource.kind, metadata, status)


async def _let_go(resource: Resource, metadata: Mapping[str, Any], kube_api: KubeApi) -> None:
    """Hold up no deletion: what it was waiting for cannot be read any more."""
    finalizers = metadata.get("finalizers") or ()
    if FINALIZER not in finalizers:
        return
    logger.warning(
        "%s is being deleted, and its TXT records may be left behind: its spec or status cannot be read",
        resource.key(metadata),
    )
    await kube_api.remove_finalizer(resource.plural, resource.kind, metadata, FINALIZER, known=finalizers)
