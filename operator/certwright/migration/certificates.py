"""The Certificates: created with the key kept, and adopted with the bytes that the Secret has."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager.spec import mapping
from certwright.migration.cluster import OUR_CERTIFICATES, SECRETS
from certwright.migration.inventory import is_ready
from certwright.migration.marks import MOVED, NO_CERTIFICATE, TRIAL
from certwright.migration.progress import Outcome, mark_of, marked, title

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from certwright.migration.assessment import Assessed
    from certwright.migration.cluster import Cluster
    from certwright.migration.progress import Progress

_SHIM_OWNERS: Final = frozenset({"Ingress", "Gateway", "ListenerSet", "XListenerSet"})
"""Whose annotations made the Certificate: they own ours as well, so that our shim knows it."""


async def move_certificates(
    cluster: Cluster, certificates: Iterable[Assessed], progress: Progress, *, skipped: Mapping[str, str]
) -> Outcome:
    """Create our Certificates, and wait until they have taken over what the Secrets hold.

    Args:
        cluster: Where.
        certificates: What becomes of them; those that stay are left alone.
        progress: Is told.
        skipped: Those that are not moved now, by their titles, and why.

    Raises:
        KubeError: The API server refuses, or cannot be asked.
    """
    outcome = Outcome(problems=dict(skipped))
    waited: dict[str, dict[str, Any]] = {}
    for one in certificates:
        ours = one.translation.manifest
        if ours is None or title(ours) in skipped:
            continue
        namespace, name = ours["metadata"].get("namespace"), ours["metadata"]["name"]
        there = await cluster.read(OUR_CERTIFICATES, namespace, name)
        if there is not None and mark_of(there, MOVED) is None:
            outcome.problems[title(ours)] = "a Certificate of ours with this name is there already: it is left as it is"
            continue
        if there is None:
            there = await cluster.apply(OUR_CERTIFICATES, await _on_trial(cluster, one, ours))
            progress.tell(f"{title(ours)} created; its key is kept for the trial")
        waited[title(ours)] = there
    await _wait_taken_over(cluster, waited, outcome, progress)
    return outcome


def digest_of(secret: Mapping[str, Any] | None) -> str:
    """Return the SHA-256 of a Secret's `tls.crt`, or `NO_CERTIFICATE`."""
    chain = mapping(mapping(secret).get("data")).get("tls.crt")
    return hashlib.sha256(chain.encode()).hexdigest() if isinstance(chain, str) and chain else NO_CERTIFICATE


def owners_of(certificate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the Ingress, Gateway or ListenerSet whose annotations made a Certificate of cert-manager."""
    owners = mapping(certificate.get("metadata")).get("ownerReferences") or ()
    return [one for one in owners if isinstance(one, dict) and one.get("kind") in _SHIM_OWNERS]


async def _on_trial(cluster: Cluster, one: Assessed, ours: Mapping[str, Any]) -> dict[str, Any]:
    """Return our Certificate for the trial: the key in the Secret stays, and the Secret stays whatever happens."""
    spec = {name: value for name, value in ours["spec"].items() if name != "secretOwnerReference"}
    secret = await cluster.read(SECRETS, ours["metadata"].get("namespace"), spec["secretName"])
    manifest = marked(ours, {MOVED: one.uid or "from-a-file", TRIAL: digest_of(secret)})
    manifest["spec"] = {**spec, "privateKey": {"rotationPolicy": "Never"}}
    if owners := owners_of(one.source):
        manifest["metadata"]["ownerReferences"] = owners
    return manifest


async def _wait_taken_over(
    cluster: Cluster, waited: Mapping[str, dict[str, Any]], outcome: Outcome, progress: Progress
) -> None:
    left = dict(waited)
    async for _ in progress.looks():
        for name, known in list(left.items()):
            metadata = known["metadata"]
            found = await cluster.read(OUR_CERTIFICATES, metadata.get("namespace"), metadata["name"])
            if found is None:
                outcome.problems[name] = "was deleted meanwhile"
            elif not is_ready(found):
                continue
            elif problem := await _replaced(cluster, found):
                outcome.problems[name] = problem
            else:
                outcome.done += 1
            del left[name]
        if not left:
            return
        progress.tell(f"{outcome.done} of {len(waited)} Certificates are Certwright's")
    for name, known in left.items():
        metadata = known["metadata"]
        found = await cluster.read(OUR_CERTIFICATES, metadata.get("namespace"), metadata["name"])
        outcome.problems[name] = f"is not Ready: {_why(found)}"


async def _replaced(cluster: Cluster, certificate: Mapping[str, Any]) -> str:
    """Return that the certificate in the Secret is another one than before, or nothing."""
    before = mark_of(certificate, TRIAL)
    if before in {None, NO_CERTIFICATE}:
        return ""
    secret = await cluster.read(SECRETS, certificate["metadata"].get("namespace"), certificate["spec"]["secretName"])
    if digest_of(secret) == before:
        return ""
    return "its Secret has another certificate than before: it was renewed, or issued anew"


def _why(certificate: Mapping[str, Any] | None) -> str:
    conditions = mapping(mapping(certificate).get("status")).get("conditions") or ()
    ready = next((mapping(one) for one in conditions if mapping(one).get("type") == "Ready"), None)
    said = f"{ready.get('reason')}: {ready.get('message')}" if ready else "the operator has not looked at it"
    return f"{said} (kubectl certwright explain says more)"
