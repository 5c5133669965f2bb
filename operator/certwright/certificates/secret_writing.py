"""Writes a whole Secret, and removes what is no longer in the manifest even if someone else also wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from certwright.certificates.secret.manifest import CA_ENTRY, template_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from certwright.certificates.secret.facts import SecretFacts
    from certwright.kube.api import KubeApi


async def write_secret(
    kube_api: KubeApi, manifest: Mapping[str, Any], *, uid: str, before: SecretFacts | None
) -> dict[str, Any]:
    """Write a Secret that is ours, and return it.

    Server-side apply leaves what another field manager wrote as well, as a restored backup does: labels and annotations
    of an earlier template, our owner reference, the root of an earlier chain, a keystore. A second write removes them.

    Args:
        kube_api: The API server.
        manifest: All of it that is ours.
        uid: Of the Certificate.
        before: The Secret as it was known; None if there was none, and none may have appeared.

    Raises:
        Conflict: Others have changed it, or it has appeared.
        KubeError: The API server refused.
    """
    written = await kube_api.apply_secret(manifest, force=before is not None)
    template, outputs = (before.template, before.outputs) if before is not None else (None, None)
    change = leftovers(written, manifest, uid, template, outputs.entries if outputs is not None else ())
    return await kube_api.change_secret(written, change) if change else written


def leftovers(
    found: Mapping[str, Any],
    manifest: Mapping[str, Any],
    uid: str,
    template: str | None,
    derived: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the merge patch that takes out of a Secret what was ours and is in the manifest no more.

    Args:
        found: The Secret after it was applied.
        manifest: What was applied.
        uid: Of the Certificate.
        template: What an earlier template had, as it was recorded in the Secret before.
        derived: Entries that were made from an earlier certificate, as they were recorded in it.
    """
    metadata, wanted = found["metadata"], manifest["metadata"]
    change: dict[str, Any] = {}
    for field, keys in template_keys(template).items():
        if gone := _gone(metadata.get(field) or {}, wanted.get(field) or {}, keys):
            change[field] = gone
    owners = metadata.get("ownerReferences") or []
    if not wanted.get("ownerReferences") and any(one.get("uid") == uid for one in owners):
        change["ownerReferences"] = [one for one in owners if one.get("uid") != uid]
    patch: dict[str, Any] = {"metadata": change} if change else {}
    if data := _gone(found.get("data") or {}, manifest["data"], [CA_ENTRY, *derived]):
        patch["data"] = data
    return patch


def _gone(found: Mapping[str, Any], wanted: Mapping[str, Any], keys: Iterable[str]) -> dict[str, None]:
    return {key: None for key in keys if key in found and key not in wanted}
