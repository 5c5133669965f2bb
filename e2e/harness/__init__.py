"""What tests, the demo and the benchmarks do with a test bed: run the operator, apply objects, wait, look."""

from harness.cluster import Cluster, NotAsExpected
from harness.manifests import certificate, issuer, tsig_secret
from harness.operator_process import OperatorProcess
from harness.tenant import Tenant, Workspace

__all__ = ["Cluster", "NotAsExpected", "OperatorProcess", "Tenant", "Workspace", "certificate", "issuer", "tsig_secret"]
