"""One user of a cluster: a namespace, what is applied to it, and the operator that serves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509

from harness.cluster import SECONDS
from harness.manifests import certificate, issuer

if TYPE_CHECKING:
    from harness.cluster import Cluster
    from harness.operator_process import OperatorProcess
    from testbed.bed import TestBed


@dataclass(frozen=True)
class Workspace:
    """A namespace of its own, served by any operator."""

    namespace: str
    bed: TestBed
    cluster: Cluster

    def apply(self, name: str, *dns_names: str, **spec: Any) -> dict[str, Any]:
        """Apply a Certificate."""
        return self.cluster.apply(certificate(self.namespace, name, dns_names, **spec))

    def ready(self, name: str, *, seconds: float = SECONDS) -> dict[str, Any]:
        """Wait until a Certificate is Ready."""
        return self.cluster.wait_ready("Certificate", self.namespace, name, seconds=seconds)

    def not_ready(self, name: str, reason: str, *, seconds: float = SECONDS) -> dict[str, Any]:
        """Wait until a Certificate is not Ready for a reason; return that condition."""
        found = self.cluster.wait_condition(
            "Certificate", self.namespace, name, "Ready", "False", reason=reason, seconds=seconds
        )
        return next(condition for condition in found["status"]["conditions"] if condition["type"] == "Ready")

    def add_issuer(self, name: str, **settings: Any) -> dict[str, Any]:
        """Apply one more Issuer, with settings that `issuer` knows, and wait until it is ready."""
        self.cluster.apply(issuer(self.bed, self.namespace, name=name, **settings))
        return self.cluster.wait_ready("Issuer", self.namespace, name)

    def leaf(self, secret: str) -> x509.Certificate:
        """Return the certificate in a Secret."""
        return x509.load_pem_x509_certificate(self.cluster.secret_data(self.namespace, secret)["tls.crt"])

    def under_way(self, name: str) -> dict[str, Any]:
        """Wait until the order of a Certificate is in its status and its records are in the DNS; return it."""

        def waits(found: dict[str, Any]) -> bool:
            order = found.get("status", {}).get("order", {})
            records = [entry["record"] for entry in order.get("authorizations", ()) if entry.get("presented")]
            return bool(records) and all(one["value"] in self.challenge_values(one["name"]) for one in records)

        return self.cluster.wait_for(
            f"Certificate {name} has no order with records in the DNS",
            lambda: self.cluster.get("Certificate", self.namespace, name),
            waits,
        )

    def challenge_values(self, name: str) -> list[str]:
        """Return the TXT values that BIND has at a name."""
        zone = next(zone for zone in self.bed.bind.zones if name.endswith(f".{zone}"))
        return self.bed.bind.txt_records(zone).get(name, [])


@dataclass(frozen=True)
class Tenant(Workspace):
    """One with an Issuer named ``pebble`` that is ready, and the operator running as a process."""

    operator: OperatorProcess
