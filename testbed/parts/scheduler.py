"""The scheduler, which assigns pods to the node."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from testbed.part import Part, Site
from testbed.ports import LOOPBACK
from testbed.web import answers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.certificates import KeyPair
    from testbed.parts.apiserver import ApiServer


class Scheduler(Part):
    """kube-scheduler with its own identity."""

    program = "kube-scheduler"

    def __init__(self, site: Site, apiserver: ApiServer) -> None:
        super().__init__(site)
        self._apiserver = apiserver

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        kubeconfig = self._apiserver.write_kubeconfig(self.folder / "kubeconfig", "system:kube-scheduler")
        return [
            self.site.programs["kube-scheduler"],
            f"--kubeconfig={kubeconfig}",
            f"--secure-port={self.ports['main']}",
            f"--bind-address={LOOPBACK}",
            f"--tls-cert-file={self._tls.certificate}",
            f"--tls-private-key-file={self._tls.key}",
            "--leader-elect=false",
            "--profiling=false",
        ]

    def ready(self) -> bool:
        """Ask /healthz, which needs no credentials."""
        return answers(f"https://{LOOPBACK}:{self.ports['main']}/healthz", tls=self.site.authority.client_context())

    @cached_property
    def _tls(self) -> KeyPair:
        return self.site.authority.server(self.name)
