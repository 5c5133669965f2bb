"""Annotations on a Certificate of cert-manager that change how its names are validated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager import api

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.cert_manager.translation import Notes

_INGRESS: Final = {
    api.OVERRIDE_INGRESS_NAME: "name",
    api.OVERRIDE_CLASS: "class",
    api.OVERRIDE_CLASS_NAME: "ingressClassName",
}
_PARENT: Final = {api.PARENT_NAME: "name", api.PARENT_KIND: "kind", api.PARENT_NAMESPACE: "namespace"}


def move_overrides(annotations: Mapping[str, Any], notes: Notes) -> dict[str, Any] | None:
    """Return our field for the route of http-01, or None if nothing changes it."""
    route: dict[str, Any] = {}
    ingress = {ours: annotations[key] for key, ours in _INGRESS.items() if annotations.get(key)}
    if len(ingress) > 1:
        notes.refuse("metadata.annotations", f"more than one of {', '.join(_INGRESS)}: the order fails there, too")
    elif ingress:
        route["ingress"] = ingress
    if annotations.get(api.PARENT_NAME):
        parent = {ours: annotations[key] for key, ours in _PARENT.items() if annotations.get(key)}
        route["gatewayHTTPRoute"] = {"parentRefs": [parent]}
    return route or None
