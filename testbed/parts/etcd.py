"""etcd, the API server's store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.part import Part
from testbed.ports import LOOPBACK
from testbed.web import answers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Etcd(Part):
    """One member, without fsync: its data need not survive a power cut."""

    program = "etcd"
    port_names = ("client", "peer")

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://{LOOPBACK}:{self.ports['client']}"

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        peer = f"http://{LOOPBACK}:{self.ports['peer']}"
        return [
            self.site.programs["etcd"],
            f"--name={self.name}",
            f"--data-dir={self.folder / 'data'}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={self.name}={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def ready(self) -> bool:
        """Tell whether it is healthy."""
        return answers(f"{self.url}/health")
