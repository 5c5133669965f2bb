"""What of cert-manager there is, in a cluster or in files."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager import ControllerFlags, api
from certwright.cert_manager.controller_flags import CONTAINER
from certwright.cert_manager.spec import mapping
from certwright.migration.cluster import (
    DEPLOYMENTS,
    THEIR_CERTIFICATES,
    THEIR_CHALLENGES,
    THEIR_CLUSTER_ISSUERS,
    THEIR_ISSUERS,
    THEIR_ORDERS,
    THEIR_REQUESTS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from certwright.migration.cluster import Cluster

FINAL_STATES: Final = frozenset({"valid", "invalid", "expired", "errored"})
"""Of its Orders: nothing more is asked of the CA."""
DEPLOYMENT_LABELS: Final = {"app.kubernetes.io/component": "controller", "app.kubernetes.io/name": "cert-manager"}


@dataclass(frozen=True)
class Inventory:
    """The objects of cert-manager.

    Attributes:
        issuers: Its Issuers and ClusterIssuers.
        certificates: Its Certificates.
        requests: Its CertificateRequests.
        orders: Its Orders.
        challenges: Its Challenges.
        controller: The Deployment of its controller; None if there is none.
        flags: Of its controller.
    """

    issuers: list[dict[str, Any]] = field(default_factory=list)
    certificates: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)
    challenges: list[dict[str, Any]] = field(default_factory=list)
    controller: dict[str, Any] | None = None
    flags: ControllerFlags = field(default_factory=ControllerFlags)

    def issuer_of(self, certificate: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the issuer that a Certificate refers to, or None if it is not there."""
        reference = mapping(mapping(certificate.get("spec")).get("issuerRef"))
        kind, name = reference.get("kind") or "Issuer", reference.get("name")
        namespace = mapping(certificate.get("metadata")).get("namespace")
        for one in self.issuers:
            metadata = mapping(one.get("metadata"))
            same_place = kind == "ClusterIssuer" or metadata.get("namespace") == namespace
            if one.get("kind") == kind and metadata.get("name") == name and same_place:
                return one
        return None

    def in_flight(self, certificate: Mapping[str, Any]) -> str:
        """Return what of a Certificate is being issued at present, in words; empty if nothing is."""
        metadata = mapping(certificate.get("metadata"))
        if _condition(certificate, "Issuing") == "True":
            return "is being issued"
        requests = {
            mapping(one.get("metadata")).get("uid") for one in self.requests if _belongs(one, metadata.get("uid"))
        }
        for one in self.orders:
            if any(_belongs(one, uid) for uid in requests) and _state(one) not in FINAL_STATES - {"ready"}:
                return f"has an order in the state {_state(one) or 'new'}"
        return ""


def of_manifests(manifests: Iterable[Mapping[str, Any]]) -> Inventory:
    """Return what of cert-manager is among objects that were read from files; lists are opened."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    controller = None
    waiting = list(manifests)
    while waiting:
        one = mapping(waiting.pop(0))
        if str(one.get("kind") or "").endswith("List") and isinstance(one.get("items"), list):
            waiting[:0] = one["items"]
        elif str(one.get("apiVersion") or "").partition("/")[0] in {api.GROUP, api.ACME_GROUP}:
            found[str(one.get("kind"))].append(dict(one))
        elif one.get("kind") == "Deployment" and is_controller(one):
            controller = dict(one)
    return Inventory(
        issuers=found["Issuer"] + found["ClusterIssuer"],
        certificates=found["Certificate"],
        requests=found["CertificateRequest"],
        orders=found["Order"],
        challenges=found["Challenge"],
        controller=controller,
        flags=ControllerFlags.of_deployment(controller) if controller is not None else ControllerFlags(),
    )


async def read_inventory(cluster: Cluster) -> Inventory:
    """Return what of cert-manager is in a cluster. Raises `KubeError`."""
    deployments = [one for one in await cluster.list(DEPLOYMENTS) if is_controller(one)]
    controller = deployments[0] if deployments else None
    return Inventory(
        issuers=await cluster.list(THEIR_ISSUERS) + await cluster.list(THEIR_CLUSTER_ISSUERS),
        certificates=await cluster.list(THEIR_CERTIFICATES),
        requests=await cluster.list(THEIR_REQUESTS),
        orders=await cluster.list(THEIR_ORDERS),
        challenges=await cluster.list(THEIR_CHALLENGES),
        controller=controller,
        flags=ControllerFlags.of_deployment(controller) if controller is not None else ControllerFlags(),
    )


def is_controller(deployment: Mapping[str, Any]) -> bool:
    """Whether a Deployment is that of cert-manager's controller, by its labels or its container."""
    labels = mapping(mapping(deployment.get("metadata")).get("labels"))
    pod = mapping(mapping(mapping(deployment.get("spec")).get("template")).get("spec"))
    named = any(mapping(one).get("name") == CONTAINER for one in pod.get("containers") or ())
    return named or DEPLOYMENT_LABELS.items() <= labels.items()


def is_ready(body: Mapping[str, Any]) -> bool:
    """Whether an object says that it is ready."""
    return _condition(body, "Ready") == "True"


def _condition(body: Mapping[str, Any], kind: str) -> str:
    conditions = mapping(body.get("status")).get("conditions") or ()
    return next((str(one.get("status")) for one in conditions if isinstance(one, dict) and one.get("type") == kind), "")


def _belongs(body: Mapping[str, Any], uid: Any) -> bool:
    owners = mapping(body.get("metadata")).get("ownerReferences") or ()
    return uid is not None and any(mapping(one).get("uid") == uid for one in owners)


def _state(body: Mapping[str, Any]) -> str:
    return str(mapping(body.get("status")).get("state") or "")
