"""Traefik, the ingress controller, beside the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.part import Part, Site
from testbed.ports import LOOPBACK
from testbed.web import answers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.parts.apiserver import ApiServer


class Traefik(Part):
    """Serves every Ingress of the cluster, with the certificates in the Secrets that they name.

    Without a node there are no pods: a Service that has something to show is of type ExternalName and leads to
    the bed's backend.
    """

    program = "traefik"
    port_names = ("http", "https", "management")

    def __init__(self, site: Site, apiserver: ApiServer, *, gateway: bool = False) -> None:
        super().__init__(site)
        self._gateway = gateway
        self._apiserver = apiserver

    @property
    def http_port(self) -> int:
        """Port of plain HTTP."""
        return self.ports["http"]

    @property
    def https_port(self) -> int:
        """Port of HTTPS."""
        return self.ports["https"]

    @property
    def management_url(self) -> str:
        """Base URL of Traefik's own API: /api/http/routers, /ping."""
        return f"http://{LOOPBACK}:{self.ports['management']}"

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        return [
            self.site.programs["traefik"],
            f"--entrypoints.web.address={self.site.listen}:{self.http_port}",
            f"--entrypoints.websecure.address={self.site.listen}:{self.https_port}",
            "--entrypoints.websecure.http.tls=true",
            # Otherwise Traefik keeps the handshakes of tls-alpn-01 for an ACME client of its own.
            "--entrypoints.websecure.allowacmebypass=true",
            f"--entrypoints.traefik.address={LOOPBACK}:{self.ports['management']}",
            "--providers.kubernetesingress=true",
            "--providers.kubernetesingress.throttleduration=0s",
            "--providers.kubernetesingress.allowexternalnameservices=true",
            "--providers.kubernetesingress.allowemptyservices=true",
            *(self._gateway_flags() if self._gateway else ()),
            "--ping=true",
            "--api.insecure=true",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
            "--log.level=INFO",
            "--log.nocolor=true",
        ]

    def _gateway_flags(self) -> list[str]:
        return [
            "--providers.kubernetesgateway=true",
            "--providers.kubernetesgateway.throttleduration=0s",
            f"--providers.kubernetesgateway.statusaddress.ip={self.site.address}",
        ]

    def environment(self) -> dict[str, str]:
        """Return where the cluster is."""
        return {"KUBECONFIG": str(self._apiserver.kubeconfig)}

    def ready(self) -> bool:
        """Ask /ping."""
        return answers(f"{self.management_url}/ping")
