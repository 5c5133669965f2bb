"""Objects that an API server has stored although our models refuse them: their owners are told in a condition.

No rule of a CRD can see everything (what is inside base64, for one), and objects from before a rule was stricter stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.kube.errors import NotFound
from certwright.kube.events import Subject
from certwright.resources import API_VERSION, CERTIFICATES, CLUSTER_ISSUERS, ISSUERS, READY

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from certwright.issuance.key import Key
    from certwright.kube.events import EventRecorder
    from certwright.kube.gateway import Gateway
    from certwright.resources import InvalidResource

REASON: Final = "InvalidSpec"
PLURALS: Final = {"Certificate": CERTIFICATES, "Issuer": ISSUERS, "ClusterIssuer": CLUSTER_ISSUERS}


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
    key: Key, invalid: InvalidObject, *, gateway: Gateway, recorder: EventRecorder, now: dt.datetime
) -> None:
    """Say in the object's Ready condition and in an Event what is wrong, unless the condition says it already.

    Raises:
        KubeError: The status cannot be written.
    """
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
    subject = Subject(
        api_version=API_VERSION,
        kind=key.kind,
        namespace=key.namespace,
        name=key.name,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
    )
    recorder.record(subject, "Warning", REASON, invalid.message)
    try:
        await gateway.apply_status(
            PLURALS[key.kind], key.kind, metadata, {**status, "conditions": list(conditions.values())}
        )
    except NotFound:
        return  # deleted meanwhile; its event is on the way
