"""The API server as the commands see it: objects in a dict, and what it was asked."""

from __future__ import annotations

import copy
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from certwright.cli.cluster.connection import Session, telling
from certwright.kube.errors import AnswerTooLarge, Conflict, Forbidden, Invalid, NotFound, Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from certwright.kube.errors import KubeError

    from .objects import Body

_PATH = re.compile(r"/apis?/[^/]+(?:/v1)?(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?")


class FakeServer:
    """Answers requests.

    Attributes:
        objects: By plural, namespace and name.
        denied: Verbs and plurals that are forbidden: `list events`.
        unknown: Plurals of kinds that are not installed.
        rights: What reviews allow, by `verb resource`; None for everything.
        user: Who asks.
        most: Objects in one answer; more are refused as too large.
        on_change: Called with each object that was changed.
        before_patch: Called with each object that is about to be changed.
        failing: How every request fails; None if it does not.
        fails_after: A request after which no other one is answered.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Body] = {}
        self.denied: set[str] = set()
        self.unknown: set[str] = set()
        self.rights: Callable[[Mapping[str, Any]], bool] = lambda _: True
        self.user: str | None = "alice"
        self.most = 10**6
        self.conflicts = 0
        self.asked: list[str] = []
        self.on_change: Callable[[Body], None] = lambda _: None
        self.before_patch: Callable[[Body], None] = lambda _: None
        self.failing: KubeError | None = None
        self.fails_after: str | None = None

    def add(self, plural: str, *bodies: Body) -> None:
        for body in bodies:
            metadata = body["metadata"]
            self.objects[plural, metadata.get("namespace", ""), metadata["name"]] = body

    def certificate(self, name: str, namespace: str = "shop") -> Body:
        return self.objects["certificates", namespace, name]

    async def request(
        self,
        method: str,
        path: str,
        *,
        action: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "",
    ) -> Body:
        self.asked.append(f"{method} {path}")
        if self.failing is not None:
            raise self.failing
        try:
            return self._answer(method, path, action=action, query=query or {}, body=body, content_type=content_type)
        finally:
            if self.asked[-1] == self.fails_after:
                self.failing = Unreachable(action, message="connection refused")

    def _answer(
        self, method: str, path: str, *, action: str, query: Mapping[str, str], body: Any, content_type: str
    ) -> Body:
        if path == "/version":
            return {"gitVersion": "v1.37.2"}
        if path.endswith("reviews"):
            return self._review(path, action, body)
        match = _PATH.fullmatch(path)
        if match is None or match["plural"] in self.unknown:
            raise NotFound(action, status=404)
        plural, namespace, name = match["plural"], match["namespace"] or "", match["name"]
        verb = {"GET": "get" if name else "list", "PATCH": "patch", "POST": "create"}[method]
        if f"{verb} {plural}" in self.denied:
            raise Forbidden(action, status=403, reason="Forbidden", message=f"{plural} is forbidden")
        if method == "POST":
            assert query == {"dryRun": "All"}
            return {"metadata": {"creationTimestamp": self.now()}}
        if name is None:
            return self._list(plural, namespace, action, query)
        if (plural, namespace, name) not in self.objects:
            raise NotFound(action, status=404, reason="NotFound", message=f'{plural} "{name}" not found')
        if method == "PATCH":
            stored = self.objects[plural, namespace, name]
            self.before_patch(stored)
            if content_type == "application/json-patch+json":
                return self._patch_exactly(stored, action, body)
            assert content_type == "application/merge-patch+json"
            return self._patch(stored, action, body)
        return copy.deepcopy(self.objects[plural, namespace, name])

    def now(self) -> str:
        import datetime as dt  # noqa: PLC0415 - the real clock, as the command compares it with its own

        return dt.datetime.now(dt.UTC).isoformat()

    def _list(self, plural: str, namespace: str, action: str, query: Mapping[str, str]) -> Body:
        found = [
            copy.deepcopy(one)
            for (kind, place, _), one in sorted(self.objects.items(), key=lambda item: item[0])
            if kind == plural and namespace in {"", place}
        ]
        key, _, value = query.get("labelSelector", "").partition("=")
        if value:
            found = [one for one in found if (one["metadata"].get("labels") or {}).get(key) == value]
        start, limit = int(query.get("continue", "0")), int(query["limit"])
        if limit > self.most:
            raise AnswerTooLarge(action, status=200, message="too large")
        rest = {"continue": str(start + limit)} if start + limit < len(found) else {}
        return {"items": found[start : start + limit], "metadata": rest}

    def _patch(self, stored: Body, action: str, change: Body) -> Body:
        wanted = change.get("metadata", {}).get("resourceVersion")
        if self.conflicts or (wanted is not None and wanted != stored["metadata"]["resourceVersion"]):
            self.conflicts = max(0, self.conflicts - 1)
            raise Conflict(action, status=409, reason="Conflict", message="it has changed")
        merged = _merge(stored, {key: value for key, value in change.items() if key != "metadata"})
        stored.clear()
        stored.update(merged)
        stored["metadata"]["resourceVersion"] = str(int(stored["metadata"]["resourceVersion"]) + 1)
        self.on_change(stored)
        return copy.deepcopy(stored)

    def _patch_exactly(self, stored: Body, action: str, operations: list[Body]) -> Body:
        """RFC 6902, as far as the commands use it: the API server answers a test that fails with 422."""
        changed = copy.deepcopy(stored)
        for one in operations:
            *way, last = one["path"].removeprefix("/").split("/")
            place = changed
            for step in way:
                place = place.get(step) or {}
            if last not in place or (one["op"] == "test" and place[last] != one["value"]):
                raise Invalid(action, status=422, reason="Invalid", message=f"testing {one['path']} failed")
            if one["op"] == "remove":
                del place[last]
        changed["metadata"]["resourceVersion"] = str(int(stored["metadata"]["resourceVersion"]) + 1)
        stored.clear()
        stored.update(changed)
        self.on_change(stored)
        return copy.deepcopy(stored)

    def _review(self, path: str, action: str, body: Body) -> Body:
        kind = body["kind"]
        if f"create {kind}" in self.denied:
            raise Forbidden(action, status=403, reason="Forbidden", message="no")
        if kind == "SelfSubjectReview":
            if self.user is None:
                raise NotFound(action, status=404)
            return {"status": {"userInfo": {"username": self.user}}}
        assert path == f"/apis/authorization.k8s.io/v1/{kind.lower()}s"
        return {"status": {"allowed": self.rights(body["spec"]["resourceAttributes"])}}


def sessions(server: FakeServer) -> Any:
    """What stands in for `session`: it ends in the same errors."""

    @asynccontextmanager
    async def session(target: Any) -> AsyncIterator[Session]:
        with telling():
            yield Session(server, target.namespace or "shop", "https://api.example.test")  # type: ignore[arg-type]  # a stand-in

    return session


def _merge(into: Any, change: Any) -> Any:
    if not isinstance(change, dict):
        return change
    merged = dict(into) if isinstance(into, dict) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged
