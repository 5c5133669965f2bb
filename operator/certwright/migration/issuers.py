"""Migrates issuers: creates ours with the same accounts, and copies their Secrets to where the operator reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from certwright.cert_manager.api import MOVED
from certwright.cert_manager.spec import mapping
from certwright.kube.errors import Conflict, Forbidden, NotFound
from certwright.migration.cluster import OURS_BY_KIND, SECRETS
from certwright.migration.inventory import is_ready
from certwright.migration.progress import Outcome, leave_out, mark_of, marked, title

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from certwright.migration.assessment import Assessed
    from certwright.migration.cluster import Cluster
    from certwright.migration.progress import Progress


async def move_issuers(
    cluster: Cluster,
    issuers: Iterable[Assessed],
    progress: Progress,
    *,
    secrets_from: str,
    secrets_to: str,
) -> Outcome:
    """Create our issuers, and wait until they have the accounts of cert-manager's.

    One that is there already, and that the migration has not made, is used as it is.

    Args:
        cluster: Where.
        issuers: What becomes of them; those that stay are left alone.
        progress: Is told.
        secrets_from: Where the Secrets of cert-manager's ClusterIssuers are.
        secrets_to: Where those of ours are read: the operator's namespace.

    Raises:
        KubeError: The API server refuses, or cannot be asked.
    """
    outcome = Outcome()
    waited: dict[str, tuple[Assessed, dict[str, Any]]] = {}
    for one in issuers:
        ours = one.translation.manifest
        if ours is None:
            continue
        name = title(ours)
        if ours["kind"] == "ClusterIssuer" and secrets_from != secrets_to:
            problem = await _copy_secrets(cluster, ours, secrets_from, secrets_to, progress)
            if problem:
                outcome.problems[name] = problem
                continue
        kind = OURS_BY_KIND[ours["kind"]]
        there = await cluster.counterpart(kind, ours)
        if there is not None and mark_of(there, MOVED) is None:
            progress.tell(f"{name} is there already, and used as it is")
        else:
            try:
                there = await cluster.apply(kind, marked(ours, {MOVED: one.uid}))
            except (Forbidden, NotFound) as error:
                leave_out(name, error, progress)
                continue
            except Conflict:
                if there is None:
                    raise
                progress.tell(f"{name} was changed since it was moved, and is used as it is")
        waited[name] = (one, there)
    await _wait_ready(cluster, waited, outcome, progress)
    return outcome


def secret_names(value: Any) -> Iterator[str]:
    """Yield the names of the Secrets that a spec refers to."""
    if isinstance(value, list):
        for one in value:
            yield from secret_names(one)
    for key, one in mapping(value).items():
        if key.endswith("SecretRef") and isinstance(name := mapping(one).get("name"), str) and name:
            yield name
        else:
            yield from secret_names(one)


async def _copy_secrets(
    cluster: Cluster, issuer: Mapping[str, Any], source: str, target: str, progress: Progress
) -> str:
    """Copy what an issuer refers to; return what is in the way, or nothing."""
    for name in dict.fromkeys(secret_names(issuer["spec"])):
        original = await cluster.read(SECRETS, source, name)
        there = await cluster.read(SECRETS, target, name)
        if original is None:
            if there is None:
                return f"there is no Secret {source}/{name}"
            continue
        if there is not None:
            if there.get("data") != original.get("data"):
                return (
                    f"the Secret {target}/{name} has other content than {source}/{name}: remove or rename one of them"
                )
            continue
        await cluster.apply(
            SECRETS,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": name,
                    "namespace": target,
                    "annotations": {MOVED: original["metadata"]["uid"]},
                },
                "type": original.get("type") or "Opaque",
                "data": original.get("data") or {},
            },
        )
        progress.tell(f"Secret {source}/{name} copied to {target}")
    return ""


async def _wait_ready(
    cluster: Cluster,
    waited: Mapping[str, tuple[Assessed, dict[str, Any]]],
    outcome: Outcome,
    progress: Progress,
) -> None:
    left = dict(waited)
    async for _ in progress.looks():
        for name, (one, known) in list(left.items()):
            found = await cluster.counterpart(OURS_BY_KIND[known["kind"]], known)
            if found is None:
                outcome.problems[name] = "was deleted meanwhile"
            elif not is_ready(found):
                continue
            elif problem := _other_account(one.source, found):
                outcome.problems[name] = problem
            else:
                outcome.done += 1
                progress.tell(f"{name} is ready, with the account that cert-manager has used")
            del left[name]
        if not left:
            return
    for name in left:
        outcome.problems[name] = "is not Ready; kubectl certwright explain says why"


def _other_account(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """Return what is wrong if the accounts differ; cert-manager's is unknown in files, and before it registered one."""
    was = mapping(mapping(theirs.get("status")).get("acme")).get("uri")
    now = mapping(mapping(ours.get("status")).get("acme")).get("uri")
    if was and was != now:
        return f"has the account {now}, but cert-manager has used {was}: is the account key in another Secret?"
    return ""
