"""Rolls back to cert-manager, at any time before `--finish`: removes what was created, restarts what was stopped."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager.api import BESIDE, MOVED, TRIAL
from certwright.cert_manager.spec import mapping
from certwright.migration.assessment import SHIM_OWNERS
from certwright.migration.cluster import (
    OUR_CERTIFICATES,
    OUR_CLUSTER_ISSUERS,
    OUR_ISSUERS,
    SECRETS,
    THEIR_CERTIFICATES,
)
from certwright.migration.controller import restore_controller, wait_running
from certwright.migration.inventory import condition
from certwright.migration.progress import Outcome, mark_of, title

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from certwright.migration.cluster import Cluster
    from certwright.migration.inventory import Inventory
    from certwright.migration.progress import Progress

KNOWN_SECONDS: Final = 30.0
"""After which the operator knows that cert-manager's controller runs, said or not: it looks every 20 s."""
HANDED_OVER_SECONDS: Final = 180.0
"""For what the operator hands over by itself; it looks at what it has left to cert-manager every minute."""


async def go_back(cluster: Cluster, inventory: Inventory, progress: Progress, *, secrets_in: str) -> Outcome:
    """Delete our Certificates that are on trial, then our moved issuers, and let cert-manager's controller run again.

    The Secrets of Certificates stay as they are: their keys were kept, so cert-manager issues nothing. Certificates
    that annotations have made go after cert-manager's controller has come back: our shim would make them again before.

    Args:
        cluster: Where.
        inventory: What of cert-manager there is.
        progress: Is told.
        secrets_in: The operator's namespace, where Secrets of ClusterIssuers were copied to.

    Raises:
        KubeError: The API server refuses, or cannot be asked.
    """
    outcome = Outcome()
    ours = [one for one in await cluster.list(OUR_CERTIFICATES) if mark_of(one, MOVED) is not None]
    on_trial = [one for one in ours if mark_of(one, TRIAL) is not None]
    annotated = [one for one in on_trial if _is_annotated(one)]
    finished = [one for one in ours if mark_of(one, TRIAL) is None]
    if not await _delete(cluster, [one for one in on_trial if not _is_annotated(one)], outcome, progress):
        return outcome
    if annotated:
        await restore_controller(cluster, inventory, progress)
        if inventory.controller is not None and not await wait_running(cluster, inventory, progress):
            for one in annotated:
                outcome.problems[title(one)] = "stays for now: cert-manager's controller has not come up; run it again"
            return outcome
        await _wait_held(cluster, annotated, progress)
        if not await _delete(cluster, annotated, outcome, progress):
            return outcome
    for one in finished:
        outcome.problems[title(one)] = "was finished before, and stays Certwright's"
    if not finished:
        await _remove_issuers(cluster, progress, secrets_in)
    if not annotated:
        await restore_controller(cluster, inventory, progress)
    await _wait_handed_over(cluster, outcome, progress)
    return outcome


async def _delete(
    cluster: Cluster, certificates: Collection[Mapping[str, Any]], outcome: Outcome, progress: Progress
) -> bool:
    """Delete Certificates of ours and wait until they are gone; tell whether they are."""
    for one in certificates:
        await cluster.delete(OUR_CERTIFICATES, one)
        progress.tell(f"{title(one)} deleted; its Secret stays")
    uids = {one["metadata"]["uid"] for one in certificates}
    left: list[dict[str, Any]] = []
    async for _ in progress.looks():
        left = [one for one in await cluster.list(OUR_CERTIFICATES) if one["metadata"]["uid"] in uids]
        if not left:
            break
    for one in left:
        outcome.problems[title(one)] = "is still there: its records are being removed"
    outcome.done += len(uids) - len(left)
    return not left


async def _wait_held(cluster: Cluster, certificates: Collection[Mapping[str, Any]], progress: Progress) -> None:
    """Wait until our operator leaves them to cert-manager: it would make again what goes before it knows.

    Without its guard it does not say so; then a while is enough.
    """
    waited = {one["metadata"]["uid"] for one in certificates if mark_of(one, BESIDE) is None}
    async for _ in replace(progress, timeout=min(progress.timeout, KNOWN_SECONDS)).looks():
        waited = {
            one["metadata"]["uid"]
            for one in await cluster.list(OUR_CERTIFICATES)
            if one["metadata"]["uid"] in waited and condition(one, "Ready").get("reason") != "ClaimedByCertManager"
        }
        if not waited:
            return


async def _wait_handed_over(cluster: Cluster, outcome: Outcome, progress: Progress) -> None:
    """Wait until no Secret has a Certificate of either, and tell which have.

    Our shim has made some for annotations of cert-manager that came in the trial; it deletes them once cert-manager
    has its own. What people have made, and what is left without the guard, is for people to decide on.
    """
    told, left = False, list[tuple[dict[str, Any], str]]()
    async for _ in replace(progress, timeout=min(progress.timeout, HANDED_OVER_SECONDS)).looks():
        left = await _doubles(cluster)
        if not any(_is_annotated(one) for one, _ in left):
            break
        if not told:
            progress.tell(f"waiting until Certwright leaves {len(left)} Secrets to cert-manager's Certificates")
            told = True
    for one, theirs in left:
        outcome.problems.setdefault(
            title(one),
            f"names the Secret {one['spec']['secretName']}, as cert-manager's Certificate {theirs} does: delete one "
            "of them; the Secret stays",
        )


async def _doubles(cluster: Cluster) -> list[tuple[dict[str, Any], str]]:
    """Return our Certificates whose Secrets cert-manager's name as well, each with the name of one of those."""
    theirs = {_secret(one): one["metadata"]["name"] for one in await cluster.list(THEIR_CERTIFICATES)}
    return [(one, theirs[_secret(one)]) for one in await cluster.list(OUR_CERTIFICATES) if _secret(one) in theirs]


def _secret(certificate: Mapping[str, Any]) -> tuple[Any, Any]:
    return certificate["metadata"].get("namespace"), mapping(certificate.get("spec")).get("secretName")


def _is_annotated(certificate: Mapping[str, Any]) -> bool:
    """Whether an Ingress, Gateway or ListenerSet owns it."""
    references = certificate["metadata"].get("ownerReferences") or ()
    return any(one.get("controller") and one.get("kind") in SHIM_OWNERS for one in references)


async def _remove_issuers(cluster: Cluster, progress: Progress, secrets_in: str) -> None:
    for kind in (OUR_ISSUERS, OUR_CLUSTER_ISSUERS):
        for one in await cluster.list(kind):
            if mark_of(one, MOVED) is not None:
                await cluster.delete(kind, one)
                progress.tell(f"{title(one)} deleted; its account and its key stay")
    # An operator that sees the Secret go before the issuer would register another account in its place.
    await asyncio.sleep(2 * progress.interval)
    for one in await cluster.list(SECRETS, secrets_in):
        if mark_of(one, MOVED) is not None:
            await cluster.delete(SECRETS, one)
            progress.tell(f"the copy of the Secret {one['metadata']['name']} in {secrets_in} deleted")
