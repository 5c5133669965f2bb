"""The API server, its clock, and the CRDs."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from certwright.cli.cluster.checks.result import Result
from certwright.cli.cluster.human import span
from certwright.cli.cluster.views import text_at, time_at
from certwright.kube.errors import Forbidden, KubeError, NotFound
from certwright.kube.paths import object_path
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from certwright.cli.cluster.connection import Session

CRDS: Final = "/apis/apiextensions.k8s.io/v1"
OURS: Final = "/apis/certwright.io/v1"
MOST_SKEW: Final = dt.timedelta(seconds=30)
PLURALS: Final = ("certificates", "issuers", "clusterissuers")
UPGRADE: Final = "kubectl apply --server-side -f crds/, or helm upgrade with the chart's CRDs"


async def check_api_server(connected: Session) -> Result:
    """Tell whether the API server answers, and which version it is of."""
    found = await connected.client.request("GET", "/version", action="read the API server's version")
    return Result("pass", "API server", f"{connected.server} answers, version {text_at(found, 'gitVersion')}")


async def check_clock(connected: Session) -> list[Result]:
    """Compare this machine's clock with the API server's."""
    return [await _clock(connected)]


async def _clock(connected: Session) -> Result:
    # It stamps what it creates; a dry run keeps nothing.
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"generateName": "certwright-clock-", "namespace": connected.namespace},
    }
    try:
        found = await connected.client.request(
            "POST",
            object_path("/api/v1", "configmaps", connected.namespace),
            action="create a ConfigMap as a dry run",
            query={"dryRun": "All"},
            body=body,
        )
    except KubeError as error:
        return Result("warn", "clock", f"cannot be compared with the API server's: {error}")
    theirs = time_at(found, "metadata", "creationTimestamp")
    if theirs is None:
        return Result("warn", "clock", "cannot be compared with the API server's: it gave no time")
    skew = dt.datetime.now(dt.UTC) - theirs
    if abs(skew) <= MOST_SKEW:
        return Result("pass", "clock", "agrees with the API server's")
    word = "ahead of" if skew > dt.timedelta() else "behind"
    return Result(
        "warn", "clock", f"this machine's clock is {span(skew)} {word} the API server's: set one of them right"
    )


async def check_crds(connected: Session) -> list[Result]:
    """Tell whether the CRDs are there, and are those of this version."""
    from certwright.resources.crd import custom_resource_definitions

    results = []
    for wanted in custom_resource_definitions():
        name = wanted["metadata"]["name"]
        try:
            found = await connected.read("customresourcedefinitions", None, name, root=CRDS)
        except Forbidden:
            return [await _served(connected)]
        results.append(_compared(name, found, wanted))
    return results


def _compared(name: str, found: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> Result:
    if found is None:
        return Result("fail", f"CRD {name}", f"is missing: {UPGRADE}")
    established = [one for one in found.get("status", {}).get("conditions", ()) if one.get("type") == "Established"]
    if not any(one.get("status") == "True" for one in established):
        return Result("fail", f"CRD {name}", "is not established: kubectl describe crd says why")
    ours, theirs = _fields(wanted), _fields(found)
    if missing := sorted(ours - theirs):
        return Result("fail", f"CRD {name}", f"is older than this version, it lacks {listed(missing)}: {UPGRADE}")
    if more := sorted(theirs - ours):
        return Result("warn", f"CRD {name}", f"is newer than this command, it also has {listed(more)}")
    return Result("pass", f"CRD {name}", "exists, with the fields of this version")


def _fields(definition: Mapping[str, Any]) -> set[str]:
    versions = {one.get("name"): one for one in definition["spec"]["versions"]}
    schema = versions.get("v1", {}).get("schema", {}).get("openAPIV3Schema", {})
    return {path for path in _paths(schema) if path.startswith(("spec", "status"))}


def _paths(schema: Mapping[str, Any], place: str = "") -> Iterator[str]:
    for name, child in (schema.get("properties") or {}).items():
        path = f"{place}.{name}" if place else name
        yield path
        yield from _paths(child, path)
    if isinstance(items := schema.get("items"), dict):
        yield from _paths(items, f"{place}[]")


async def _served(connected: Session) -> Result:
    """Tell what the API server serves, for users who may not read CRDs."""
    try:
        found = await connected.client.request("GET", OURS, action="list what certwright.io serves")
    except NotFound:
        return Result("fail", "CRDs", f"certwright.io/v1 is not served: {UPGRADE}")
    served = {text_at(one, "name") for one in found.get("resources") or ()}
    if missing := [plural for plural in PLURALS if plural not in served]:
        return Result("fail", "CRDs", f"{listed(missing)} not served: {UPGRADE}")
    return Result("warn", "CRDs", "exist; you may not read them, so their version is unknown")
