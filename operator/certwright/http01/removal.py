"""Removes the objects of a presenter without the issuer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.concurrency import gather_all
from certwright.http01 import manifests
from certwright.http01.editing import remove_rules
from certwright.http01.settings import is_object_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Iterable, Sequence

    from certwright.challenges.holders import Holders
    from certwright.challenges.presenter import ObjectKind, PresentedObject
    from certwright.challenges.response import FileResponse
    from certwright.http01.objects import Objects
    from certwright.http01.settings import Owner


async def remove(
    objects: Objects,
    answers: Holders[FileResponse],
    owner: Owner,
    made: Iterable[PresentedObject],
    files: Sequence[FileResponse],
) -> None:
    """Remove the objects of a Certificate by their labels, whatever their names, and its rules from an edited Ingress.

    Needs nothing of the issuer, which may be gone or changed. Names in `made`, which came from a status, are used for
    an edited Ingress alone: in the Certificate's namespace, and for the paths of challenges to its own Services.

    Raises:
        KubeError: The API server refused something; the rest was removed.
    """
    answers.forget(owner.uid)
    listed = list(made)
    kinds: list[ObjectKind] = sorted({one.kind for one in listed if not one.edited})
    calls: list[Awaitable[object]] = [objects.delete_all(kind, owner.namespace, owner.selector) for kind in kinds]
    calls += _edits(objects, owner, listed, files, services={one.name for one in listed if one.kind == "Service"})
    await gather_all(calls)


async def remove_superseded(
    objects: Objects,
    owner: Owner,
    known: Iterable[PresentedObject],
    wanted: Iterable[PresentedObject],
    files: Sequence[FileResponse],
) -> None:
    """Remove what the issuer asked for earlier and does not ask for now: its route would still be served.

    Args:
        objects: The API server.
        owner: The Certificate.
        known: What was, or may have been, made for it.
        wanted: What is to be left, or about to be made.
        files: The files of its order.

    Raises:
        KubeError: The API server refused something; the rest was removed.
    """
    kept, listed = set(wanted), list(known)
    superseded = [one for one in listed if one not in kept]
    kinds: list[ObjectKind] = sorted({one.kind for one in superseded if not one.edited})
    spared = {manifests.NAME_LABEL: {one.name for one in kept}} if kept else {}
    calls: list[Awaitable[object]] = [
        objects.delete_all(kind, owner.namespace, owner.selector, unless=spared) for kind in kinds
    ]
    # Also in an Ingress that is still edited: its rules lead to another Service from now on.
    calls += _edits(objects, owner, listed, files, services={one.name for one in superseded if one.kind == "Service"})
    await gather_all(calls)


def _edits(
    objects: Objects,
    owner: Owner,
    known: Iterable[PresentedObject],
    files: Sequence[FileResponse],
    *,
    services: Collection[str],
) -> list[Awaitable[object]]:
    own = {name for name in services if is_object_name(owner, name)}
    ingresses = sorted({one.name for one in known if one.edited}) if own else []
    return [remove_rules(objects, owner.namespace, name, files, services=own) for name in ingresses]
