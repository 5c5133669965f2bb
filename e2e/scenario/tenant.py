"""One user of a cluster: a namespace with an issuer, and the operator that serves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenario.manifests import certificate

if TYPE_CHECKING:
    from scenario.cluster import Cluster
    from scenario.operator_process import OperatorProcess
    from testbed.bed import TestBed


@dataclass(frozen=True)
class Tenant:
    """A namespace of its own with an Issuer named ``pebble`` that is ready, and the operator running."""

    namespace: str
    bed: TestBed
    cluster: Cluster
    operator: OperatorProcess

    def apply(self, name: str, *dns_names: str, **spec: Any) -> dict[str, Any]:
        """Apply a Certificate."""
        return self.cluster.apply(certificate(self.namespace, name, dns_names, **spec))

    def ready(self, name: str, *, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until a Certificate is Ready."""
        return self.cluster.wait_ready("Certificate", self.namespace, name, seconds=seconds)

    def not_ready(self, name: str, reason: str, *, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until a Certificate is not Ready for a reason; return that condition."""
        found = self.cluster.wait_condition(
            "Certificate", self.namespace, name, "Ready", "False", reason=reason, seconds=seconds
        )
        return next(condition for condition in found["status"]["conditions"] if condition["type"] == "Ready")
