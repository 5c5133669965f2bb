"""What tools make of cert-manager's objects, in our own words, from what they are documented to do.

Argo CD runs a script in Lua on the object; cmctl reads conditions as every client of the API does; `kubectl wait`
compares a condition's generation with the object's.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

Body = dict[str, Any]

_ARGO_CD: Final = """
local function of(kind)
  for _, one in ipairs((obj.status or {}).conditions or {}) do
    if one.type == kind then return one end
  end
end
local issuing, ready = of("Issuing"), of("Ready")
if obj.kind == "Certificate" and issuing and issuing.status == "True" then
  return {status = "Progressing", message = issuing.message}
end
if ready and ready.status == "True" then return {status = "Healthy", message = ready.message} end
if ready and ready.status == "False" then return {status = "Degraded", message = ready.message} end
return {status = "Progressing", message = "waiting"}
"""


def argo_cd() -> Callable[[Body], str]:
    """Return its judge: Issuing counts first, for Certificates; then Ready; and nothing is Progressing."""
    lua51 = import_module("lupa.lua51")

    def judge(body: Body) -> str:
        lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
        lua.globals()["obj"] = lua.table_from(body, recursive=True)
        return str(lua.execute(_ARGO_CD)["status"])

    return judge


def kubectl_wait(body: Body, condition: str = "Ready", wanted: str = "True") -> bool:
    """Whether `kubectl wait --for=condition=...` is over: the condition is of this generation of the object."""
    for one in body.get("status", {}).get("conditions", ()):
        if one["type"] == condition:
            generation = body["metadata"].get("generation", 0)
            return bool(one["status"] == wanted and one.get("observedGeneration", generation) >= generation)
    return False


def renewed_by_cmctl(body: Body, now: str) -> Body:
    """Return what `cmctl renew` writes: the object with Issuing True in its status, as it was read otherwise."""
    kept = [one for one in body.get("status", {}).get("conditions", ()) if one["type"] != "Issuing"]
    triggered = {
        "type": "Issuing",
        "status": "True",
        "reason": "ManuallyTriggered",
        "message": "Certificate re-issuance manually triggered",
        "lastTransitionTime": now,
        "observedGeneration": body["metadata"]["generation"],
    }
    return {**body, "status": {**body.get("status", {}), "conditions": [*kept, triggered]}}
