"""An API server in memory, with what the operator uses of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from certwright.kube.errors import Conflict, NotFound, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.simulation.world import World

Body = dict[str, Any]


class Cluster:
    """What is stored, and who is told of a Secret that was written.

    Args:
        world: Clock and chance.

    Attributes:
        objects: By plural, namespace and name.
        failing: How often a request gets no answer, whether or not it was carried out.
        down: Whether none does.
        on_secret: Called with each Secret that is written.
        on_lost: Called with the plural and the object of a write whose answer was lost: the watch brings it.
        last: What was written last.
        written_at: When anything was written, by the loop's clock.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.objects: dict[tuple[str, str, str], Body] = {}
        self.failing = 0.0
        self.down = False
        self.on_secret: Callable[[Body], None] = lambda _body: None
        self.on_lost: Callable[[str, Body], None] = lambda _plural, _body: None
        self.last: tuple[str, Body] | None = None
        self.written_at: list[float] = []
        self._version = 100

    def put(self, plural: str, body: Mapping[str, Any]) -> Body:
        """Store an object as a new version of it."""
        self._version += 1
        metadata = {"uid": f"uid-{self._version}", **body["metadata"], "resourceVersion": str(self._version)}
        stored = {**body, "metadata": metadata}
        self.objects[plural, metadata.get("namespace") or "", metadata["name"]] = stored
        self.written_at.append(self.world.loop.time())
        self.last = plural, stored
        return stored

    def client(self, process: int) -> KubeApiOf:
        """Return the client of a process of the operator."""
        return KubeApiOf(self, process)


class KubeApiOf:
    """`KubeApi` for a process of the operator: without HTTP, and without effect once it is dead."""

    def __init__(self, cluster: Cluster, process: int) -> None:
        self._cluster, self._process = cluster, process

    async def read_custom(self, plural: str, namespace: str | None, name: str) -> Body | None:
        async with _Request(self, "read"):
            return self._get(plural, namespace, name)

    async def collection_version(self, _plural: str, _namespace: str) -> int:
        async with _Request(self, "list"):
            return self._cluster._version

    async def read_namespace(self, name: str) -> Body | None:
        async with _Request(self, "read"):
            return {"metadata": {"name": name, "labels": {}}}

    async def read_secret(self, namespace: str, name: str) -> Body | None:
        async with _Request(self, "read a Secret"):
            return self._get("secrets", namespace, name)

    async def create_secret(self, secret: Mapping[str, Any]) -> Body:
        async with _Request(self, "create a Secret"):
            metadata = secret["metadata"]
            if self._get("secrets", metadata["namespace"], metadata["name"]) is not None:
                raise Conflict("create the Secret", status=409, reason="AlreadyExists", message="it is there")
            return self._put_secret(secret)

    async def apply_secret(self, secret: Mapping[str, Any], *, force: bool) -> Body:
        async with _Request(self, "write a Secret"):
            metadata = secret["metadata"]
            known = self._get("secrets", metadata["namespace"], metadata["name"])
            version = None if known is None else known["metadata"]["resourceVersion"]
            if known is not None and (not force or metadata.get("resourceVersion") not in {None, version}):
                raise Conflict("write the Secret", status=409, reason="Conflict", message="it has changed")
            if known is None:
                return self._put_secret(secret)
            kept = {"uid": known["metadata"]["uid"]}
            return self._put_secret({**secret, "metadata": {**metadata, **kept}})

    async def change_secret(self, secret: Mapping[str, Any], change: Mapping[str, Any]) -> Body:
        async with _Request(self, "change a Secret"):
            return self._put_secret({**secret, **change, "metadata": secret["metadata"]})

    async def delete_secret(self, namespace: str, name: str) -> None:
        async with _Request(self, "delete a Secret"):
            self._cluster.objects.pop(("secrets", namespace, name), None)

    async def apply_status(
        self, plural: str, _kind: str, metadata: Mapping[str, Any], status: Mapping[str, Any]
    ) -> Body:
        async with _Request(self, "write a status"):
            known = self._known(plural, metadata)
            return self._cluster.put(plural, {**known, "status": dict(status)})

    async def add_finalizer(self, plural: str, _kind: str, metadata: Mapping[str, Any], finalizer: str) -> Body:
        async with _Request(self, "hold an object"):
            known = self._known(plural, metadata)
            finalizers = sorted({*known["metadata"].get("finalizers", ()), finalizer})
            return self._cluster.put(plural, {**known, "metadata": {**known["metadata"], "finalizers": finalizers}})

    async def remove_finalizer(
        self, plural: str, _kind: str, metadata: Mapping[str, Any], finalizer: str, *, known: Sequence[str]
    ) -> Body | None:
        assert finalizer in known
        async with _Request(self, "let go of an object"):
            body = self._known(plural, metadata)
            left = [one for one in body["metadata"].get("finalizers", ()) if one != finalizer]
            return self._cluster.put(plural, {**body, "metadata": {**body["metadata"], "finalizers": left}})

    async def take_out(
        self, plural: str, metadata: Mapping[str, Any], field: str, *, if_equal: tuple[str, str]
    ) -> Body:
        assert (field, if_equal[0]) == ("/spec/request", "/spec/request/id")
        async with _Request(self, "take a request out"):
            known = self._known(plural, metadata)
            if (known["spec"].get("request") or {}).get("id") != if_equal[1]:
                return known
            spec = {name: value for name, value in known["spec"].items() if name != "request"}
            raised = {**known["metadata"], "generation": known["metadata"]["generation"] + 1}
            return self._cluster.put(plural, {**known, "metadata": raised, "spec": spec})

    async def create_event(self, _namespace: str, event: Mapping[str, Any]) -> None:
        async with _Request(self, "post an Event"):
            self._cluster.world.counts[f"event {event['reason']}"] += 1

    def _get(self, plural: str, namespace: str | None, name: str) -> Body | None:
        return self._cluster.objects.get((plural, namespace or "", name))

    def _known(self, plural: str, metadata: Mapping[str, Any]) -> Body:
        found = self._get(plural, metadata.get("namespace"), metadata["name"])
        if found is None:
            raise NotFound("write", status=404)
        return found

    def _put_secret(self, secret: Mapping[str, Any]) -> Body:
        written = self._cluster.put("secrets", secret)
        self._cluster.on_secret(written)
        return written


class _Request:
    """One request: it may be the last of its process, before or after it was carried out, or get no answer."""

    def __init__(self, api: KubeApiOf, action: str) -> None:
        self._cluster, self._process, self._action = api._cluster, api._process, action

    async def __aenter__(self) -> None:
        cluster = self._cluster
        cluster.world.live_or_die(self._process)
        cluster.world.counts["requests to the API server"] += 1
        await asyncio.sleep(0)
        cluster.world.live_or_die(self._process)
        cluster.last = None
        if cluster.down or cluster.world.chance(cluster.failing / 2):
            raise Unreachable(self._action)

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._cluster.world.live_or_die(self._process)
            if self._cluster.world.chance(self._cluster.failing / 2):
                if self._cluster.last is not None:
                    self._cluster.on_lost(*self._cluster.last)
                raise Unreachable(self._action)
