"""Back to cert-manager, at any time before `--finish`: what the migration made goes, what it stopped runs again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from certwright.cert_manager.api import MOVED
from certwright.migration.cluster import OUR_CERTIFICATES, OUR_CLUSTER_ISSUERS, OUR_ISSUERS, SECRETS
from certwright.migration.controller import restore_controller
from certwright.migration.marks import TRIAL
from certwright.migration.progress import Outcome, mark_of, title

if TYPE_CHECKING:
    from certwright.migration.cluster import Cluster
    from certwright.migration.inventory import Inventory
    from certwright.migration.progress import Progress


async def go_back(cluster: Cluster, inventory: Inventory, progress: Progress, *, secrets_in: str) -> Outcome:
    """Delete our Certificates that are on trial, then our moved issuers, and let cert-manager's controller run again.

    The Secrets of Certificates stay as they are: their keys were kept, so cert-manager issues nothing.

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
    for one in on_trial:
        await cluster.delete(OUR_CERTIFICATES, one)
        progress.tell(f"{title(one)} deleted; its Secret stays")
    uids = {one["metadata"]["uid"] for one in on_trial}
    async for _ in progress.looks():
        left = [one for one in await cluster.list(OUR_CERTIFICATES) if one["metadata"]["uid"] in uids]
        if not left:
            break
    else:
        for one in left:
            outcome.problems[title(one)] = "is still there: its records are being removed"
        return outcome
    outcome.done = len(on_trial)
    finished = [one for one in ours if mark_of(one, TRIAL) is None]
    for one in finished:
        outcome.problems[title(one)] = "was finished before, and stays Certwright's"
    if not finished:
        await _remove_issuers(cluster, progress, secrets_in)
    await restore_controller(cluster, inventory, progress)
    return outcome


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
