"""The parts of a bed by name and by type."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from .errors import BedError
from .node import Node
from .part import Part
from .parts.apiserver import ApiServer
from .parts.backend import Backend
from .parts.bind import Bind
from .parts.challtestsrv import ChallengeTestServer
from .parts.containerd import Containerd
from .parts.ground import Ground
from .parts.kubelet import Kubelet
from .parts.pebble import Pebble
from .parts.traefik import Traefik

if TYPE_CHECKING:
    from pathlib import Path

    from .assembly import Place

P = TypeVar("P", bound=Part)


class PartAccess:
    """The parts of a bed; asking for one that it lacks raises a BedError."""

    def __init__(self) -> None:
        # Replaced and never changed: threads of tests start and end parts while others are added.
        self._places: dict[str, Place] = {}

    @property
    def parts(self) -> dict[str, Part]:
        """All parts by name."""
        return {name: place.part for name, place in self._places.items()}

    @property
    def apiserver(self) -> ApiServer:
        """The API server."""
        return self._part(ApiServer, "kube-apiserver")

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig of an administrator."""
        return self.apiserver.kubeconfig

    @property
    def pebble(self) -> Pebble:
        """The Pebble that was started with the bed."""
        return self._part(Pebble, "pebble")

    @property
    def bind(self) -> Bind:
        """The name server."""
        return self._part(Bind, "bind")

    @property
    def challtestsrv(self) -> ChallengeTestServer:
        """Pebble's challenge test server."""
        return self._part(ChallengeTestServer, "pebble-challtestsrv")

    @property
    def traefik(self) -> Traefik:
        """The ingress controller."""
        return self._part(Traefik, "traefik")

    @property
    def node(self) -> Node:
        """The node, in a bed that has one."""
        return Node(self._part(Ground, "ground"), self._part(Containerd, "containerd"), self._part(Kubelet, "kubelet"))

    @property
    def backend(self) -> Backend:
        """The web server that Ingresses can route to, through a Service of type ExternalName to `localhost`."""
        return self._part(Backend, "backend")

    def tails(self, lines: int = 30) -> dict[str, str]:
        """Return the last lines of each part's log."""
        return {name: part.tail(lines) for name, part in self.parts.items()}

    def _part(self, kind: type[P], name: str) -> P:
        part = self.parts.get(name)
        if not isinstance(part, kind):
            raise BedError(f"This bed has no {name}", remedy="start the test bed with options that include it")
        return part
