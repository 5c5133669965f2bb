"""The controller manager: garbage collection, namespaces, service accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.network import POD_RANGE
from testbed.parts.control_plane import ControlPlanePart

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.part import Site
    from testbed.parts.apiserver import ApiServer

# Those that look after nodes and their pods, for a bed that has neither.
SWITCHED_OFF = (
    "horizontal-pod-autoscaler-controller",
    "node-ipam-controller",
    "node-lifecycle-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-expander-controller",
    "taint-eviction-controller",
    "ttl-controller",
)
NO_NODE_FLAGS = (f"--controllers={','.join(['*', *(f'-{name}' for name in SWITCHED_OFF)])}",)
NODE_FLAGS = ("--allocate-node-cidrs", f"--cluster-cidr={POD_RANGE}")


class ControllerManager(ControlPlanePart):
    """kube-controller-manager with one identity for each controller."""

    program = "kube-controller-manager"

    def __init__(self, site: Site, apiserver: ApiServer, *, node: bool = False) -> None:
        super().__init__(site)
        self._node = node
        self._apiserver = apiserver

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        return [
            self.site.programs["kube-controller-manager"],
            f"--kubeconfig={self._apiserver.kubeconfig}",
            f"--root-ca-file={self.site.authority.certificate_path}",
            f"--service-account-private-key-file={self._apiserver.service_account_key}",
            "--use-service-account-credentials",
            *self.common_flags(),
            *(NODE_FLAGS if self._node else NO_NODE_FLAGS),
        ]
