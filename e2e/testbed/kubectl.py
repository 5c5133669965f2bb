"""Runs kubectl against the bed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .command import output_of

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = 90.0


@dataclass(frozen=True)
class Kubectl:
    """kubectl for one cluster.

    Attributes:
        program: the executable.
        kubeconfig: whom it asks, and as whom.
    """

    program: Path
    kubeconfig: Path

    @property
    def _cache(self) -> Path:
        """Where it keeps what the API server serves: its home would mix up beds that had the same port in turn."""
        return self.kubeconfig.parent / "kubectl-cache"

    def run(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run it and return its standard output.

        Raises:
            CommandFailed: it ended with an error and `check` is set, or took longer than 90 seconds.
        """
        return output_of(
            self.program,
            arguments,
            environment={**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self._cache)},
            seconds=TIMEOUT,
            stdin=stdin,
            check=check,
        )

    def apply_crds(self, folder: Path) -> None:
        """Apply all CRDs of a folder and wait until they are served.

        Raises:
            CommandFailed: the API server refused one.
        """
        self.run("apply", "--server-side", "--force-conflicts", "-f", str(folder))
        self.run("wait", "--for=condition=Established", "--timeout=30s", "-f", str(folder))
