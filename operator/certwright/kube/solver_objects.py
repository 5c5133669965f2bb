"""The objects that answer http-01 challenges: pods, Services, EndpointSlices, Ingresses, HTTPRoutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.kube.api import FIELD_MANAGER, label
from certwright.kube.client import APPLY, MERGE
from certwright.kube.common_metadata import CommonMetadata
from certwright.kube.errors import AnswerTooLarge, Conflict, Forbidden, NotFound
from certwright.kube.paths import object_path
from certwright.kube.resource import GATEWAYS, HTTP_ROUTES, INGRESSES, TLS_ROUTES, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from certwright.kube.client import KubeClient

MAX_POLICIES: Final = 100
AT_ONCE: Final = {"gracePeriodSeconds": "0"}
"""A solver pod has nothing to finish, and its kubelet nothing to report: without this it makes eight requests more."""
_RESOURCES: Final = {
    one.kind: one
    for one in (
        Resource("", "v1", "pods", "Pod"),
        Resource("", "v1", "services", "Service"),
        Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
        INGRESSES,
        Resource("networking.k8s.io", "v1", "ingressclasses", "IngressClass"),
        Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
        HTTP_ROUTES,
        TLS_ROUTES,
        GATEWAYS,
    )
}


class SolverObjectApi:
    """Reads, writes and removes the objects of solvers; whose they are is the caller's business.

    Args:
        client: Sends the requests.
        common: Labels and annotations for every object.
    """

    def __init__(self, client: KubeClient, common: CommonMetadata | None = None) -> None:
        self._client = client
        self._common = common or CommonMetadata()

    async def apply(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create or change an object by server-side apply, taking over fields that others wrote.

        Raises:
            NotFound: Its namespace, or its kind, does not exist.
            KubeError: It was refused.
        """
        kind, metadata = manifest["kind"], manifest["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        try:
            return await self._client.request(
                "PATCH",
                _path(kind, namespace, name),
                action=f"write {label(kind, namespace, name)}",
                query={"fieldManager": FIELD_MANAGER, "force": "true"},
                body=self._common.added_to(manifest),
                content_type=APPLY,
            )
        except NotFound as error:
            if error.reason:
                raise
            # The API server says so in plain text, without a Status object.
            words = f"the cluster does not serve {manifest['apiVersion']} {kind}. Are its CRDs installed?"
            raise NotFound(error.action, status=error.status, message=words) from None

    async def create(self, manifest: Mapping[str, Any]) -> None:
        """Create an object; one of that name stays as it is.

        For a pod, whose fields cannot be changed: to apply it again would be refused if admission changed it.

        Raises:
            KubeError: It was refused.
        """
        kind, metadata = manifest["kind"], manifest["metadata"]
        namespace = metadata["namespace"]
        try:
            await self._client.request(
                "POST",
                _path(kind, namespace),
                action=f"create {label(kind, namespace, metadata['name'])}",
                query={"fieldManager": FIELD_MANAGER},
                body=self._common.added_to(manifest),
            )
        except Conflict as error:
            if error.reason != "AlreadyExists":
                raise

    async def read(self, kind: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        """Return an object, or None if there is none. Raises `KubeError`."""
        try:
            return await self._client.request(
                "GET", _path(kind, namespace, name), action=f"read {label(kind, namespace, name)}"
            )
        except NotFound:
            return None

    async def inspect(self, kind: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        """Return an object, or None if there is none; where the operator may not look, one with nothing in it.

        Raises:
            KubeError: The API server cannot be asked.
        """
        try:
            return await self.read(kind, namespace, name)
        except Forbidden:
            return {}

    async def replace_rules(self, ingress: Mapping[str, Any], rules: list[dict[str, Any]]) -> dict[str, Any] | None:
        """Write `spec.rules` of an Ingress and return it; None, and nothing is written, if others changed it meanwhile.

        Raises:
            KubeError: It was refused for another reason.
        """
        return await self._edit(ingress, {"spec": {"rules": rules or None}})

    async def disown(self, ingress: Mapping[str, Any]) -> bool:
        """Have an Ingress forget that we wrote fields of it: its owner would have to force them from then on.

        Returns:
            False, and nothing is written, if others changed it meanwhile.

        Raises:
            KubeError: It was refused for another reason.
        """
        entries = ingress["metadata"].get("managedFields") or []
        others = [one for one in entries if (one.get("manager"), one.get("operation")) != (FIELD_MANAGER, "Update")]
        if len(others) == len(entries):
            return True
        # An empty list would mean: as it is.
        # https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields
        return await self._edit(ingress, {"metadata": {"managedFields": others or [{}]}}) is not None

    async def _edit(self, ingress: Mapping[str, Any], change: dict[str, Any]) -> dict[str, Any] | None:
        metadata = ingress["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        as_read = {"resourceVersion": metadata["resourceVersion"]}
        try:
            return await self._client.request(
                "PATCH",
                _path("Ingress", namespace, name),
                action=f"edit {label('Ingress', namespace, name)}",
                query={"fieldManager": FIELD_MANAGER},
                body={**change, "metadata": {**change.get("metadata", {}), **as_read}},
                content_type=MERGE,
            )
        except Conflict:
            return None

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Remove an object, a pod without waiting for its node; one that is gone is success. Raises `KubeError`."""
        try:
            await self._client.request(
                "DELETE",
                _path(kind, namespace, name),
                action=f"delete {label(kind, namespace, name)}",
                query=AT_ONCE if kind == "Pod" else {},
            )
        except NotFound:
            return

    async def delete_all(
        self, kind: str, namespace: str, labels: Mapping[str, str], *, unless: Mapping[str, Iterable[str]] = {}
    ) -> None:
        """Remove the objects with all of these labels, as `delete` does; none is success.

        Args:
            kind: Of the objects.
            namespace: Of the objects.
            labels: They have all of them.
            unless: One with one of these values of a label stays.

        Raises:
            KubeError: It was refused.
        """
        wanted = [f"{key}={value}" for key, value in sorted(labels.items())]
        spared = [f"{key} notin ({','.join(sorted(values))})" for key, values in sorted(unless.items())]
        selector = ",".join([*wanted, *spared])
        try:
            await self._client.request(
                "DELETE",
                _path(kind, namespace),
                action=f"delete each {kind} in {namespace} that has {selector}",
                query={"labelSelector": selector, **(AT_ONCE if kind == "Pod" else {})},
            )
        except NotFound:
            return

    async def network_policies(self, namespace: str) -> list[dict[str, Any]]:
        """Return the NetworkPolicies of a namespace, a hundred at most; none if they may not be read.

        Raises:
            KubeError: The API server cannot be asked.
        """
        try:
            found = await self._client.request(
                "GET",
                _path("NetworkPolicy", namespace),
                action=f"list the NetworkPolicies of {namespace}",
                query={"limit": str(MAX_POLICIES)},
            )
        except (Forbidden, NotFound, AnswerTooLarge):
            # They are read to explain a failure, which is told in any case.
            return []
        return list(found.get("items") or ())


def _path(kind: str, namespace: str | None, name: str | None = None) -> str:
    resource = _RESOURCES[kind]
    return object_path(f"/{resource.root}", resource.plural, namespace, name)
