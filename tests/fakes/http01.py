"""A cluster of a few dicts, and files to be served."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from certwright.challenges.response import FileResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Body = dict[str, Any]


class FakeObjects:
    """An API server that holds objects by kind and name, and writes down what it was asked."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], Body] = {}
        self.calls: list[str] = []
        self.conflicts = 0
        self.missing: set[str] = set()
        self.policies: list[Body] = []
        self.broken: Exception | None = None

    def put(self, kind: str, name: str, **fields: Any) -> Body:
        metadata = {"name": name, "namespace": "shop", "resourceVersion": "1", **fields.pop("metadata", {})}
        self.held[kind, name] = {"kind": kind, "metadata": metadata, **fields}
        return self.held[kind, name]

    async def apply(self, manifest: Mapping[str, Any]) -> Body:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        self.calls.append(f"apply {kind}")
        if self.broken is not None:
            raise self.broken
        before = self.held.get((kind, name), {"metadata": {}})["metadata"].get("uid") or f"uid-{len(self.calls)}"
        self.held[kind, name] = deepcopy(dict(manifest))
        self.held[kind, name]["metadata"]["uid"] = before
        return self.held[kind, name]

    async def create(self, manifest: Mapping[str, Any]) -> None:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        self.calls.append(f"create {kind}")
        if self.broken is not None:
            raise self.broken
        self.held.setdefault((kind, name), deepcopy(dict(manifest)))

    async def read(self, kind: str, _namespace: str | None, name: str) -> Body | None:
        self.calls.append(f"read {kind}")
        found = deepcopy(self.held.get((kind, name)))
        await asyncio.sleep(0)  # others go on meanwhile
        return found

    async def inspect(self, kind: str, _namespace: str | None, name: str) -> Body | None:
        self.calls.append(f"look for {kind}")
        return None if name in self.missing else self.held.get((kind, name), {})

    async def replace_rules(self, ingress: Mapping[str, Any], rules: list[Body]) -> Body | None:
        self.calls.append("edit Ingress")
        held = self.held["Ingress", ingress["metadata"]["name"]]
        version = held["metadata"]["resourceVersion"]
        if self.conflicts or ingress["metadata"]["resourceVersion"] != version:
            self.conflicts = max(0, self.conflicts - 1)
            return None
        assert rules or "defaultBackend" in held["spec"], "the API server takes no Ingress without either"
        held["spec"]["rules"] = deepcopy(rules)
        held["metadata"]["resourceVersion"] = f"{int(version) + 1}"
        held["metadata"]["managedFields"] = [{"manager": "certwright"}]
        return deepcopy(held)

    async def disown(self, ingress: Mapping[str, Any]) -> bool:
        self.calls.append("disown Ingress")
        held = self.held["Ingress", ingress["metadata"]["name"]]
        if self.conflicts or ingress["metadata"]["resourceVersion"] != held["metadata"]["resourceVersion"]:
            self.conflicts = max(0, self.conflicts - 1)
            return False
        held["metadata"].pop("managedFields", None)
        return True

    async def delete(self, kind: str, _namespace: str, name: str) -> None:
        self.calls.append(f"delete {kind}")
        self.held.pop((kind, name), None)

    async def delete_all(
        self, kind: str, _namespace: str, labels: Mapping[str, str], *, unless: Mapping[str, Iterable[str]] = {}
    ) -> None:
        self.calls.append(f"delete each {kind}")
        for key, body in list(self.held.items()):
            has = body["metadata"].get("labels", {})
            spared = any(has.get(label) in set(values) for label, values in unless.items())
            if key[0] == kind and labels.items() <= has.items() and not spared:
                del self.held[key]

    async def network_policies(self, _namespace: str) -> list[Body]:
        self.calls.append("list NetworkPolicy")
        return self.policies


def file(host: str = "a.example.test", token: str = "abc") -> FileResponse:  # noqa: S107 - a challenge's token is no secret
    return FileResponse(host, token, f"{token}.thumbprint")
