"""The API server as the mirror sees it, in memory: objects of cert-manager and ours, versions, and what was asked."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from certwright.cert_manager import ControllerFlags
from certwright.cert_manager.spec import mapping
from certwright.certificates.store import Certificates
from certwright.kube.common_metadata import CommonMetadata
from certwright.kube.store import Store
from certwright.mirror.options import Options
from certwright.mirror.reconciler import MirrorReconciler
from certwright.runtime.key import Key
from tests.fakes.operator import NOW

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from certwright.kube.events import Subject
    from certwright.kube.resource import Resource
    from certwright.mirror.objects import Mirrored
    from certwright.resources import Certificate, ClusterIssuer, Issuer, Metadata

Body = dict[str, Any]
WEB = Key("Certificate.cert-manager.io", "team", "web")


@dataclass
class World:
    """The API server as the mirror sees it: theirs and ours, versions, and what was asked."""

    common: CommonMetadata = field(default_factory=CommonMetadata)
    certificates: Certificates = field(default_factory=Certificates)
    issuers: Store[Issuer] = field(default_factory=Store)
    cluster_issuers: Store[ClusterIssuer] = field(default_factory=Store)
    secrets: Store[Any] = field(default_factory=Store)
    bodies: dict[Key, Body] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    applied: list[Body] = field(default_factory=list)
    requests: list[Mapping[str, Any]] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    version: int = 10
    seconds: float = 1000.0
    is_live: bool = False
    failure: Exception | None = None

    def reconciler(
        self, *, annotated: Collection[str] | None = None, flags: ControllerFlags | None = None
    ) -> MirrorReconciler:
        """Return one that knows of these annotated objects; None if annotations do not count."""

        async def is_live(*, creating: bool) -> bool:  # noqa: ARG001 - as it is asked
            return self.is_live

        return MirrorReconciler(
            self,  # type: ignore[arg-type]  # a stand-in
            certificates=self.certificates,
            secrets=self.secrets,
            issuers=self.issuers,
            cluster_issuers=self.cluster_issuers,
            recorder=self,  # type: ignore[arg-type]  # a stand-in
            is_cert_manager_live=is_live,
            options=Options(flags or ControllerFlags()),
            is_annotated=None if annotated is None else lambda _, owner: owner.name in annotated,
            clock=lambda: NOW,
            seconds=lambda: self.seconds,
        )

    def see(self, mirror: MirrorReconciler, resource: Resource, body: Body) -> Key:
        """Have the watch bring an object of theirs."""
        self.version += 1
        metadata = {"uid": f"uid-{body['metadata']['name']}", "generation": 1, **body["metadata"]}
        whole = {**body, "metadata": {**metadata, "resourceVersion": str(self.version)}}
        key = resource.key(metadata)
        self.bodies[key] = whole
        mirror.stores[key.kind].put(whole["metadata"], mirror.parse(resource, whole))
        return key

    def put(self, certificate: Certificate) -> None:
        """Have the watch bring a Certificate of ours."""
        self.version += 1
        metadata = certificate.metadata.replace(resource_version=str(self.version))
        body = certificate.model_copy(update={"metadata": metadata})
        self.certificates.store.put(body.to_json()["metadata"], body)

    def completed(self, manifest: Mapping[str, Any]) -> Body:
        return self.common.added_to(manifest)

    async def apply(self, resource: Resource, manifest: Mapping[str, Any], *, uid: str | None) -> Body:
        self.calls.append(f"apply {resource.title}")
        self.applied.append(copy.deepcopy(dict(manifest)))
        if self.failure is not None:
            raise self.failure
        self.version += 1
        place = Key(resource.kind, manifest["metadata"].get("namespace") or "", manifest["metadata"]["name"])
        known = self.certificates.get(place)
        generation = known.metadata.generation + 1 if known is not None else 1
        metadata = {**manifest["metadata"], "uid": uid or "uid-ours", "generation": generation}
        return {**manifest, "metadata": {**metadata, "resourceVersion": str(self.version)}}

    async def write_status(self, theirs: Mirrored, change: Mapping[str, Any]) -> Body:
        self.calls.append(f"status {theirs.resource.title}")
        key = theirs.resource.key(theirs.identity)
        body = self.bodies[key]
        assert theirs.resource_version == body["metadata"]["resourceVersion"]
        self.version += 1
        status = {name: value for name, value in {**mapping(body.get("status")), **change}.items() if value is not None}
        metadata = {**body["metadata"], "resourceVersion": str(self.version)}
        self.bodies[key] = {**body, "metadata": metadata, "status": status}
        return self.bodies[key]

    async def request(self, metadata: Metadata, request: Mapping[str, Any]) -> None:
        assert metadata.resource_version
        self.calls.append("request")
        if self.failure is not None:
            raise self.failure
        self.requests.append(request)

    def record(self, subject: Subject, kind: str, reason: str, message: str) -> None:
        assert subject.api_version == "cert-manager.io/v1"
        assert message
        assert kind in {"Normal", "Warning"}
        self.events.append((subject.name, reason))

    def condition(self, key: Key, kind: str = "Ready") -> tuple[str, str]:
        found = {one["type"]: (one["status"], one["reason"]) for one in self.bodies[key]["status"]["conditions"]}
        return found.get(kind, ("", ""))


def theirs(name: str = "web", *, metadata: Body | None = None, **spec: Any) -> Body:
    body = {"secretName": "web-tls", "dnsNames": ["a.example.test"], "issuerRef": {"name": "ca"}, **spec}
    return {"metadata": {"name": name, "namespace": "team", **(metadata or {})}, "spec": body}


def their_issuer(spec: Body | None = None, *, namespace: str | None = "team") -> Body:
    solver = {"dns01": {"rfc2136": {"nameserver": "127.0.0.1:53"}}}
    acme = {"server": "https://ca.example/d", "privateKeySecretRef": {"name": "account"}, "solvers": [solver]}
    return {"metadata": {"name": "ca", "namespace": namespace}, "spec": spec or {"acme": acme}}
