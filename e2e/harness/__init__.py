"""What tests, the demo and the benchmarks do with a test bed: run the operator, apply objects, wait, look."""

from scenario.cluster import Cluster, NotAsExpected
from scenario.manifests import certificate, issuer, tsig_secret
from scenario.operator_process import OperatorProcess
from scenario.tenant import Tenant, Workspace

__all__ = ["Cluster", "NotAsExpected", "OperatorProcess", "Tenant", "Workspace", "certificate", "issuer", "tsig_secret"]
