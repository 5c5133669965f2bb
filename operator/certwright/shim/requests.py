"""The shim's requests to the API server: reads annotated objects, applies and deletes Certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.kube.api import label
from certwright.kube.common_metadata import CommonMetadata
from certwright.kube.errors import Conflict, NotFound
from certwright.kube.owned import apply_owned
from certwright.kube.paths import object_path
from certwright.kube.resource import CERTIFICATES
from certwright.resources import API_VERSION, Certificate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.kube.client import KubeClient
    from certwright.kube.resource import Resource
    from certwright.resources import Metadata

FIELD_MANAGER: Final = "certwright-shim"
"""A manager of its own: what users set on a Certificate besides, such as a request, stays theirs."""


class ShimApi:
    """Reads sources, writes Certificates. Every method raises `certwright.kube.errors.KubeError` subclasses.

    Args:
        client: Sends the requests.
        common: Labels and annotations for every Certificate.
    """

    def __init__(self, client: KubeClient, common: CommonMetadata | None = None) -> None:
        self._client = client
        self._common = common or CommonMetadata()

    def completed(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Return a manifest with the labels and annotations that every object gets."""
        return self._common.added_to(manifest)

    async def read(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        """Return an object, or None if there is none of that name, or nothing of its kind is served."""
        try:
            return await self._client.request(
                "GET",
                object_path(f"/{resource.root}", resource.plural, namespace, name),
                action=f"read {label(resource.kind, namespace, name)}",
            )
        except NotFound:
            return None

    async def apply(self, manifest: Mapping[str, Any], *, uid: str | None) -> dict[str, Any]:
        """Apply a whole Certificate and return it.

        Args:
            manifest: As `completed` returned it.
            uid: Of the Certificate to change, which is then taken over; None to create one, which is refused
                (`Conflict`) if another one has the name and says something else.
        """
        return await apply_owned(self._client, CERTIFICATES, manifest, uid=uid, field_manager=FIELD_MANAGER)

    async def delete(self, metadata: Metadata) -> bool:
        """Delete this very Certificate if it was made here; tell whether it was deleted.

        Another controller may make Certificates for the same objects, and owns what it applied.
        """
        namespace = metadata.namespace or ""
        path, what = self._path(namespace, metadata.name), label(Certificate.KIND, namespace, metadata.name)
        try:
            found = await self._client.request("GET", path, action=f"read {what}")
            managers = found["metadata"].get("managedFields") or ()
            if not any(one.get("manager") == FIELD_MANAGER for one in managers):
                return False
            await self._client.request(
                "DELETE",
                path,
                action=f"delete {what}",
                body={"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": metadata.uid}},
            )
        except (NotFound, Conflict):
            return False
        return True

    @staticmethod
    def _path(namespace: str, name: str) -> str:
        return object_path(f"/apis/{API_VERSION}", Certificate.PLURAL, namespace, name)
