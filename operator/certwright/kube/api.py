"""The operator's reads and writes of Secrets and its own resources, outside of the watches.

Everything that the operator owns is written with server-side apply, so a write needs no read before it and can be
repeated. Each write includes the object's UID, if known: if the object was deleted and recreated in the meantime, the
API server refuses the write instead of changing the wrong object.

Server-side apply removes a field only if no other field manager also wrote it, as a restored backup or a `kubectl
apply` of the existing object does. So fields that must go are removed with explicit patches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.kube.client import APPLY, JSON_PATCH, MERGE
from certwright.kube.common_metadata import CommonMetadata
from certwright.kube.errors import Conflict, Invalid, NotFound
from certwright.kube.paths import object_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certwright.kube.client import KubeClient

FIELD_MANAGER: Final = "certwright"
CONFLICT_MANAGER: Final = "certwright-conflict"
"""Of the condition that a release writes which leaves an object to another: the rest of its status is the other's."""
FINALIZER_MANAGER: Final = "certwright-finalizer"
"""A manager of its own, so that applying finalizers never touches what other writes own."""
MAX_TRIES: Final = 5
"""How often a change to what others write too is tried, each time on the object as it is then."""


class KubeApi:
    """Typed verbs over the objects the operator reads and writes; the objects themselves are plain dicts.

    Every method raises `certwright.kube.errors.KubeError` subclasses.

    Args:
        client: Sends the requests.
        group: API group of the custom resources.
        version: Their version.
        common: Labels and annotations for every Secret and Event.
    """

    def __init__(self, client: KubeClient, *, group: str, version: str, common: CommonMetadata | None = None) -> None:
        self._client = client
        self._common = common or CommonMetadata()
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
        path = self._custom_path(plural, namespace)
        found = await self._client.request("GET", path, action=f"list {plural} in {namespace}", query={"limit": "1"})
        return int(found["metadata"]["resourceVersion"])

    async def read_namespace(self, name: str) -> dict[str, Any] | None:
        """Return a namespace, or None if there is none of that name."""
        try:
            return await self._client.request(
                "GET", object_path("/api/v1", "namespaces", None, name), action=f"read {label('Namespace', None, name)}"
            )
        except NotFound:
            return None

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
            body=self._common.added_to(secret),
            content_type=APPLY,
        )

    async def change_secret(self, secret: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge a change into a Secret as it was read, and return it; `Conflict` if others have changed it since."""
        metadata = secret["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        as_read = {key: metadata[key] for key in ("uid", "resourceVersion")}
        return await self._client.request(
            "PATCH",
            _secret_path(namespace, name),
            action=f"change {label('Secret', namespace, name)}",
            query={"fieldManager": FIELD_MANAGER},
            body={**change, "metadata": {**change.get("metadata", {}), **as_read}},
            content_type=MERGE,
        )

    async def patch_secret(self, namespace: str, name: str, change: Mapping[str, Any]) -> None:
        """Merge a change into a Secret, whatever it holds otherwise. Raises `NotFound` without one."""
        await self._client.request(
            "PATCH",
            _secret_path(namespace, name),
            action=f"change {label('Secret', namespace, name)}",
            query={"fieldManager": FIELD_MANAGER},
            body=change,
            content_type=MERGE,
        )

    async def create_secret(self, secret: Mapping[str, Any]) -> dict[str, Any]:
        """Create a Secret and return it; `Conflict` if one of that name exists."""
        namespace, name = secret["metadata"]["namespace"], secret["metadata"]["name"]
        return await self._client.request(
            "POST",
            object_path("/api/v1", "secrets", namespace),
            action=f"create {label('Secret', namespace, name)}",
            query={"fieldManager": FIELD_MANAGER},
            body=self._common.added_to(secret),
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

    async def create_service_account_token(
        self, namespace: str, name: str, audiences: Sequence[str], seconds: int
    ) -> str:
        """Request a token for a ServiceAccount (TokenRequest); nothing is stored.

        Args:
            namespace: Of the ServiceAccount.
            name: Of the ServiceAccount.
            audiences: Whom it is for.
            seconds: For how long it is valid; the API server grants at least 600.

        Raises:
            NotFound: There is no such ServiceAccount.
            Forbidden: The right to create its tokens is missing.
            KubeError: It cannot be requested.
        """
        answer = await self._client.request(
            "POST",
            f"{object_path('/api/v1', 'serviceaccounts', namespace, name)}/token",
            action=f"request a token for the ServiceAccount {namespace}/{name}",
            body={
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"audiences": list(audiences), "expirationSeconds": seconds},
            },
        )
        token = (answer.get("status") or {}).get("token")
        return token if isinstance(token, str) else ""

    async def apply_conflict(
        self, plural: str, kind: str, metadata: Mapping[str, Any], condition: Mapping[str, Any] | None
    ) -> None:
        """Write the one condition that says that another release serves an object, or remove it; nothing else changes.

        Args:
            plural: Resource name, for example ``certificates``.
            kind: For example ``Certificate``.
            metadata: The object's own metadata.
            condition: The condition; None to remove it.
        """
        namespace, name = metadata.get("namespace"), metadata["name"]
        await self._client.request(
            "PATCH",
            self._custom_path(plural, namespace, name) + "/status",
            action=f"write a condition of {label(kind, namespace, name)}",
            query={"fieldManager": CONFLICT_MANAGER, "force": "true"},
            body={
                "apiVersion": self._api_version,
                "kind": kind,
                "metadata": _identity(metadata),
                # An empty list, as a status that nobody owns anything of would be null, which the CRD refuses.
                "status": {"conditions": [] if condition is None else [condition]},
            },
            content_type=APPLY,
        )

    async def apply_status(
        self, plural: str, kind: str, metadata: Mapping[str, Any], status: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Replace the whole status of a custom resource, and return the resource.

        Args:
            plural: Resource name, for example ``certificates``.
            kind: For example ``Certificate``.
            metadata: The object's own metadata; its name, namespace and UID say which object is meant.
            status: The complete status: what is left out is removed, whoever wrote it, but for entries of lists.
        """
        namespace, name = metadata.get("namespace"), metadata["name"]
        path = self._custom_path(plural, namespace, name) + "/status"
        action = f"write the status of {label(kind, namespace, name)}"
        written = await self._client.request(
            "PATCH",
            path,
            action=action,
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
            body={
                "apiVersion": self._api_version,
                "kind": kind,
                "metadata": _identity(metadata),
                "status": status,
            },
            content_type=APPLY,
        )
        surplus = _surplus(written.get("status") or {}, status)
        if not surplus:
            return written
        as_written = {key: written["metadata"][key] for key in ("uid", "resourceVersion")}
        return await self._client.request(
            "PATCH",
            path,
            action=action,
            query={"fieldManager": FIELD_MANAGER},
            body={"metadata": as_written, "status": surplus},
            content_type=MERGE,
        )

    async def add_finalizer(
        self, plural: str, kind: str, metadata: Mapping[str, Any], finalizer: str
    ) -> dict[str, Any]:
        """Hold an object by a finalizer, and return the object."""
        namespace, name = metadata.get("namespace"), metadata["name"]
        return await self._client.request(
            "PATCH",
            self._custom_path(plural, namespace, name),
            action=f"hold {label(kind, namespace, name)}",
            query={"fieldManager": FINALIZER_MANAGER, "force": "true"},
            body={
                "apiVersion": self._api_version,
                "kind": kind,
                "metadata": {**_identity(metadata), "finalizers": [finalizer]},
            },
            content_type=APPLY,
        )

    async def remove_finalizer(
        self, plural: str, kind: str, metadata: Mapping[str, Any], finalizer: str, *, known: Sequence[str]
    ) -> dict[str, Any] | None:
        """Let an object go, whoever else set the finalizer; return the object, or None if it is gone.

        Args:
            plural: Resource name, for example ``certificates``.
            kind: For example ``Certificate``.
            metadata: The object's own metadata; its name, namespace and UID say which object is meant.
            finalizer: What to take off.
            known: The finalizers as last seen.

        Raises:
            Conflict: Others change the finalizers all the time.
        """
        namespace, name, uid = metadata.get("namespace"), metadata["name"], metadata["uid"]
        action = f"release {label(kind, namespace, name)}"
        for _ in range(MAX_TRIES):
            try:
                return await self._client.request(
                    "PATCH",
                    self._custom_path(plural, namespace, name),
                    action=action,
                    query={"fieldManager": FINALIZER_MANAGER},
                    body=_without_entry("/metadata/finalizers", known, finalizer, uid),
                    content_type=JSON_PATCH,
                )
            except NotFound:
                return None
            except (Invalid, Conflict):
                # The place in the list is another by now, or the object: an operation `test` failed.
                found = await self.read_custom(plural, namespace, name)
            if found is None or found["metadata"]["uid"] != uid:
                return None
            known = found["metadata"].get("finalizers") or ()
            if finalizer not in known:
                return found
        raise Conflict(action, message="other clients changed its finalizers during each attempt")

    async def take_out(
        self, plural: str, metadata: Mapping[str, Any], field: str, *, if_equal: tuple[str, str]
    ) -> dict[str, Any]:
        """Remove a field that others wrote, unless it is another one by now; return the object as it is then.

        Args:
            plural: Resource name, for example ``certificates``.
            metadata: The object's own metadata; its name, namespace and UID say which object is meant.
            field: JSON pointer of the field.
            if_equal: JSON pointer of what tells the field from another one, and its value.

        Raises:
            NotFound: The object is gone.
        """
        namespace, name, uid = metadata.get("namespace"), metadata["name"], metadata["uid"]
        action = f"remove {field} of {label(plural, namespace, name)}"
        try:
            return await self._client.request(
                "PATCH",
                self._custom_path(plural, namespace, name),
                action=action,
                query={"fieldManager": FIELD_MANAGER},
                body=[
                    {"op": "test", "path": "/metadata/uid", "value": uid},
                    {"op": "test", "path": if_equal[0], "value": if_equal[1]},
                    {"op": "remove", "path": field},
                ],
                content_type=JSON_PATCH,
            )
        except (Invalid, Conflict):
            found = await self.read_custom(plural, namespace, name)
            if found is not None and _at(found, if_equal[0]) == if_equal[1] and found["metadata"]["uid"] == uid:
                raise
        if found is None or found["metadata"]["uid"] != uid:
            raise NotFound(action, status=404)
        return found

    async def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        """Post a core/v1 Event. Not repeated unless it was not looked at: a lost event is better than a doubled one."""
        await self._client.request(
            "POST",
            object_path("/api/v1", "events", namespace),
            action=f"post an Event in {namespace}",
            body=self._common.added_to(event),
            idempotent=False,
        )

    def _custom_path(self, plural: str, namespace: str | None, name: str | None = None) -> str:
        return object_path(f"/apis/{self._api_version}", plural, namespace or None, name)


def _secret_path(namespace: str, name: str) -> str:
    return object_path("/api/v1", "secrets", namespace, name)


def _at(body: Mapping[str, Any], pointer: str) -> Any:
    """Return what is at a JSON pointer (RFC 6901) through objects, or None."""
    found: Any = body
    for part in pointer.strip("/").split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _surplus(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return a merge patch that removes what is not wanted; lists (of conditions) may have entries of others."""
    surplus: dict[str, Any] = {}
    for key, value in found.items():
        if key not in wanted:
            surplus[key] = None
        elif isinstance(value, dict) and isinstance(wanted[key], dict) and (inner := _surplus(value, wanted[key])):
            surplus[key] = inner
    return surplus


def _without_entry(path: str, entries: Sequence[str], entry: str, uid: str) -> list[dict[str, Any]]:
    """Return the JSON patch (RFC 6902) that takes an entry out of a list, if it is still where it was seen."""
    place = f"{path}/{entries.index(entry)}"
    return [
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "test", "path": place, "value": entry},
        {"op": "remove", "path": place},
    ]


def _identity(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {key: metadata[key] for key in ("name", "namespace", "uid") if metadata.get(key)}


def label(kind: str, namespace: str | None, name: str) -> str:
    """An object for messages: `Secret shop/web-tls`."""
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
