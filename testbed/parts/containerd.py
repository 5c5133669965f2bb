"""containerd, the container runtime."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from testbed.command import output_of
from testbed.errors import CommandFailed
from testbed.network import NODE_POD_RANGE
from testbed.part import Part, Site
from testbed.pod_images import PAUSE, pod_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.parts.ground import Ground

IMPORT_TIMEOUT = 300.0
NAMESPACE = "k8s.io"


class Containerd(Part):
    """Runs pods with runc, in a network of point-to-point links.

    The links are routed one by one, not bridged: so the answer of a pod to another one, which asked a Service, takes
    the way back through the host's address translation, whether or not the kernel sends bridged packets there.
    """

    program = "containerd"
    port_names = ()

    def __init__(self, site: Site, ground: Ground) -> None:
        super().__init__(site)
        self._ground = ground
        self._data = self.folder / "data-of-node"

    @property
    def socket(self) -> Path:
        """Where it serves the kubelet."""
        return self._ground.sockets / "containerd.sock"

    def start(self) -> None:
        """Start it and give it the image that every pod needs."""
        if not self.running:
            super().start()
            self.load_image(pod_image(PAUSE, self.site.programs))

    def load_image(self, archive: Path) -> None:
        """Import an OCI archive, which holds the image's name.

        Raises:
            CommandFailed: it was refused.
        """
        self._ctr("images", "import", str(archive))

    def remove_image(self, name: str) -> None:
        """Remove an image.

        Raises:
            CommandFailed: it did not.
        """
        self._ctr("images", "remove", name)

    def image_names(self) -> set[str]:
        """Return the names of its images."""
        return set(self._ctr("images", "list", "--quiet").split())

    def command(self) -> Sequence[str | Path]:
        """Write the configuration and return the command line, which enters the bed's cgroup first."""
        cni = self.folder / "cni"
        cni.mkdir(exist_ok=True)
        (cni / "10-bed.conflist").write_text(json.dumps(self._network(), indent=2))
        configuration = self.folder / "config.toml"
        configuration.write_text(self._configuration(cni))
        enter = "".join(f"echo $$ > {entrance}; " for entrance in self._ground.cgroup.entrances)
        return [
            "sh",
            "-euc",
            f'{enter}exec "$@"',
            "sh",
            self.site.programs["containerd"],
            "--config",
            configuration,
        ]

    def environment(self) -> dict[str, str]:
        """Return a PATH with the shim and runc."""
        programs = self.site.programs
        folders = [programs["containerd-shim-runc-v2"].parent, programs["runc"].parent]
        return {"PATH": ":".join([*map(str, folders), "/usr/sbin:/usr/bin:/sbin:/bin"])}

    def ready(self) -> bool:
        """Ask for its version."""
        if not self.socket.exists():
            return False
        try:
            self._ctr("version", timeout=5.0)
        except CommandFailed:
            return False
        return True

    def _ctr(self, *arguments: str, timeout: float = IMPORT_TIMEOUT) -> str:
        reach = ["--address", str(self.socket), "--namespace", NAMESPACE]
        return output_of(self.site.programs["ctr"], [*reach, *arguments], environment=os.environ, seconds=timeout)

    def _network(self) -> dict[str, object]:
        return {
            "cniVersion": "1.0.0",
            "name": "bed",
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": False,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": str(self._data / "addresses"),
                        "ranges": [[{"subnet": NODE_POD_RANGE}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                }
            ],
        }

    def _configuration(self, cni: Path) -> str:
        plugins = self.site.programs["host-local"].parent
        return f"""\
version = 3
root = "{self._data / "root"}"
state = "{self._data / "state"}"

[grpc]
  address = "{self.socket}"

[plugins.'io.containerd.internal.v1.opt']
  path = "{self._data / "opt"}"

[plugins.'io.containerd.nri.v1.nri']
  disable = true

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{PAUSE}"

[plugins.'io.containerd.cri.v1.runtime']
  # CAP_SYS_RESOURCE may be missing where the test bed runs.
  restrict_oom_score_adj = true
  enable_cdi = false
  netns_mounts_under_state_dir = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{plugins}"]
  conf_dir = "{cni}"

[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = "runc"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = false
"""
