"""Adds our rules to another owner's Ingress, and removes them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.concurrency import KeyedLock
from certwright.http01 import routes
from certwright.http01.errors import SolverError
from certwright.kube.api import FIELD_MANAGER
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from certwright.challenges.response import FileResponse
    from certwright.http01.objects import Objects
    from certwright.http01.settings import PathType

EDIT_TRIES: Final = 5
MAX_MANAGER: Final = 128
"""Characters of a field manager's name, which is what the API server allows."""
_locks: Final[KeyedLock[tuple[str, str]]] = KeyedLock()
"""By namespace and name. Otherwise orders of this process that edit one Ingress would conflict with each other."""


async def read_ingress(objects: Objects, namespace: str, name: str) -> dict[str, Any]:
    """Return the Ingress that is to be edited.

    Raises:
        SolverError: There is none of that name.
        KubeError: The API server cannot be asked.
    """
    found = await objects.read("Ingress", namespace, name)
    if found is None:
        raise SolverError(
            "IngressNotFound",
            f"The Ingress {namespace}/{name}, which the issuer's http01 solver should edit, does not exist. Create it, "
            "or correct ingress.name in the issuer.",
        )
    return found


async def add_rules(
    objects: Objects,
    namespace: str,
    name: str,
    files: Sequence[FileResponse],
    *,
    service: str,
    path_type: PathType = "ImplementationSpecific",
) -> None:
    """Add the paths of these files to an existing Ingress.

    Raises:
        SolverError: There is none of that name, or others change it all the time.
        KubeError: The API server refused.
    """
    await _edit(
        objects,
        namespace,
        name,
        lambda rules: routes.with_paths(rules, files, service=service, path_type=path_type),
    )


async def restore_rules(
    objects: Objects,
    namespace: str,
    name: str,
    files: Sequence[FileResponse],
    *,
    service: str,
    path_type: PathType = "ImplementationSpecific",
) -> str | None:
    """Add the paths of these files again if the Ingress has lost one, because its owner wrote his rules back.

    Returns:
        The field manager that wrote the rules last, or an empty text if the Ingress does not say; None if nothing was
        missing, or the Ingress is gone.

    Raises:
        SolverError: Others change it all the time.
        KubeError: The API server refused.
    """
    found = await objects.read("Ingress", namespace, name)
    if found is None or routes.has_paths((found.get("spec") or {}).get("rules") or (), files, service=service):
        return None
    await add_rules(objects, namespace, name, files, service=service, path_type=path_type)
    return _last_writer(found)


def _last_writer(ingress: Mapping[str, Any]) -> str:
    """Return the field manager other than ours that wrote the rules of an Ingress last, as far as it says."""
    entries = [
        entry
        for entry in ingress["metadata"].get("managedFields") or ()
        if entry.get("manager") != FIELD_MANAGER and "f:rules" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    if not entries:
        return ""
    latest = max(entries, key=lambda entry: str(entry.get("time") or ""))
    return printable(str(latest.get("manager") or ""), MAX_MANAGER)


async def remove_rules(
    objects: Objects, namespace: str, name: str, files: Sequence[FileResponse], *, services: Collection[str]
) -> None:
    """Remove the paths of these files that lead to these Services from an Ingress; one that is gone is success.

    Raises:
        SolverError: Others change it all the time.
        KubeError: The API server refused.
    """
    try:
        await _edit(objects, namespace, name, lambda rules: routes.without_paths(rules, files, services=services))
    except SolverError as error:
        if error.reason != "IngressNotFound":  # gone, and the rules with it
            raise


async def _edit(
    objects: Objects,
    namespace: str,
    name: str,
    change: Callable[[list[dict[str, object]]], list[dict[str, object]]],
) -> None:
    async with _locks.at((namespace, name)):
        for _ in range(EDIT_TRIES):
            found = await read_ingress(objects, namespace, name)
            spec = found.get("spec") or {}
            rules = spec.get("rules") or []
            changed = change(rules)
            if not changed and not spec.get("defaultBackend"):
                # An Ingress must have one of the two. It had rules without paths, and is to have them again.
                changed = [{"host": rule["host"]} for rule in rules if rule.get("host")]
            if changed != rules:
                written = await objects.replace_rules(found, changed)
                if written is None:
                    continue
                found = written
            # While another Certificate's rules are in it the fields stay ours.
            if routes.has_challenges(changed) or await objects.disown(found):
                return
    raise SolverError(
        "IngressBusy",
        f"The Ingress {namespace}/{name} was changed by other clients during each of {EDIT_TRIES} attempts to edit it.",
    )
