"""The flags of cert-manager's controller that change what its objects mean."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Self

from certwright.cert_manager.api import LEASE_NAMESPACE
from certwright.cert_manager.spec import mapping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONTAINER: Final = "cert-manager-controller"
"""The container of its Deployment, as its chart and its manifests name it."""
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
"""What Go's `strconv.ParseBool` takes."""


@dataclass(frozen=True)
class ControllerFlags:
    """What the controller was told at its start; the defaults are those of its program.

    Attributes:
        cluster_resource_namespace: Where the Secrets of its ClusterIssuers are.
        leader_election_namespace: Where its Lease is.
        enable_certificate_owner_ref: Whether a Secret goes with its Certificate.
        dns01_recursive_nameservers: The resolvers that it looks for records with, separated by commas.
        dns01_recursive_nameservers_only: Whether it asks those alone, and no authoritative server.
        config: The file with further settings; empty if there is none.
    """

    cluster_resource_namespace: str = "kube-system"
    leader_election_namespace: str = LEASE_NAMESPACE
    enable_certificate_owner_ref: bool = False
    dns01_recursive_nameservers: str = ""
    dns01_recursive_nameservers_only: bool = False
    config: str = ""

    @classmethod
    def read(cls, arguments: Sequence[str], namespace: str) -> Self:
        """Read them from the arguments of its container.

        Args:
            arguments: As in the pod's spec; those that mean nothing here are passed over.
            namespace: Its own namespace, which its chart writes as ``$(POD_NAMESPACE)``.
        """
        kinds = {one.name: one.type for one in fields(cls)}
        values: dict[str, Any] = {}
        remaining = list(arguments)
        while remaining:
            name, has_value, value = remaining.pop(0).lstrip("-").partition("=")
            key = name.replace("-", "_")
            if key not in kinds:
                continue
            if kinds[key] == "bool":
                values[key] = not has_value or value in _TRUE
                continue
            if not has_value and remaining:
                value = remaining.pop(0)
            values[key] = value.replace("$(POD_NAMESPACE)", namespace)
        return cls(**values)

    @classmethod
    def of_deployment(cls, deployment: Mapping[str, Any]) -> Self:
        """Read them from its Deployment, as the API server gives it."""
        arguments = [str(one) for one in mapping(controller_container(deployment)).get("args") or ()]
        return cls.read(arguments, str(mapping(deployment.get("metadata")).get("namespace") or ""))

    @property
    def nameservers(self) -> list[str]:
        """The resolvers, each as our issuers name them."""
        return [one.strip() for one in self.dns01_recursive_nameservers.split(",") if one.strip()]


def containers_of(deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the containers of a Deployment's pods."""
    pod = mapping(mapping(mapping(deployment.get("spec")).get("template")).get("spec"))
    return [one for one in pod.get("containers") or () if isinstance(one, dict)]


def controller_container(deployment: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the container of cert-manager's controller: the one of that name, else the first; None without any."""
    containers = containers_of(deployment)
    return next((one for one in containers if one.get("name") == CONTAINER), containers[0] if containers else None)
