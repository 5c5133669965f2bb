"""The migration's access to the API server: objects of any kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager import api
from certwright.kube.client import APPLY, MERGE
from certwright.kube.errors import Conflict, NotFound
from certwright.kube.listing import list_all
from certwright.kube.paths import object_path
from certwright.migration.marks import FIELD_MANAGER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.kube.client import KubeClient


@dataclass(frozen=True)
class Kind:
    """A kind of objects.

    Attributes:
        root: What the paths of its API version begin with.
        plural: As in paths.
        kind: As in manifests.
    """

    root: str
    plural: str
    kind: str

    @property
    def title(self) -> str:
        """The kind as kubectl names it, such as ``certificates.cert-manager.io``."""
        group = self.root.split("/")[-2] if self.root.startswith("/apis/") else ""
        return f"{self.plural}.{group}" if group else self.plural


TRIES: Final = 5
"""To change an object that others change as well."""

_THEIRS: Final = f"/apis/{api.API_VERSION}"
_THEIR_ACME: Final = f"/apis/{api.ACME_GROUP}/{api.VERSION}"
_OURS: Final = "/apis/certwright.io/v1"
_CORE: Final = "/api/v1"

THEIR_CERTIFICATES: Final = Kind(_THEIRS, "certificates", "Certificate")
THEIR_ISSUERS: Final = Kind(_THEIRS, "issuers", "Issuer")
THEIR_CLUSTER_ISSUERS: Final = Kind(_THEIRS, "clusterissuers", "ClusterIssuer")
THEIR_REQUESTS: Final = Kind(_THEIRS, "certificaterequests", "CertificateRequest")
THEIR_ORDERS: Final = Kind(_THEIR_ACME, "orders", "Order")
THEIR_CHALLENGES: Final = Kind(_THEIR_ACME, "challenges", "Challenge")
OUR_CERTIFICATES: Final = Kind(_OURS, "certificates", "Certificate")
OUR_ISSUERS: Final = Kind(_OURS, "issuers", "Issuer")
OUR_CLUSTER_ISSUERS: Final = Kind(_OURS, "clusterissuers", "ClusterIssuer")
SECRETS: Final = Kind(_CORE, "secrets", "Secret")
DEPLOYMENTS: Final = Kind("/apis/apps/v1", "deployments", "Deployment")
CRDS: Final = Kind("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition")
LEASES: Final = Kind("/apis/coordination.k8s.io/v1", "leases", "Lease")

OURS_BY_KIND: Final = {one.kind: one for one in (OUR_CERTIFICATES, OUR_ISSUERS, OUR_CLUSTER_ISSUERS)}
THEIRS_BY_KIND: Final = {one.kind: one for one in (THEIR_CERTIFICATES, THEIR_ISSUERS, THEIR_CLUSTER_ISSUERS)}


class Cluster:
    """Reads and writes objects.

    Args:
        client: Sends the requests.
    """

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def list(self, kind: Kind, namespace: str | None = None) -> list[dict[str, Any]]:
        """Return all objects of a kind; none if the API server does not know the kind. Raises `KubeError`."""
        try:
            found = await list_all(self._client, kind.root, kind.plural, namespace)
        except NotFound:
            return []
        # A list does not repeat what all of its objects are.
        return [
            {**one, "kind": kind.kind, "apiVersion": kind.root.removeprefix("/apis/").removeprefix("/api/")}
            for one in found.items
        ]

    async def read(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any] | None:
        """Return an object, or None if there is none. Raises `KubeError`."""
        try:
            return await self._client.request(
                "GET",
                object_path(kind.root, kind.plural, namespace, name),
                action=_action("read", kind, namespace, name),
            )
        except NotFound:
            return None

    async def apply(self, kind: Kind, manifest: Mapping[str, Any], *, trial: bool = False) -> dict[str, Any]:
        """Create or change an object by server-side apply, and return it; another's fields are not taken over.

        Args:
            kind: What it is.
            manifest: The object.
            trial: Only see whether that would be refused, by rights, policies and quotas as well.

        Raises:
            Conflict: Somebody else owns a field.
            KubeError: It was refused.
        """
        metadata = manifest["metadata"]
        namespace, name = metadata.get("namespace"), metadata["name"]
        return await self._client.request(
            "PATCH",
            object_path(kind.root, kind.plural, namespace, name),
            action=_action("write", kind, namespace, name),
            query={"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", **({"dryRun": "All"} if trial else {})},
            body=manifest,
            content_type=APPLY,
        )

    async def change(self, kind: Kind, found: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge a change into the very object that was read, and return it.

        Raises:
            Conflict: It was changed since.
            KubeError: It was refused.
        """
        metadata = found["metadata"]
        namespace, name = metadata.get("namespace"), metadata["name"]
        body = dict(change)
        body["metadata"] = {**change.get("metadata", {}), "resourceVersion": metadata["resourceVersion"]}
        return await self._client.request(
            "PATCH",
            object_path(kind.root, kind.plural, namespace, name),
            action=_action("change", kind, namespace, name),
            query={"fieldManager": FIELD_MANAGER},
            body=body,
            content_type=MERGE,
        )

    async def counterpart(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the object of a kind that has another one's name, or None if there is none. Raises `KubeError`."""
        return await self.read(kind, body["metadata"].get("namespace"), body["metadata"]["name"])

    async def edit(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        edit: Callable[[Mapping[str, Any]], Mapping[str, Any] | None],
    ) -> None:
        """Change an object as it is at this moment, and again if somebody else was quicker.

        Args:
            kind: What it is.
            namespace: Where it is.
            name: Its name; if there is none, nothing is done.
            edit: Returns what to merge into it; None for nothing.

        Raises:
            Conflict: Somebody else was quicker each time.
            KubeError: It was refused.
        """
        for left in reversed(range(TRIES)):
            found = await self.read(kind, namespace, name)
            change = edit(found) if found is not None else None
            if found is None or change is None:
                return
            try:
                await self.change(kind, found, change)
            except Conflict:
                if not left:
                    raise
                continue
            return

    async def delete(self, kind: Kind, found: Mapping[str, Any]) -> None:
        """Delete the very object that was read, and leave what belongs to it. One that is gone is fine.

        Raises:
            KubeError: It was refused.
        """
        metadata = found["metadata"]
        namespace, name = metadata.get("namespace"), metadata["name"]
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Orphan",
            "preconditions": {"uid": metadata["uid"]},
        }
        try:
            await self._client.request(
                "DELETE",
                object_path(kind.root, kind.plural, namespace, name),
                action=_action("delete", kind, namespace, name),
                body=options,
            )
        except NotFound:
            return


def _action(verb: str, kind: Kind, namespace: str | None, name: str) -> str:
    return f"{verb} {kind.title} {namespace}/{name}" if namespace else f"{verb} {kind.title} {name}"
