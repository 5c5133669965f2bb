"""The mirror's requests to the API server: applies ours, writes the status of theirs, asks for renewals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.kube.api import label
from certwright.kube.client import MERGE
from certwright.kube.common_metadata import CommonMetadata
from certwright.kube.owned import apply_owned
from certwright.kube.paths import object_path
from certwright.kube.resource import CERTIFICATES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.kube.client import KubeClient
    from certwright.kube.resource import Resource
    from certwright.mirror.objects import Mirrored
    from certwright.resources import Metadata

FIELD_MANAGER: Final = "certwright-mirror"


class MirrorApi:
    """Writes. Every method raises `certwright.kube.errors.KubeError` subclasses.

    Args:
        client: Sends the requests.
        common: Labels and annotations for every object that is made.
    """

    def __init__(self, client: KubeClient, common: CommonMetadata | None = None) -> None:
        self._client = client
        self._common = common or CommonMetadata()

    def completed(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Return a manifest with the labels and annotations that every object gets."""
        return self._common.added_to(manifest)

    async def apply(self, resource: Resource, manifest: Mapping[str, Any], *, uid: str | None) -> dict[str, Any]:
        """Apply a whole object of ours and return it; see `apply_owned`."""
        return await apply_owned(self._client, resource, manifest, uid=uid, field_manager=FIELD_MANAGER)

    async def write_status(self, theirs: Mirrored, change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge a change into the status of theirs as it was last seen, and return the object.

        A merge, as its own clients replace statuses whole: what they wrote is another manager's, and an applied
        condition could never be removed again.

        Raises:
            Conflict: It was changed since.
            NotFound: It is gone.
        """
        resource = theirs.resource
        path = object_path(f"/{resource.root}", resource.plural, theirs.namespace or None, theirs.name)
        return await self._client.request(
            "PATCH",
            f"{path}/status",
            action=f"write the status of {label(resource.key_kind, theirs.namespace or None, theirs.name)}",
            query={"fieldManager": FIELD_MANAGER},
            body={
                "metadata": {"uid": theirs.uid, "resourceVersion": theirs.resource_version},
                "status": change,
            },
            content_type=MERGE,
        )

    async def request(self, metadata: Metadata, request: Mapping[str, Any]) -> None:
        """Write a request into a Certificate of ours as it was last seen.

        Raises:
            Conflict: It was changed since.
            NotFound: It is gone.
        """
        await self._client.request(
            "PATCH",
            object_path(f"/{CERTIFICATES.root}", CERTIFICATES.plural, metadata.namespace, metadata.name),
            action=f"request a renewal of {label(CERTIFICATES.kind, metadata.namespace, metadata.name)}",
            query={"fieldManager": FIELD_MANAGER},
            body={
                "metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version},
                "spec": {"request": request},
            },
            content_type=MERGE,
        )
