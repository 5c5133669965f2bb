"""CoreDNS, the cluster's DNS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed.network import ADDRESS, CLUSTER_DOMAIN, DNS_SERVICE
from testbed.part import Part, Site
from testbed.parts.arrangement import apply_objects
from testbed.ports import LOOPBACK
from testbed.web import answers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.parts.apiserver import ApiServer
    from testbed.parts.bind import Bind

USER = "system:coredns"
NAMESPACE = "kube-system"
SERVICE = "kube-dns"


class CoreDns(Part):
    """Knows the cluster's Services, asks BIND for the bed's zones, and refuses every other name.

    It runs beside the cluster; pods reach it as always, at the cluster IP of the Service `kube-dns`.
    """

    program = "coredns"
    port_names = ("main", "ready")

    def __init__(self, site: Site, apiserver: ApiServer, bind: Bind | None) -> None:
        super().__init__(site)
        self._apiserver = apiserver
        self._bind = bind

    def command(self) -> Sequence[str | Path]:
        """Write the configuration, create the Service that leads here, and return the command line."""
        kubeconfig = self._apiserver.write_kubeconfig(self.folder / "kubeconfig", USER)
        apply_objects(self.site, self._apiserver, [*_rights(), *_service(self.ports["main"])])
        configuration = self.folder / "Corefile"
        configuration.write_text(self._configuration(kubeconfig))
        return [self.site.programs["coredns"], f"-dns.port={self.ports['main']}", "-conf", configuration]

    def ready(self) -> bool:
        """Ask whether it has seen all Services."""
        return answers(f"http://{LOOPBACK}:{self.ports['ready']}/ready")

    def _configuration(self, kubeconfig: Path) -> str:
        # One second, as in the bed's zones: a test that changes a Service does not wait for caches.
        cluster = f"""\
{CLUSTER_DOMAIN} in-addr.arpa {{
    bind {ADDRESS}
    errors
    ready {LOOPBACK}:{self.ports["ready"]}
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 1
    }}
}}
"""
        if self._bind is None:
            return cluster
        return f"""\
{cluster}{" ".join(self._bind.zones)} {{
    bind {ADDRESS}
    errors
    forward . {self._bind.address}
}}
"""


def _rights() -> list[dict[str, Any]]:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": USER}}
    look = ["list", "watch"]
    return [
        {
            **role,
            "kind": "ClusterRole",
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": look},
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


def _service(port: int) -> list[dict[str, Any]]:
    protocols = {"dns": "UDP", "dns-tcp": "TCP"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE, "namespace": NAMESPACE},
            "spec": {
                "clusterIP": DNS_SERVICE,
                "ports": [{"name": name, "protocol": kind, "port": 53} for name, kind in protocols.items()],
            },
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{SERVICE}-host",
                "namespace": NAMESPACE,
                "labels": {"kubernetes.io/service-name": SERVICE},
            },
            "addressType": "IPv4",
            "ports": [{"name": name, "protocol": kind, "port": port} for name, kind in protocols.items()],
            "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}],
        },
    ]
