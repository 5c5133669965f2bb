"""The API server as the operator sees it, without requests."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from certwright.kube.errors import NotFound, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.fakes.operator import Body, FakeKubeApi


class FakeCluster:
    """The API server: one Certificate, and Secrets; `failing` names the verbs that do not get through."""

    def __init__(self, secrets: FakeKubeApi) -> None:
        self.secrets = secrets
        self.body: Body = {}
        self.failing: set[str] = set()
        self.strips_metadata = False
        self.gone = False
        self.successor: Body | None = None
        self.version: int | None = None

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.secrets, verb)

    def take(self, body: Body) -> None:
        version = int(self.body.get("metadata", {}).get("resourceVersion", 0)) + 1
        self.body = {**body, "metadata": {**body["metadata"], "resourceVersion": str(version)}}

    async def apply_secret(self, secret: Mapping[str, Any], *, force: bool) -> Body:
        changed = copy.deepcopy(dict(secret))
        if self.strips_metadata:
            changed["metadata"] |= {"labels": {}, "annotations": {}}
        return await self.secrets.apply_secret(changed, force=force)

    async def delete_secret(self, namespace: str, name: str) -> None:
        self.refuse("delete_secret")
        await self.secrets.delete_secret(namespace, name)

    async def read_custom(self, _plural: str, _namespace: str, _name: str) -> Body | None:
        self.refuse("read_custom")
        return self.successor if self.gone else self.body

    async def collection_version(self, _plural: str, _namespace: str) -> int:
        self.refuse("collection_version")
        return int(self.body["metadata"]["resourceVersion"]) if self.version is None else self.version

    async def apply_status(self, _plural: str, _kind: str, _metadata: Any, status: Mapping[str, Any]) -> Body:
        self.refuse("apply_status")
        if self.gone:
            raise NotFound("write the status", status=404)
        self.take({**self.body, "status": dict(status)})
        return self.body

    async def add_finalizer(self, _plural: str, _kind: str, _metadata: Any, finalizer: str) -> Body:
        self.refuse("add_finalizer")
        self.set_finalizers([*self.finalizers, finalizer])
        return self.body

    async def remove_finalizer(
        self, _plural: str, _kind: str, _metadata: Any, finalizer: str, *, known: Sequence[str]
    ) -> Body | None:
        self.refuse("remove_finalizer")
        assert finalizer in known
        if self.gone:
            return None
        self.set_finalizers([one for one in self.finalizers if one != finalizer])
        return self.body

    async def take_out(self, _plural: str, _metadata: Any, field: str, *, if_equal: tuple[str, str]) -> Body:
        self.refuse("take_out")
        spec = dict(self.body["spec"])
        assert (field, if_equal[0]) == ("/spec/request", "/spec/request/id")
        if (spec.get("request") or {}).get("id") == if_equal[1]:
            del spec["request"]
            generation = self.body["metadata"]["generation"] + 1
            self.take({**self.body, "spec": spec, "metadata": {**self.body["metadata"], "generation": generation}})
        return self.body

    @property
    def finalizers(self) -> list[str]:
        return list(self.body["metadata"].get("finalizers", ()))

    def set_finalizers(self, finalizers: list[str]) -> None:
        self.take({**self.body, "metadata": {**self.body["metadata"], "finalizers": finalizers}})

    def refuse(self, verb: str) -> None:
        if verb in self.failing:
            raise Unreachable(verb)
