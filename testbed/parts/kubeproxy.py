"""kube-proxy, which routes the cluster IPs of Services to pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.network import ADDRESS, POD_RANGE
from testbed.part import Part, Site
from testbed.parts.kubelet import NODE_NAME
from testbed.ports import LOOPBACK
from testbed.web import answers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.parts.apiserver import ApiServer


class KubeProxy(Part):
    """kube-proxy with nftables, in the network namespace of the bed."""

    program = "kube-proxy"
    port_names = ("healthz", "metrics")

    def __init__(self, site: Site, apiserver: ApiServer) -> None:
        super().__init__(site)
        self._apiserver = apiserver

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        kubeconfig = self._apiserver.write_kubeconfig(self.folder / "kubeconfig", "system:kube-proxy")
        return [
            self.site.programs["kube-proxy"],
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={NODE_NAME}",
            f"--cluster-cidr={POD_RANGE}",
            "--proxy-mode=nftables",
            # The size of the kernel's connection table is the machine's, not the bed's.
            "--conntrack-max-per-core=0",
            f"--bind-address={ADDRESS}",
            f"--healthz-bind-address={LOOPBACK}:{self.ports['healthz']}",
            f"--metrics-bind-address={LOOPBACK}:{self.ports['metrics']}",
        ]

    def environment(self) -> dict[str, str]:
        """Return a PATH with nft and conntrack."""
        folders = [self.site.programs[name].parent for name in ("nft", "conntrack")]
        return {"PATH": ":".join([*map(str, folders), "/usr/sbin:/usr/bin:/sbin:/bin"])}

    def ready(self) -> bool:
        """Ask whether its rules are in place."""
        return answers(f"http://{LOOPBACK}:{self.ports['healthz']}/healthz")
