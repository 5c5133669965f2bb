"""The kubelet: the node itself, as the cluster sees it."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from testbed.network import ADDRESS, CLUSTER_DOMAIN, DNS_SERVICE
from testbed.part import Part, Site
from testbed.ports import LOOPBACK
from testbed.web import answers, fetch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.certificates import KeyPair
    from testbed.parts.apiserver import ApiServer
    from testbed.parts.containerd import Containerd
    from testbed.parts.ground import Ground

NODE_NAME = "node-1"


class Kubelet(Part):
    """A kubelet whose cgroups, volumes and logs are the bed's own."""

    program = "kubelet"
    port_names = ("main", "healthz")
    node_name = NODE_NAME

    def __init__(self, site: Site, apiserver: ApiServer, containerd: Containerd, ground: Ground) -> None:
        super().__init__(site)
        self._apiserver = apiserver
        self._containerd = containerd
        self._ground = ground
        self.pod_logs = self.folder / "pods"

    def command(self) -> Sequence[str | Path]:
        """Write the configuration and return the command line."""
        kubeconfig = self._apiserver.write_kubeconfig(
            self.folder / "kubeconfig", f"system:node:{self.node_name}", ["system:nodes"]
        )
        configuration = self.folder / "kubelet.json"
        configuration.write_text(json.dumps(self._configuration(), indent=2))
        return [
            self.site.programs["kubelet"],
            f"--config={configuration}",
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={self.node_name}",
            f"--node-ip={ADDRESS}",
            f"--root-dir={self.folder / 'data-of-node'}",
        ]

    def ready(self) -> bool:
        """Ask it, and then the API server whether the node is Ready and takes pods."""
        if not answers(f"http://{LOOPBACK}:{self.ports['healthz']}/healthz"):
            return False
        tls = self.site.authority.client_context(self._apiserver.admin)
        try:
            answer = fetch(f"{self._apiserver.url}/api/v1/nodes/{self.node_name}", tls=tls)
        except OSError:
            return False
        return answer.status == 200 and takes_pods(json.loads(answer.body))  # noqa: PLR2004 - HTTP's own number

    @cached_property
    def _tls(self) -> KeyPair:
        return self.site.authority.server(self.name, [ADDRESS, self.node_name])

    def _configuration(self) -> dict[str, Any]:
        resolver = self.folder / "resolv.conf"
        resolver.write_text(f"nameserver {DNS_SERVICE}\n")
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            "port": self.ports["main"],
            "healthzBindAddress": LOOPBACK,
            "healthzPort": self.ports["healthz"],
            "authentication": {
                "x509": {"clientCAFile": str(self.site.authority.certificate_path)},
                "webhook": {"enabled": True},
                "anonymous": {"enabled": False},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(self._tls.certificate),
            "tlsPrivateKeyFile": str(self._tls.key),
            "containerRuntimeEndpoint": f"unix://{self._containerd.socket}",
            "clusterDNS": [DNS_SERVICE],
            "clusterDomain": CLUSTER_DOMAIN,
            "resolvConf": str(resolver),
            "podLogsDir": str(self.pod_logs),
            "volumePluginDir": str(self.folder / "volume-plugins"),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._ground.cgroup.name}",
            "cgroupsPerQOS": True,
            "enforceNodeAllocatable": ["pods"],
            "failCgroupV1": False,
            "failSwapOn": False,
            # It is shown the settings it expects, so it does not change the machine's.
            "protectKernelDefaults": True,
            "makeIPTablesUtilChains": False,
            # The bed's machine is shared: pods are not evicted because something else fills the disk.
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
        }


def takes_pods(node: dict[str, Any]) -> bool:
    """Tell whether a Node object is Ready and has no taint."""
    ready = any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in node.get("status", {}).get("conditions", ())
    )
    return ready and not node.get("spec", {}).get("taints")
