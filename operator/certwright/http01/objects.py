"""The interface to the API server that presenters need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from certwright.challenges.presenter import ObjectKind


class Objects(Protocol):
    """Reads, writes and removes objects; every error is the API server's and says what was attempted."""

    async def apply(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create or change an object by server-side apply, taking over fields of other field managers."""
        ...

    async def create(self, manifest: Mapping[str, Any]) -> None:
        """Create an object; one of that name stays as it is."""
        ...

    async def read(self, kind: ObjectKind, namespace: str | None, name: str) -> dict[str, Any] | None:
        """Return an object, or None if there is none."""
        ...

    async def inspect(
        self, kind: Literal["IngressClass", "Gateway"], namespace: str | None, name: str
    ) -> dict[str, Any] | None:
        """Return an object, or None if there is none; where the operator may not look, one with nothing in it."""
        ...

    async def replace_rules(self, ingress: Mapping[str, Any], rules: list[dict[str, Any]]) -> dict[str, Any] | None:
        """Write `spec.rules` of an Ingress and return it; None, and nothing written, if others changed it meanwhile."""
        ...

    async def disown(self, ingress: Mapping[str, Any]) -> bool:
        """Have an Ingress forget that we wrote fields of it; False if others changed it meanwhile."""
        ...

    async def delete(self, kind: ObjectKind, namespace: str, name: str) -> None:
        """Remove an object; one that is gone is success."""
        ...

    async def delete_all(
        self, kind: ObjectKind, namespace: str, labels: Mapping[str, str], *, unless: Mapping[str, Iterable[str]] = {}
    ) -> None:
        """Remove the objects with all of these labels, unless one has one of these values; none is success."""
        ...

    async def network_policies(self, namespace: str) -> list[dict[str, Any]]:
        """Return the NetworkPolicies of a namespace, a bounded number of them."""
        ...
