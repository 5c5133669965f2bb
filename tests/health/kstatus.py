"""How kstatus (sigs.k8s.io/cli-utils) judges objects of kinds that it does not know: `flux`, `kubectl` plug-ins, kpt.

Its rules, in their order: being deleted; a generation that the status does not describe; `Reconciling` and `Stalled`;
`Ready`; else all is well.
"""

from __future__ import annotations

from typing import Any


def kstatus(body: dict[str, Any]) -> str:
    """Return what it computes: `Current`, `InProgress`, `Failed` or `Terminating`."""
    metadata, status = body["metadata"], body.get("status", {})
    if "deletionTimestamp" in metadata:
        return "Terminating"
    if "observedGeneration" in status and status["observedGeneration"] != metadata.get("generation"):
        return "InProgress"
    conditions = {one["type"]: one["status"] for one in status.get("conditions", ())}
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "Current" if conditions.get("Ready", "True") == "True" else "InProgress"
