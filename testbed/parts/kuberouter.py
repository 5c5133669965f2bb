"""kube-router's firewall, which enforces NetworkPolicies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed.network import SERVICE_RANGE
from testbed.part import Part, Site
from testbed.parts.arrangement import apply_objects
from testbed.parts.kubelet import NODE_NAME
from testbed.ports import LOOPBACK
from testbed.web import answers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.parts.apiserver import ApiServer

USER = "system:kube-router"


class KubeRouter(Part):
    """kube-router as a firewall between pods; its other features are off.

    As with every implementation, a node may always reach its own pods: what comes from the host, such as the bed's
    Traefik, is allowed whatever the policies say.
    """

    program = "kube-router"
    port_names = ("health",)

    def __init__(self, site: Site, apiserver: ApiServer) -> None:
        super().__init__(site)
        self._apiserver = apiserver

    def command(self) -> Sequence[str | Path]:
        """Give it its rights and return the command line."""
        kubeconfig = self._apiserver.write_kubeconfig(self.folder / "kubeconfig", USER)
        apply_objects(self.site, self._apiserver, _rights())
        return [
            self.site.programs["kube-router"],
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={NODE_NAME}",
            "--run-firewall=true",
            "--run-router=false",
            "--run-service-proxy=false",
            "--enable-cni=false",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            f"--health-port={self.ports['health']}",
        ]

    def environment(self) -> dict[str, str]:
        """Return a PATH with iptables and ipset."""
        folders = [self.site.programs[name].parent for name in ("iptables", "ipset")]
        return {"PATH": ":".join([*map(str, folders), "/usr/sbin:/usr/bin:/sbin:/bin"])}

    def ready(self) -> bool:
        """Ask whether its rules are in place."""
        return answers(f"http://{LOOPBACK}:{self.ports['health']}/healthz")


def _rights() -> list[dict[str, Any]]:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": USER}}
    look = ["get", "list", "watch"]
    core = ["namespaces", "pods", "services", "nodes", "endpoints"]
    return [
        {
            **role,
            "kind": "ClusterRole",
            "rules": [
                {"apiGroups": [""], "resources": core, "verbs": look},
                {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": look},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": look},
            ],
        },
        {
            **role,
            "kind": "ClusterRoleBinding",
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": USER},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
        },
    ]
