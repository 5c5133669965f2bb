"""Lists the objects of cert-manager, in a cluster or in files."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager import ControllerFlags, api
from certwright.cert_manager.controller_flags import CONTAINER, containers_of
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
from certwright.migration.progress import named, title

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
        return self._issuers.get(issuer_title(certificate))

    def in_flight(self, certificate: Mapping[str, Any]) -> str:
        """Return what of a Certificate is being issued at present, in words; empty if nothing is."""
        if condition(certificate, "Issuing").get("status") == "True":
            return "is being issued"
        state = self._open_orders.get(mapping(certificate.get("metadata")).get("uid"))
        return f"has an order in the state {state}" if state is not None else ""

    @cached_property
    def _issuers(self) -> dict[str, dict[str, Any]]:
        return {title(one): one for one in reversed(self.issuers)}

    @cached_property
    def _open_orders(self) -> dict[Any, str]:
        """The state of an order that is not final, by the UID of its Certificate: between the two is a request."""
        of_request = {mapping(one.get("metadata")).get("uid"): owner for one in self.requests for owner in _owners(one)}
        found: dict[Any, str] = {}
        for one in self.orders:
            state = str(mapping(one.get("status")).get("state") or "new")
            if state not in FINAL_STATES:
                found |= {of_request[owner]: state for owner in _owners(one) if owner in of_request}
        return found


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
    known = Inventory(
        issuers=await cluster.list(THEIR_ISSUERS) + await cluster.list(THEIR_CLUSTER_ISSUERS),
        challenges=await cluster.list(THEIR_CHALLENGES),
        controller=controller,
        flags=ControllerFlags.of_deployment(controller) if controller is not None else ControllerFlags(),
    )
    return await with_issuances(cluster, known)


async def with_issuances(cluster: Cluster, inventory: Inventory) -> Inventory:
    """Return an inventory with its Certificates, and what is being issued, as they are now. Raises `KubeError`."""
    return replace(
        inventory,
        certificates=await cluster.list(THEIR_CERTIFICATES),
        requests=await cluster.list(THEIR_REQUESTS),
        orders=await cluster.list(THEIR_ORDERS),
    )


def issuer_title(certificate: Mapping[str, Any]) -> str:
    """Return the issuer that a Certificate refers to, as `title` names it."""
    reference = mapping(mapping(certificate.get("spec")).get("issuerRef"))
    kind = reference.get("kind") or "Issuer"
    namespace = None if kind == "ClusterIssuer" else mapping(certificate.get("metadata")).get("namespace")
    return named(kind, namespace, reference.get("name"))


def is_controller(deployment: Mapping[str, Any]) -> bool:
    """Whether a Deployment is that of cert-manager's controller, by its labels or its container."""
    labels = mapping(mapping(deployment.get("metadata")).get("labels"))
    has_container = any(one.get("name") == CONTAINER for one in containers_of(deployment))
    return has_container or DEPLOYMENT_LABELS.items() <= labels.items()


def is_ready(body: Mapping[str, Any]) -> bool:
    """Whether an object says that it is ready."""
    return condition(body, "Ready").get("status") == "True"


def condition(body: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return a condition of an object; empty if it has none of this type."""
    conditions = mapping(body.get("status")).get("conditions") or ()
    return next((one for one in conditions if isinstance(one, dict) and one.get("type") == kind), {})


def _owners(body: Mapping[str, Any]) -> list[Any]:
    """Return the UIDs of what an object belongs to."""
    owners = mapping(body.get("metadata")).get("ownerReferences") or ()
    return [uid for one in owners if (uid := mapping(one).get("uid")) is not None]
