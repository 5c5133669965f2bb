"""Runs kubectl against the bed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .command import output_of
from .errors import CommandFailed

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = 180.0
SERVED_SECONDS = 120.0


@dataclass(frozen=True)
class Kubectl:
    """kubectl for one cluster.

    Attributes:
        program: the executable.
        kubeconfig: the API server and the user.
    """

    program: Path
    kubeconfig: Path

    @property
    def _cache(self) -> Path:
        """Where it caches what the API server serves: its home would mix up beds that used the same port."""
        return self.kubeconfig.parent / "kubectl-cache"

    def run(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run it and return its standard output.

        Raises:
            CommandFailed: it ended with an error and `check` is set, or took longer than three minutes.
        """
        return output_of(
            self.program,
            arguments,
            environment={**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self._cache)},
            seconds=TIMEOUT,
            stdin=stdin,
            check=check,
        )

    def apply_crds(self, *paths: Path) -> None:
        """Apply all CRDs of these files and folders and wait until they are served.

        That is later than `Established`: the API server opens their storage at the first request. A CRD that is
        deleted before that takes minutes to go.

        Raises:
            CommandFailed: the API server refused one, or does not serve it.
        """
        files = [word for path in paths for word in ("-f", str(path))]
        self.run("apply", "--server-side", "--force-conflicts", *files)
        # kubectl fails at once as long as a new CRD has no conditions at all.
        self._run_patiently("wait", "--for=condition=Established", "--timeout=120s", *files)
        for line in self.run("get", *files, "--output=name").split():
            self._run_patiently("get", line.rpartition("/")[2], "--all-namespaces", "--output=name")

    def _run_patiently(self, *arguments: str) -> None:
        """Run it until it succeeds."""
        deadline = time.monotonic() + SERVED_SECONDS
        while True:
            try:
                self.run(*arguments)
            except CommandFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return
