"""Migrates Certificates: creates ours with the existing key, and adopts the Secret byte for byte."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager.api import BESIDE, MOVED, TRIAL
from certwright.cert_manager.spec import mapping
from certwright.kube.errors import Forbidden, Invalid, NotFound
from certwright.migration.cluster import OUR_CERTIFICATES, SECRETS
from certwright.migration.inventory import condition, is_ready
from certwright.migration.marks import NO_CERTIFICATE
from certwright.migration.progress import Outcome, leave_out, mark_of, marked, title

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from certwright.migration.assessment import Assessed
    from certwright.migration.cluster import Cluster
    from certwright.migration.progress import Progress

HEAD: Final = 120
"""Characters of base64 that hold the first line of a key."""
ENCODINGS: Final = {
    b"-----BEGIN PRIVATE KEY": "PKCS8",
    b"-----BEGIN RSA PRIVATE KEY": "PKCS1",
    b"-----BEGIN EC PRIVATE KEY": "PKCS1",
}


async def move_certificates(
    cluster: Cluster,
    certificates: Iterable[Assessed],
    progress: Progress,
    *,
    skipped: Mapping[str, str],
    is_mixed: bool = False,
) -> Outcome:
    """Create our Certificates, and wait until they have taken over what the Secrets hold.

    Args:
        cluster: Where.
        certificates: What becomes of them; those that stay are left alone.
        progress: Is told.
        skipped: Those that are not moved now, by their titles, and why.
        is_mixed: Whether cert-manager's controller runs on, without its ACME controllers.

    Raises:
        KubeError: The API server refuses, or cannot be asked.
    """
    outcome = Outcome(problems=dict(skipped))
    waited = []
    for one in certificates:
        ours = one.translation.manifest
        if ours is None or title(ours) in skipped:
            continue
        there = await cluster.counterpart(OUR_CERTIFICATES, ours)
        is_new = there is None or mark_of(there, MOVED) is None
        if there is not None and is_new and not _is_made_for_same(there, one, ours):
            outcome.problems[title(ours)] = (
                "a Certwright Certificate with this name already exists: it is left as it is"
            )
            continue
        if is_new:
            marks = {BESIDE: one.uid} if is_mixed else {}
            try:
                wanted = await _on_trial(cluster, one, ours, marks)
                if there is None:
                    await cluster.apply(OUR_CERTIFICATES, wanted)
                else:
                    await _take_over(cluster, wanted)
            except (Forbidden, NotFound) as error:
                leave_out(title(ours), error, progress)
                continue
            progress.tell(f"{title(ours)} created; its key is kept for the trial")
        waited.append(title(ours))
    await _wait_taken_over(cluster, waited, outcome, progress)
    return outcome


async def try_certificates(
    cluster: Cluster, certificates: Iterable[Assessed], progress: Progress, *, skipped: Collection[str]
) -> dict[str, str]:
    """Return which of our Certificates could not be created, and why, without creating any.

    With cert-manager's controller stopped nobody would look after what such a one is for.

    Args:
        cluster: Where.
        certificates: What becomes of them.
        progress: Is told.
        skipped: Those that are not moved now, by their titles.

    Raises:
        KubeError: The API server cannot be asked.
    """
    refused: dict[str, str] = {}
    for one in certificates:
        ours = one.translation.manifest
        if ours is None or title(ours) in skipped:
            continue
        try:
            if await cluster.counterpart(OUR_CERTIFICATES, ours) is None:
                await cluster.apply(OUR_CERTIFICATES, await _on_trial(cluster, one, ours, {}), trial=True)
        except (Forbidden, Invalid, NotFound) as error:
            if error.is_for_going_namespace:
                continue
            if isinstance(error, NotFound):
                raise
            refused[title(ours)] = f"cannot be moved: {error}"
    if refused:
        progress.tell(f"{len(refused)} Certificates cannot be created")
    return refused


def digest_of(secret: Mapping[str, Any] | None) -> str:
    """Return the SHA-256 of a Secret's `tls.crt`, or `NO_CERTIFICATE`."""
    chain = mapping(mapping(secret).get("data")).get("tls.crt")
    return hashlib.sha256(chain.encode()).hexdigest() if isinstance(chain, str) and chain else NO_CERTIFICATE


