"""The steps of a migration, in an order that loses nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from certwright.migration.certificates import move_certificates, try_certificates
from certwright.migration.cluster import OUR_CERTIFICATES
from certwright.migration.controller import stop_controller
from certwright.migration.inventory import is_ready, issuer_title, with_issuances
from certwright.migration.issuers import move_issuers
from certwright.migration.progress import Outcome, title

if TYPE_CHECKING:
    from collections.abc import Collection

    from certwright.migration.assessment import Assessment
    from certwright.migration.cluster import Cluster
    from certwright.migration.inventory import Inventory
    from certwright.migration.progress import Progress


@dataclass(frozen=True)
class Moved:
    """What came of it.

    Attributes:
        issuers: How many have their accounts, and what keeps others from it.
        certificates: How many are Certwright's now, and what keeps others from it.
        stopped_at: What is in the way of all further steps; empty if nothing was.
    """

    issuers: Outcome
    certificates: Outcome = field(default_factory=Outcome)
    stopped_at: str = ""

    @property
    def problems(self) -> dict[str, str]:
        """What keeps objects from where they should be."""
        return {**self.issuers.problems, **self.certificates.problems}


async def apply(
    cluster: Cluster, inventory: Inventory, assessment: Assessment, progress: Progress, *, operator_namespace: str
) -> Moved:
    """Bring everything that moves to Certwright, on trial. It can be repeated at any time, and goes on where it was.

    Args:
        cluster: Where.
        inventory: What of cert-manager there is.
        assessment: What becomes of it.
        progress: Is told.
        operator_namespace: Where our operator reads the Secrets of ClusterIssuers.

    Raises:
        KubeError: The API server refuses, or cannot be asked.
    """
    progress.tell("Step 1 of 4: issuers with the same accounts")
    issuers = await move_issuers(
        cluster,
        assessment.issuers,
        progress,
        secrets_from=inventory.flags.cluster_resource_namespace,
        secrets_to=operator_namespace,
    )
    progress.tell("Step 2 of 4: wait until cert-manager renews none of them")
    if busy := await _wait_idle(cluster, inventory, assessment, progress):
        return Moved(issuers, stopped_at=f"cert-manager is still at work: {busy}. Nothing was stopped; run it again")
    there = {title(one.source) for one in assessment.issuers}
    skipped = {
        title(one.source): why
        for one in assessment.certificates
        if one.moves and (why := _issuer_problem(issuer_title(one.source), there, issuers))
    }
    if refused := await try_certificates(cluster, assessment.certificates, progress, skipped=skipped):
        stopped_at = "Certificates would be refused, as told below. Nothing was stopped; run it again"
        return Moved(issuers, Outcome(problems=refused), stopped_at=stopped_at)
    progress.tell("Step 3 of 4: cert-manager's controller")
    in_the_way = await stop_controller(
        cluster, inventory, progress, keep=assessment.is_mixed, keep_shims=assessment.keeps_shims
    )
    if in_the_way:
        return Moved(issuers, stopped_at=in_the_way)
    progress.tell("Step 4 of 4: Certificates, with what their Secrets hold")
    certificates = await move_certificates(
        cluster, assessment.certificates, progress, skipped=skipped, is_mixed=assessment.is_mixed
    )
    return Moved(issuers, certificates)


def _issuer_problem(issuer: str, there: Collection[str], outcome: Outcome) -> str:
    """Return what is wrong with a Certificate's issuer, or nothing."""
    if issuer in outcome.problems:
        return f"its issuer, {issuer}, {outcome.problems[issuer]}"
    return "" if issuer in there else f"its issuer, {issuer}, is not there"


async def _wait_idle(cluster: Cluster, known: Inventory, assessment: Assessment, progress: Progress) -> str:
    """Wait until no Certificate that works is being renewed; return which one is, or nothing.

    One that has never worked is not waited for: it would hold up all others for as long as it fails.
    """
    moving = {one.uid for one in assessment.certificates if one.moves}
    busy = ""
    async for _ in progress.looks():
        inventory = await with_issuances(cluster, known)
        moved = {title(one) for one in await cluster.list(OUR_CERTIFICATES)}
        waited = [
            f"{title(one)} {what}"
            for one in inventory.certificates
            if one["metadata"].get("uid") in moving
            and is_ready(one)
            and title(one) not in moved
            and (what := inventory.in_flight(one))
        ]
        if not waited:
            return ""
        busy = waited[0]
        progress.tell(f"{len(waited)} are being renewed; waiting for {busy}")
    return busy
