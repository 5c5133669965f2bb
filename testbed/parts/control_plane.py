"""What the programs of Kubernetes beside the API server have in common."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from testbed.part import Part
from testbed.ports import LOOPBACK
from testbed.web import answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.certificates import KeyPair


class ControlPlanePart(Part):
    """A program that serves its health over HTTPS, and works alone."""

    def common_flags(self) -> Sequence[str]:
        """Return how it serves, and that it stands for no election."""
        return (
            f"--secure-port={self.ports['main']}",
            f"--bind-address={LOOPBACK}",
            f"--tls-cert-file={self._tls.certificate}",
            f"--tls-private-key-file={self._tls.key}",
            "--leader-elect=false",
            "--profiling=false",
        )

    def ready(self) -> bool:
        """Ask /healthz, which needs no credentials."""
        return answers(f"https://{LOOPBACK}:{self.ports['main']}/healthz", tls=self.site.authority.client_context())

    @cached_property
    def _tls(self) -> KeyPair:
        return self.site.authority.server(self.name)
