"""A DNS webhook as people write them for cert-manager, behind the API server's aggregation layer."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from testbed.part import Part, Site
from testbed.ports import LOOPBACK
from testbed.web import answers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.certificates import KeyPair
    from testbed.parts.apiserver import ApiServer


class DnsWebhook(Part):
    """A server of one solver of one API group; the API server sends it what goes to `/apis/<group>/v1alpha1/<solver>`.

    Args:
        site: What the bed provides.
        apiserver: Whom it asks about users and Secrets, as an administrator.
        group: Of its API.
        solver: The name of its solver.
        service: Namespace and name of the Service by which the API server finds it.
        serving: Its certificate; None for one of the bed's authority.
    """

    program = "dns-webhook"

    def __init__(
        self,
        site: Site,
        apiserver: ApiServer,
        *,
        group: str,
        solver: str,
        service: tuple[str, str],
        serving: KeyPair | None = None,
    ) -> None:
        super().__init__(site)
        self._apiserver = apiserver
        self.group = group
        self.solver = solver
        self.service = service
        self.serving = serving or site.authority.server(self.name, ["{1}.{0}.svc".format(*service)])

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        admin = self._apiserver.kubeconfig
        return [
            self.site.programs[self.program],
            f"--bind-address={LOOPBACK}",
            f"--secure-port={self.ports['main']}",
            f"--tls-cert-file={self.serving.certificate}",
            f"--tls-private-key-file={self.serving.key}",
            f"--kubeconfig={admin}",
            f"--authentication-kubeconfig={admin}",
            f"--authorization-kubeconfig={admin}",
        ]

    def environment(self) -> dict[str, str]:
        """Return the variables that tell it its API group and its solver."""
        return {"GROUP_NAME": self.group, "SOLVER_NAME": self.solver}

    def ready(self) -> bool:
        """Ask /readyz."""
        unverified = ssl.create_default_context()
        # Its certificate may be from any authority, and this only asks whether it serves.
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        return answers(f"https://{LOOPBACK}:{self.ports['main']}/readyz", tls=unverified)

    @property
    def objects(self) -> list[dict[str, object]]:
        """The Service and the APIService by which the API server finds it; its CA is left to somebody else."""
        return webhook_objects(self.group, self.service, self.ports["main"])


def webhook_objects(group: str, service: tuple[str, str], port: int) -> list[dict[str, object]]:
    """Return the Service and the APIService by which the API server finds a webhook.

    Args:
        group: Of its API.
        service: Namespace and name of the Service.
        port: Where it listens on loopback.
    """
    namespace, name = service
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"v1alpha1.{group}"},
            "spec": {
                "group": group,
                "version": "v1alpha1",
                "groupPriorityMinimum": 1000,
                "versionPriority": 15,
                "service": {"namespace": namespace, "name": name, "port": port},
            },
        },
    ]
