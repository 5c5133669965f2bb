"""A small synchronous client of the API server: kubectl throttles itself and takes 60 ms a call."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from types import TracebackType

    from testbed.bed import TestBed
    from testbed.certificates import KeyPair

OURS: Final = "apis/certwright.io/v1"
THEIRS: Final = "apis/cert-manager.io/v1"
"""Where cert-manager's objects are: their kinds are called like ours, and are named with their group here."""
PLURALS: Final = {
    "Certificate": (OURS, "certificates"),
    "Issuer": (OURS, "issuers"),
    "ClusterIssuer": (OURS, "clusterissuers"),
    "Certificate.cert-manager.io": (THEIRS, "certificates"),
    "Issuer.cert-manager.io": (THEIRS, "issuers"),
    "ClusterIssuer.cert-manager.io": (THEIRS, "clusterissuers"),
    "Secret": ("api/v1", "secrets"),
    "ConfigMap": ("api/v1", "configmaps"),
    "Namespace": ("api/v1", "namespaces"),
    "Node": ("api/v1", "nodes"),
    "Pod": ("api/v1", "pods"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "ClusterRole": ("apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "CustomResourceDefinition": ("apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "Service": ("api/v1", "services"),
    "EndpointSlice": ("apis/discovery.k8s.io/v1", "endpointslices"),
    "NetworkPolicy": ("apis/networking.k8s.io/v1", "networkpolicies"),
    "Ingress": ("apis/networking.k8s.io/v1", "ingresses"),
    "Gateway": ("apis/gateway.networking.k8s.io/v1", "gateways"),
    "ListenerSet": ("apis/gateway.networking.k8s.io/v1", "listenersets"),
    "HTTPRoute": ("apis/gateway.networking.k8s.io/v1", "httproutes"),
    "TLSRoute": ("apis/gateway.networking.k8s.io/v1", "tlsroutes"),
    "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets"),
    "Event": ("api/v1", "events"),
    "Lease": ("apis/coordination.k8s.io/v1", "leases"),
}
CLUSTER_SCOPED: Final = {
    "ClusterIssuer",
    "ClusterIssuer.cert-manager.io",
    "ClusterRole",
    "CustomResourceDefinition",
    "Namespace",
    "Node",
}
SECONDS: Final = 120.0
"""For what is a matter of seconds, on a machine that has other things to do as well."""
POLL_SECONDS: Final = 0.05

Object = dict[str, Any]


class NotAsExpected(AssertionError):
    """The expected state was not reached; the message shows the last one."""


class Cluster:
    """Applies, reads, deletes and waits.

    Args:
        bed: A bed that is up.
        client: Client certificate; None for the bed's administrator.
    """

    def __init__(self, bed: TestBed, client: KeyPair | None = None) -> None:
        context = bed.authority.client_context(client or bed.apiserver.admin)
        self._http = httpx.Client(base_url=bed.apiserver.url, verify=context, timeout=60.0, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def apply(self, manifest: Object, *, validation: str = "Strict") -> Object:
        """Apply an object as a user would, unknown fields refused.

        Raises:
            httpx.HTTPStatusError: The API server refused; its words are in ``refusal(error)``.
        """
        metadata = manifest["metadata"]
        return self._send(
            "PATCH",
            self._path(_kind_of(manifest), metadata.get("namespace"), metadata["name"]),
            params={"fieldManager": "user", "force": "true", "fieldValidation": validation},
            content=json.dumps(manifest),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )

    def patch(self, kind: str, namespace: str | None, name: str, change: Object) -> Object:
        """Merge a change into an object."""
        return self._send(
            "PATCH",
            self._path(kind, namespace, name),
            content=json.dumps(change),
            headers={"Content-Type": "application/merge-patch+json"},
        )

    def patch_status(self, kind: str, namespace: str | None, name: str, status: Object) -> Object:
        """Merge a change into the status of an object, as its controller would."""
        return self._send(
            "PATCH",
            f"{self._path(kind, namespace, name)}/status",
            content=json.dumps({"status": status}),
            headers={"Content-Type": "application/merge-patch+json"},
        )

    def get(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """Return an object, or None if there is none."""
        answer = self._http.get(self._path(kind, namespace, name))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        found: Object = answer.json()
        return found

    def find_all(self, kind: str, namespace: str | None) -> list[Object]:
        """Return all objects of a kind in a namespace."""
        answer = self._http.get(self._path(kind, namespace, ""))
        answer.raise_for_status()
        items: list[Object] = answer.json()["items"]
        return items

    def delete(self, kind: str, namespace: str | None, name: str) -> None:
        """Delete an object; it may be missing."""
        answer = self._http.delete(self._path(kind, namespace, name))
        if answer.status_code != httpx.codes.NOT_FOUND:
            answer.raise_for_status()

    def evict(self, namespace: str, name: str) -> int:
        """Request the eviction of a pod and return the status: 201 if it is evicted, 429 if a budget prevents it."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
        answer = self._http.post(f"{self._path('Pod', namespace, name)}/eviction", json=body)
        if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            answer.raise_for_status()
        return answer.status_code

    def wait_for(
        self,
        what: str,
        look: Callable[[], Object | None],
        condition: Callable[[Object], bool],
        *,
        seconds: float = SECONDS,
    ) -> Object:
        """Poll until a condition holds.

        Raises:
            NotAsExpected: It did not in time; what was seen last is in the message.
        """
        deadline = time.monotonic() + seconds
        while True:
            found = look()
            if found is not None and condition(found):
                return found
            if time.monotonic() > deadline:
                seen = json.dumps(_brief(found), indent=1) if found else "no such object"
                raise NotAsExpected(f"after {seconds:g} s: {what}. Last seen:\n{seen}")
            time.sleep(POLL_SECONDS)

    def wait_ready(self, kind: str, namespace: str | None, name: str, *, seconds: float = SECONDS) -> Object:
        """Wait until the Ready condition is True for the present generation."""
        return self.wait_condition(kind, namespace, name, "Ready", "True", seconds=seconds)

    def wait_all_ready(self, kind: str, namespace: str, names: Collection[str], *, seconds: float = SECONDS) -> None:
        """Wait until many objects are Ready, with one request a poll for all of them."""

        def look() -> Object:
            ready = {
                found["metadata"]["name"]
                for found in self.find_all(kind, namespace)
                if conditions(found).get("Ready", {}).get("status") == "True"
            }
            return {"status": {"not ready": sorted(set(names) - ready)}}

        what = f"not all of {len(names)} are Ready"
        self.wait_for(what, look, lambda seen: not seen["status"]["not ready"], seconds=seconds)

    def wait_condition(
        self,
        kind: str,
        namespace: str | None,
        name: str,
        condition: str,
        status: str,
        *,
        reason: str | None = None,
        seconds: float = SECONDS,
    ) -> Object:
        """Wait until a condition has a status (and a reason) for the present generation."""

        def holds(found: Object) -> bool:
            seen = conditions(found).get(condition, {})
            return (
                seen.get("status") == status
                and seen.get("observedGeneration") == found["metadata"]["generation"]
                and (reason is None or seen.get("reason") == reason)
            )

        what = f"{kind} {name}: {condition} is not {status}{f' ({reason})' if reason else ''}"
        return self.wait_for(what, lambda: self.get(kind, namespace, name), holds, seconds=seconds)

    def wait_gone(self, kind: str, namespace: str | None, name: str, *, seconds: float = SECONDS) -> None:
        """Wait until an object is gone."""
        self.wait_for(
            f"{kind} {name} is still there",
            lambda: self.get(kind, namespace, name) or {"gone": True},
            lambda found: "gone" in found,
            seconds=seconds,
        )

    def wait_allowed(self, user: str, verb: str, kind: str, namespace: str | None, name: str = "") -> None:
        """Wait until a user has a right: the API server applies Roles and bindings a moment after they are written."""
        root, plural = PLURALS[kind]
        group = root.split("/")[1] if root.startswith("apis/") else ""
        asked = {"verb": verb, "group": group, "resource": plural, "namespace": namespace or "", "name": name}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": asked},
        }
        self.wait_for(
            f"{user} may not {verb} {kind} {name}",
            lambda: self._send("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", json=review),
            lambda found: bool(found["status"]["allowed"]),
        )

    def secret_data(self, namespace: str, name: str) -> dict[str, bytes]:
        """Return a Secret's decoded data; empty if there is no such Secret."""
        found = self.get("Secret", namespace, name) or {}
        return {entry: base64.b64decode(content) for entry, content in (found.get("data") or {}).items()}

    def events(self, namespace: str, name: str) -> list[Object]:
        """Return the Events about an object of ours, oldest first."""
        found = [event for event in self.find_all("Event", namespace) if event["involvedObject"]["name"] == name]
        return sorted(found, key=lambda event: str(event.get("eventTime") or event.get("firstTimestamp")))

    def _path(self, kind: str, namespace: str | None, name: str) -> str:
        root, plural = PLURALS[kind]
        middle = "" if kind in CLUSTER_SCOPED or namespace is None else f"/namespaces/{namespace}"
        return f"/{root}{middle}/{plural}" + (f"/{name}" if name else "")

    def _send(self, method: str, path: str, **options: Any) -> Object:
        answer = self._http.request(method, path, **options)
        answer.raise_for_status()
        sent: Object = answer.json()
        return sent


def _kind_of(manifest: Mapping[str, Any]) -> str:
    kind, group = str(manifest["kind"]), str(manifest.get("apiVersion", "")).partition("/")[0]
    return f"{kind}.{group}" if f"{kind}.{group}" in PLURALS else kind


def conditions(found: Mapping[str, Any]) -> dict[str, Object]:
    """Return an object's conditions by type."""
    return {condition["type"]: condition for condition in found.get("status", {}).get("conditions", ())}


def refusal(error: httpx.HTTPStatusError) -> str:
    """Return the API server's message."""
    return str(error.response.json().get("message", ""))


def _brief(found: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in found.get("metadata", {}).items() if key != "managedFields"}
    return {"metadata": metadata, "status": found.get("status")}
