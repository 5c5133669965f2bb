"""The one way to the API server: every read and write of the operator outside its watches.

Everything the operator owns is written by server-side apply, so a write needs no read before it and
repeating one does no harm. Each write names the object's UID where there is one: applying to an object that was
deleted and recreated in between is refused by the API server instead of hitting the wrong one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from certwright.kube.client import APPLY
from certwright.kube.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certwright.kube.client import KubeClient

FIELD_MANAGER: Final = "certwright"
FINALIZER_MANAGER: Final = "certwright-finalizer"
"""A manager of its own, so that applying finalizers never touches what other writes own."""


class KubeApi:
    """Typed verbs over the objects the operator reads and writes; the objects themselves are plain dicts.

    Every method raises `certwright.kube.errors.KubeError` subclasses.

    Args:
        client: Sends the requests.
        group: API group of the custom resources.
        version: Their version.
    """

    def __init__(self, client: KubeClient, *, group: str, version: str) -> None:
        self._client = client
        self._api_version = f"{group}/{version}"

    async def read_custom(self, plural: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        """Return a custom resource, or None if there is none of that name."""
        try:
            return await self._client.request(
                "GET",
                self._custom_path(plural, namespace, name),
                action=f"read {label(plural, namespace, name)}",
            )
        except NotFound:
            return None

    async def collection_version(self, plural: str, namespace: str) -> int:
        """Return the resourceVersion that a namespace's custom resources of a kind have now. Raises `KubeError`."""
        path = self._custom_path(plural, namespace, "").rstrip("/")
        found = await self._client.request("GET", path, action=f"list {plural} in {namespace}", query={"limit": "1"})
        return int(found["metadata"]["resourceVersion"])

    async def read_secret(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return a Secret, or None if there is none of that name."""
        try:
            return await self._client.request(
                "GET", _secret_path(namespace, name), action=f"read {label('Secret', namespace, name)}"
            )
        except NotFound:
            return None

    async def apply_secret(self, secret: Mapping[str, Any], *, force: bool) -> dict[str, Any]:
        """Create or replace what we own of a Secret in one write, and return it.

        Args:
            secret: A whole ``v1`` Secret manifest. With ``metadata.resourceVersion`` the write is refused (`Conflict`)
                when the Secret has changed.
            force: Whether to take over fields that another field manager wrote; without it that is a `Conflict`, so
                that a Secret which appeared since the last look is not overwritten.
        """
        namespace, name = secret["metadata"]["namespace"], secret["metadata"]["name"]
        return await self._client.request(
            "PATCH",
            _secret_path(namespace, name),
            action=f"write {label('Secret', namespace, name)}",
            query={"fieldManager": FIELD_MANAGER, "force": str(force).lower()},
            body=secret,
            content_type=APPLY,
        )

    async def create_secret(self, secret: Mapping[str, Any]) -> dict[str, Any]:
        """Create a Secret and return it; `Conflict` if one of that name exists."""
        namespace, name = secret["metadata"]["namespace"], secret["metadata"]["name"]
        return await self._client.request(
            "POST",
            f"/api/v1/namespaces/{quote(namespace)}/secrets",
            action=f"create {label('Secret', namespace, name)}",
            query={"fieldManager": FIELD_MANAGER},
            body=secret,
            # A create that was carried out but not answered comes back as Conflict, and the caller reads it then.
            idempotent=True,
        )

    async def delete_secret(self, namespace: str, name: str) -> None:
        """Delete a Secret; one that is not there is success."""
        try:
            await self._client.request(
                "DELETE", _secret_path(namespace, name), action=f"delete {label('Secret', namespace, name)}"
            )
        except NotFound:
            return

    async def apply_status(
        self, plural: str, kind: str, metadata: Mapping[str, Any], status: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Replace the whole status of a custom resource, and return the resource.

        Args:
            plural: Resource name, for example ``certificates``.
            kind: For example ``Certificate``.
            metadata: The object's own metadata; its name, namespace and UID say which object is meant.
            status: The complete status: what is left out is removed.
        """
        namespace, name = metadata.get("namespace"), metadata["name"]
        return await self._client.request(
            "PATCH",
            self._custom_path(plural, namespace, name) + "/status",
            action=f"write the status of {label(kind, namespace, name)}",
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
            body={
                "apiVersion": self._api_version,
                "kind": kind,
                "metadata": _identity(metadata),
                "status": status,
            },
            content_type=APPLY,
        )

    async def apply_finalizers(
        self, plural: str, kind: str, metadata: Mapping[str, Any], finalizers: Sequence[str]
    ) -> dict[str, Any]:
        """Make these the finalizers the operator holds on an object; an empty list lets it go."""
        namespace, name = metadata.get("namespace"), metadata["name"]
        identity = _identity(metadata)
        if finalizers:
            identity["finalizers"] = list(finalizers)
        return await self._client.request(
            "PATCH",
            self._custom_path(plural, namespace, name),
            action=f"{'hold' if finalizers else 'release'} {label(kind, namespace, name)}",
            query={"fieldManager": FINALIZER_MANAGER, "force": "true"},
            body={"apiVersion": self._api_version, "kind": kind, "metadata": identity},
            content_type=APPLY,
        )

    async def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        """Post a core/v1 Event. Not repeated unless it was not looked at: a lost event is better than a doubled one."""
        await self._client.request(
            "POST",
            f"/api/v1/namespaces/{quote(namespace)}/events",
            action=f"post an Event in {namespace}",
            body=event,
            idempotent=False,
        )

    def _custom_path(self, plural: str, namespace: str | None, name: str) -> str:
        middle = f"/namespaces/{quote(namespace)}" if namespace else ""
        return f"/apis/{self._api_version}{middle}/{plural}/{quote(name)}"


def _secret_path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace)}/secrets/{quote(name)}"


def _identity(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {key: metadata[key] for key in ("name", "namespace", "uid") if metadata.get(key)}


def label(kind: str, namespace: str | None, name: str) -> str:
    """An object for messages: `Secret shop/web-tls`."""
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
