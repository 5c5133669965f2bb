"""cert-manager's controller, for those who come from it or run beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.part import Part, Site

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.parts.apiserver import ApiServer
    from testbed.parts.bind import Bind

LEASE = ("kube-system", "cert-manager-controller")
RESOURCES = "cert-manager"
"""The namespace of the Secrets of its ClusterIssuers."""


class CertManager(Part):
    """Its controllers for Certificates and ACME, without its webhook; started and stopped like its pod.

    Args:
        site: What the bed provides.
        apiserver: Whose objects it looks after, as an administrator.
        bind: Where it looks for its records.
    """

    program = "cert-manager"
    port_names = ()

    def __init__(self, site: Site, apiserver: ApiServer, bind: Bind) -> None:
        super().__init__(site)
        self._apiserver = apiserver
        self._bind = bind
        self.arguments: tuple[str, ...] = ()
        """Further ones, of the next start."""

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        return [
            self.site.programs[self.program],
            f"--kubeconfig={self._apiserver.kubeconfig}",
            f"--cluster-resource-namespace={RESOURCES}",
            f"--dns01-recursive-nameservers={self._bind.address}",
            "--dns01-recursive-nameservers-only",
            *self.arguments,
        ]

    def ready(self) -> bool:
        """Whether it holds its Lease, and its controllers run."""
        return b"serving" in self.log.read_bytes()
