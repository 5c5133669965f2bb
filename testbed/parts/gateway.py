"""The Gateway API: its resource definitions, and a Gateway that Traefik serves."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

from testbed.errors import PartFailed
from testbed.kubectl import Kubectl
from testbed.parts.arrangement import Arrangement, apply_objects

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.part import Site
    from testbed.parts.apiserver import ApiServer
    from testbed.parts.traefik import Traefik

CLASS = "traefik"
CONTROLLER = "traefik.io/gateway-controller"
NAMESPACE = "gateway"
NAME = "bed"
PASSTHROUGH = "passthrough"
SECRET = "bed-tls"  # noqa: S105 - the name of a Secret, not one
GROUP = "gateway.networking.k8s.io"
READY_SECONDS = 180.0


class GatewayDefinitions(Arrangement):
    """The CRDs of the standard channel, as the release has them."""

    def __init__(self, site: Site, apiserver: ApiServer, definitions: Path) -> None:
        super().__init__(site, "gateway-definitions")
        self._apiserver = apiserver
        self._definitions = definitions

    def make(self) -> None:
        """Apply them and wait until they are served."""
        kubectl = Kubectl(self.site.programs["kubectl"], self._apiserver.kubeconfig)
        kubectl.run("apply", "--server-side", "--force-conflicts", "-f", str(self._definitions))
        names = kubectl.run("get", "crd", "-o", "name").split()
        ours = [name for name in names if name.endswith(f".{GROUP}")]
        kubectl.run("wait", "--for=condition=Established", "--timeout=120s", *ours)


class Gateway(Arrangement):
    """A GatewayClass, and a Gateway that routes of all namespaces may use.

    It has a listener for HTTP, and two on one port: for HTTPS, and for TLS that is passed through by server name.
    """

    def __init__(self, site: Site, apiserver: ApiServer, traefik: Traefik) -> None:
        super().__init__(site, "gateway")
        self._apiserver = apiserver
        self._traefik = traefik

    def make(self) -> None:
        """Apply both and wait until Traefik serves them.

        Raises:
            PartFailed: Traefik did not take them in time; the error shows what it said.
        """
        apply_objects(self.site, self._apiserver, self._objects())
        kubectl = Kubectl(self.site.programs["kubectl"], self._apiserver.kubeconfig)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            found = json.loads(kubectl.run("get", f"gateway.{GROUP}", NAME, "-n", NAMESPACE, "-o", "json"))
            seen = {entry["type"]: entry for entry in found.get("status", {}).get("conditions", ())}
            if all(seen.get(kind, {}).get("status") == "True" for kind in ("Accepted", "Programmed")):
                return
            if time.monotonic() > deadline or self.site.abort.is_set():
                raise PartFailed(
                    f"Traefik did not accept the Gateway {NAMESPACE}/{NAME} within {READY_SECONDS:.0f} s",
                    remedy=f"read its log, {self._traefik.log}",
                    details=json.dumps(found.get("status"), indent=1),
                )
            time.sleep(0.2)

    def _objects(self) -> list[dict[str, Any]]:
        pair = self.site.authority.server("gateway", ["*.example.test"])
        content = {"tls.crt": pair.certificate, "tls.key": pair.key}
        everyone = {"namespaces": {"from": "All"}}
        return [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": {"name": SECRET, "namespace": NAMESPACE},
                "data": {name: base64.b64encode(path.read_bytes()).decode() for name, path in content.items()},
            },
            {
                "apiVersion": f"{GROUP}/v1",
                "kind": "GatewayClass",
                "metadata": {"name": CLASS},
                "spec": {"controllerName": CONTROLLER},
            },
            {
                "apiVersion": f"{GROUP}/v1",
                "kind": "Gateway",
                "metadata": {"name": NAME, "namespace": NAMESPACE},
                "spec": {
                    "gatewayClassName": CLASS,
                    "listeners": [
                        {
                            "name": "http",
                            "protocol": "HTTP",
                            "port": self._traefik.http_port,
                            "allowedRoutes": everyone,
                        },
                        {
                            "name": "https",
                            "protocol": "HTTPS",
                            "port": self._traefik.https_port,
                            "allowedRoutes": everyone,
                            "tls": {"certificateRefs": [{"name": SECRET}]},
                        },
                        {
                            "name": PASSTHROUGH,
                            "protocol": "TLS",
                            "port": self._traefik.https_port,
                            "allowedRoutes": everyone,
                            "tls": {"mode": "Passthrough"},
                        },
                    ],
                },
            },
        ]
