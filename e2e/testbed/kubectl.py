"""Runs kubectl against the bed."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import CommandFailed

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = 180.0


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
            CommandFailed: it ended with an error and `check` is set, or took longer than three minutes.
        """
        try:
            answer = subprocess.run(
                [self.program, *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT,
                env={**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self._cache)},
            )
        except subprocess.TimeoutExpired as error:
            raise CommandFailed(f"kubectl {' '.join(arguments)} took longer than {TIMEOUT:.0f} s") from error
        if check and answer.returncode != 0:
            raise CommandFailed(
                f"kubectl {' '.join(arguments)} ended with status {answer.returncode}",
                details=answer.stderr.strip(),
            )
        return answer.stdout

    def apply_crds(self, folder: Path) -> None:
        """Apply all CRDs of a folder and wait until they are served.

        Raises:
            CommandFailed: the API server refused one.
        """
        self.run("apply", "--server-side", "--force-conflicts", "-f", str(folder))
        self.run("wait", "--for=condition=Established", "--timeout=120s", "-f", str(folder))
