"""Who else writes an object, according to its `managedFields` (server-side apply)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.kube.api import FIELD_MANAGER

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_MANAGERS: Final = 3
MAX_MANAGER_CHARACTERS: Final = 128
"""The API server's own limit."""


def other_managers(metadata: Mapping[str, Any], *, field: str) -> tuple[str, ...]:
    """Return the names of other field managers of an object, the latest first; at most three.

    Those that own something of a field come first. Who removed a field owns nothing of it, so all others follow.

    Args:
        metadata: The object's, with its ``managedFields`` if it has any.
        field: The name of a field at the top of the object, such as ``data``.
    """
    entries = [one for one in metadata.get("managedFields") or () if one.get("manager") != FIELD_MANAGER]
    entries.sort(
        key=lambda one: (f"f:{field}" in (one.get("fieldsV1") or {}), str(one.get("time") or "")), reverse=True
    )
    names = dict.fromkeys(str(one.get("manager") or "")[:MAX_MANAGER_CHARACTERS] for one in entries)
    return tuple(name for name in names if name and name.isprintable())[:MAX_MANAGERS]
