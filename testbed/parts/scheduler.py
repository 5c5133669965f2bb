"""The scheduler, which assigns pods to the node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.parts.control_plane import ControlPlanePart

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.part import Site
    from testbed.parts.apiserver import ApiServer


class Scheduler(ControlPlanePart):
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
            *self.common_flags(),
        ]
