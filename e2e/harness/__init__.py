"""What tests, demo and benchmarks share: they run the operator on a test bed, apply objects, wait and check."""

from harness.cluster import Cluster, NotAsExpected
from harness.manifests import certificate, issuer, tsig_secret
from harness.operator_process import OperatorProcess
from harness.tenant import Tenant, Workspace

__all__ = ["Cluster", "NotAsExpected", "OperatorProcess", "Tenant", "Workspace", "certificate", "issuer", "tsig_secret"]
