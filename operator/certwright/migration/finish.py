"""Ends the trial: our Certificates get their own policies, and cert-manager's migrated objects are removed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from certwright.cert_manager.api import FINALIZERS, GROUP, TRIAL
from certwright.cert_manager.spec import mapping
from certwright.migration.cluster import (
    CRDS,
    OUR_CERTIFICATES,
    OURS_BY_KIND,
    SECRETS,
    THEIR_CHALLENGES,
    THEIRS_BY_KIND,
)
from certwright.migration.inventory import is_ready, issuer_title
from certwright.migration.progress import Outcome, mark_of, title

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.migration.assessment import Assessed, Assessment
    from certwright.migration.cluster import Cluster
    from certwright.migration.inventory import Inventory
    from certwright.migration.progress import Progress


async def finish(cluster: Cluster, assessment: Assessment, progress: Progress) -> Outcome:
    """End the trial of each Certificate that is Ready with us; the others stay on trial, and are told.

    Raises:
        KubeError: The API server refuses, or cannot be asked.
    """
    outcome = Outcome()
    for one in assessment.certificates:
        if one.moves:
            await _finish_certificate(cluster, one, outcome, progress)
    kept = _issuers_in_use(assessment, outcome)
    for one in assessment.issuers:
        ours = one.translation.manifest
        if ours is None or title(ours) in kept:
            continue
        there = await cluster.counterpart(OURS_BY_KIND[ours["kind"]], ours)
        if there is None or not is_ready(there):
            outcome.problems[title(ours)] = "is not Ready with Certwright: cert-manager's stays"
            continue
        await cluster.delete(THEIRS_BY_KIND[ours["kind"]], one.source)
        progress.tell(f"{title(ours)} of cert-manager deleted")
    return outcome


async def remove_finalizers(cluster: Cluster, inventory: Inventory, progress: Progress) -> None:
    """Take cert-manager's finalizers off what is left of its challenges: with its controller gone nothing else does.

    Raises:
        KubeError: The API server refuses, or cannot be asked.
    """
    for one in inventory.challenges:
        finalizers = list(one["metadata"].get("finalizers") or ())
        kept = [name for name in finalizers if name not in FINALIZERS]
        if kept != finalizers:
            await cluster.change(THEIR_CHALLENGES, one, {"metadata": {"finalizers": kept}})
            progress.tell(f"{title(one)}: cert-manager's finalizer removed")


async def remove_crds(cluster: Cluster, progress: Progress) -> str:
    """Delete cert-manager's CRDs, if nothing of it is left; return what is in the way, or nothing.

    Raises:
        KubeError: The API server refuses, or cannot be asked.
    """
    for kind in THEIRS_BY_KIND.values():
        # What is deleted without what it owns is there for a moment longer.
        async for _ in progress.looks():
            if not (left := len(await cluster.list(kind))):
                break
        else:
            return f"{left} {kind.title} are left: the CRDs would take them along"
    for one in await cluster.list(CRDS):
        group = str(mapping(one.get("spec")).get("group") or "")
        if group == GROUP or group.endswith(f".{GROUP}"):
            await cluster.delete(CRDS, one)
            progress.tell(f"CRD {one['metadata']['name']} deleted")
    return ""


async def _finish_certificate(cluster: Cluster, one: Assessed, outcome: Outcome, progress: Progress) -> None:
    ours = one.translation.manifest
    if ours is None:
        return
    name, namespace = title(ours), ours["metadata"].get("namespace")
    there = await cluster.counterpart(OUR_CERTIFICATES, ours)
    if there is None or not is_ready(there):
        outcome.problems[name] = "is not Ready with Certwright: it stays on trial, and cert-manager's stays"
        return
    if there["spec"].get("secretName") != ours["spec"]["secretName"]:
        outcome.problems[name] = "is a Certificate for another Secret with Certwright: cert-manager's stays"
        return
    await cluster.edit(OUR_CERTIFICATES, namespace, ours["metadata"]["name"], partial(_off_trial, final=ours["spec"]))
    await _disown(cluster, one.source, namespace, ours["spec"]["secretName"])
    await cluster.delete(THEIRS_BY_KIND["Certificate"], one.source)
    outcome.done += 1
    progress.tell(f"{name}: its own policy for keys applies, and cert-manager's is deleted")


def _off_trial(there: Mapping[str, Any], final: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what ends the trial of our Certificate: what the trial has set, and nothing that was changed in it since.

    A host that an Ingress was given meanwhile, and what people have edited, is not in cert-manager's Certificate.
    """
    if mark_of(there, TRIAL) is None:
        return None
    key = mapping(final.get("privateKey"))
    on_trial = mapping(there["spec"].get("privateKey"))
    spec = {"privateKey": {**{name: None for name in on_trial if name not in key}, **key}}
    if "secretOwnerReference" in final:
        spec["secretOwnerReference"] = final["secretOwnerReference"]
    return {"metadata": {"annotations": {TRIAL: None}}, "spec": spec}


async def _disown(cluster: Cluster, theirs: Mapping[str, Any], namespace: str | None, name: str) -> None:
    """Take the Secret from cert-manager's Certificate, so that it stays when that one goes.

    Raises:
        Conflict: It cannot be taken; who went on would delete the owner, and the garbage collector the Secret.
    """

    def without_owner(secret: Mapping[str, Any]) -> dict[str, Any] | None:
        owners = list(secret["metadata"].get("ownerReferences") or ())
        kept = [one for one in owners if one.get("uid") != theirs["metadata"].get("uid")]
        return None if kept == owners else {"metadata": {"ownerReferences": kept}}

    await cluster.edit(SECRETS, namespace, name, without_owner)


def _issuers_in_use(assessment: Assessment, outcome: Outcome) -> set[str]:
    """Return the issuers that Certificates which stay with cert-manager refer to."""
    kept = set()
    for one in assessment.certificates:
        if not one.moves or title(one.source) in outcome.problems:
            kept.add(issuer_title(one.source))
    return kept
