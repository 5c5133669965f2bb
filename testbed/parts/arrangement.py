"""Parts of a bed that are not programs; they are created and removed in the same order as those that run."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from testbed.errors import CommandFailed
from testbed.kubectl import Kubectl
from testbed.part import Part, Site

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.parts.apiserver import ApiServer

NAMESPACE_SECONDS = 120.0


class Arrangement(Part):
    """A part without a process."""

    program = ""
    port_names = ()

    def __init__(self, site: Site, name: str) -> None:
        super().__init__(site, name)
        self._made = False

    @abstractmethod
    def make(self) -> None:
        """Create it; called again after `stop`, create it again."""

    def unmake(self) -> None:
        """Remove what would outlive the bed; objects in the cluster do not."""

    @property
    def running(self) -> bool:
        """Whether it exists."""
        return self._made

    def start(self) -> None:
        """Create it unless it exists."""
        if not self._made:
            began = time.monotonic()
            self.folder.mkdir(parents=True, exist_ok=True)
            self.make()
            self._made, self.start_seconds = True, time.monotonic() - began
            self.site.changed()

    def stop(self, *, grace: float | None = None) -> None:  # noqa: ARG002 - there is nothing to wait for
        """Remove it."""
        self._made = False
        self.unmake()

    def command(self) -> Sequence[str | Path]:
        """Return nothing: there is no program."""
        return []

    def ready(self) -> bool:
        """Whether it exists."""
        return self._made


class Objects(Arrangement):
    """Objects that the cluster has from the start."""

    def __init__(self, site: Site, apiserver: ApiServer, name: str, manifests: Sequence[dict[str, Any]]) -> None:
        super().__init__(site, name)
        self._apiserver = apiserver
        self._manifests = manifests

    def make(self) -> None:
        """Apply them."""
        apply_objects(self.site, self._apiserver, self._manifests)


def apply_objects(site: Site, apiserver: ApiServer, manifests: Sequence[dict[str, Any]]) -> None:
    """Apply objects, and wait for namespaces that the API server is about to create.

    Raises:
        CommandFailed: the API server refused one.
    """
    kubectl = Kubectl(site.programs["kubectl"], apiserver.kubeconfig)
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
    deadline = time.monotonic() + NAMESPACE_SECONDS
    while True:
        try:
            kubectl.run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)
        except CommandFailed as error:
            if "namespaces" not in error.details or time.monotonic() > deadline or site.abort.is_set():
                raise
            time.sleep(0.2)
        else:
            return