def encoding_of(secret: Mapping[str, Any] | None) -> str | None:
    """Return how a Secret's `tls.key` is written, ``PKCS1`` or ``PKCS8``; None if that cannot be told."""
    key = mapping(mapping(secret).get("data")).get("tls.key")
    try:
        head = base64.b64decode(key[:HEAD], validate=True) if isinstance(key, str) else b""
    except ValueError:
        return None
    return next((encoding for line, encoding in ENCODINGS.items() if head.lstrip().startswith(line)), None)


def as_moved(one: Assessed, ours: Mapping[str, Any], marks: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return our Certificate with the marks of the migration, and with the object whose annotations made theirs."""
    manifest = marked(ours, {MOVED: one.uid, **(marks or {})})
    if (owner := one.annotated) is not None:
        manifest["metadata"]["ownerReferences"] = [dict(owner)]
    return manifest


def _is_made_for_same(there: Mapping[str, Any], one: Assessed, ours: Mapping[str, Any]) -> bool:
    """Whether our shim has made a Certificate for the same annotated object, while cert-manager's controller was away.

    It restarts in a mixed cluster, and is stopped elsewhere: both leave the annotations to whoever is quicker.
    """
    owner = one.annotated
    if owner is None or mapping(there.get("spec")).get("secretName") != ours["spec"]["secretName"]:
        return False
    references = mapping(there.get("metadata")).get("ownerReferences") or ()
    return any(mapping(reference).get("uid") == owner.get("uid") for reference in references)


async def _take_over(cluster: Cluster, wanted: Mapping[str, Any]) -> None:
    """Put a Certificate of our shim on trial as it is."""
    metadata, spec = wanted["metadata"], wanted["spec"]

    def edit(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
        dropped = dict.fromkeys(mapping(mapping(found.get("spec")).get("privateKey")))
        return {
            "metadata": {"annotations": metadata.get("annotations", {}), "labels": metadata.get("labels", {})},
            "spec": {**spec, "privateKey": {**dropped, **spec["privateKey"]}},
        }

    await cluster.edit(OUR_CERTIFICATES, metadata.get("namespace"), metadata["name"], edit)


async def _on_trial(
    cluster: Cluster, one: Assessed, ours: Mapping[str, Any], marks: Mapping[str, str]
) -> dict[str, Any]:
    """Return our Certificate for the trial: the key in the Secret stays, and the Secret stays whatever happens."""
    spec = {name: value for name, value in ours["spec"].items() if name != "secretOwnerReference"}
    secret = await cluster.read(SECRETS, ours["metadata"].get("namespace"), spec["secretName"])
    # In the form that it has: who reads it may take no other, and nothing is to change in a trial.
    encoding = encoding_of(secret)
    spec["privateKey"] = {"rotationPolicy": "Never", **({"encoding": encoding} if encoding is not None else {})}
    return {**as_moved(one, ours, {TRIAL: digest_of(secret), **marks}), "spec": spec}


async def _wait_taken_over(cluster: Cluster, waited: Collection[str], outcome: Outcome, progress: Progress) -> None:
    left, there = set(waited), dict[str, dict[str, Any]]()
    async for _ in progress.looks():
        there = {title(one): one for one in await cluster.list(OUR_CERTIFICATES)}
        for name in sorted(left):
            if name not in there:
                outcome.problems[name] = "was deleted meanwhile"
            elif not is_ready(there[name]):
                continue
            elif problem := await _replaced(cluster, there[name]):
                outcome.problems[name] = problem
            else:
                outcome.done += 1
            left.discard(name)
        if not left:
            return
        progress.tell(f"{outcome.done} of {len(waited)} Certificates are Certwright's")
    for name in sorted(left):
        outcome.problems[name] = f"is not Ready: {_why(there.get(name, {}))}"


async def _replaced(cluster: Cluster, certificate: Mapping[str, Any]) -> str:
    """Return that the certificate in the Secret is another one than before, or nothing."""
    before = mark_of(certificate, TRIAL)
    if before in {None, NO_CERTIFICATE}:
        return ""
    secret = await cluster.read(SECRETS, certificate["metadata"].get("namespace"), certificate["spec"]["secretName"])
    if digest_of(secret) == before:
        return ""
    return "its Secret has another certificate than before: it was renewed, or issued anew"


def _why(certificate: Mapping[str, Any]) -> str:
    ready = condition(certificate, "Ready")
    said = f"{ready.get('reason')}: {ready.get('message')}" if ready else "the operator has not reconciled it"
    return f"{said} (kubectl certwright explain says more)"
