"""The bed's node, for tests that run pods on it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .network import ADDRESS

if TYPE_CHECKING:
    from .parts.containerd import Containerd
    from .parts.ground import Ground
    from .parts.kubelet import Kubelet


class Node:
    """A real node: kubelet, containerd and runc.

    Attributes:
        address: at which pods reach the parts of the bed (BIND, Pebble, Traefik, the API server).
    """

    address = ADDRESS

    def __init__(self, ground: Ground, containerd: Containerd, kubelet: Kubelet) -> None:
        self._ground = ground
        self._containerd = containerd
        self._kubelet = kubelet

    @property
    def name(self) -> str:
        """Name of the Node object."""
        return self._kubelet.node_name

    @property
    def pod_logs(self) -> Path:
        """Folder of the logs of all containers, as NAMESPACE_POD_UID/CONTAINER/N.log; kept with the bed's logs."""
        return self._kubelet.pod_logs

    @property
    def cgroup(self) -> str:
        """Name of the cgroup that holds all pods and the container runtime."""
        return self._ground.cgroup.name

    def load_image(self, archive: Path) -> None:
        """Give the node an image: an OCI archive, which holds the image's name.

        Raises:
            CommandFailed: containerd refused it.
        """
        self._containerd.load_image(archive)

    def remove_image(self, name: str) -> None:
        """Remove an image from the node; its containers keep running.

        Raises:
            CommandFailed: containerd refused.
        """
        self._containerd.remove_image(name)

    def image_names(self) -> set[str]:
        """Return the names of the images that the node has."""
        return self._containerd.image_names()

    def processes(self) -> set[int]:
        """Return the ids of the processes of all pods and of the container runtime."""
        return self._ground.cgroup.processes()

    def processes_of(self, container: str) -> set[int]:
        """Return the ids of the processes of a container; `container` is as in a pod's status, `containerd://ID`."""
        identifier = container.rpartition("/")[2]
        found = set()
        for process in self.processes():
            with suppress(FileNotFoundError, ProcessLookupError):
                if identifier in Path(f"/proc/{process}/cgroup").read_text():
                    found.add(process)
        return found
