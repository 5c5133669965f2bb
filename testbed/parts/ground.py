"""The base of a node: the bridge with its address, and the cgroup that holds everything the node runs."""

from __future__ import annotations

import shutil
import subprocess
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.cgroups import CgroupTree
from testbed.errors import BedError, CommandFailed
from testbed.isolation import bed_cgroup
from testbed.network import ADDRESS, BRIDGE, SERVICE_RANGE
from testbed.parts.arrangement import Arrangement

if TYPE_CHECKING:
    from testbed.part import Site

TIMEOUT = 30.0


class Ground(Arrangement):
    """Created before the node's parts and removed after them, with everything they left."""

    def __init__(self, site: Site) -> None:
        super().__init__(site, "ground")

    @cached_property
    def cgroup(self) -> CgroupTree:
        """The cgroup of this bed.

        Raises:
            BedError: we are not in namespaces of the bed's own.
        """
        return CgroupTree(bed_cgroup())

    @cached_property
    def sockets(self) -> Path:
        """Folder for sockets, short enough for their names."""
        return Path("/run") / self.cgroup.name

    def make(self) -> None:
        """Make bridge, cgroup and folder.

        Raises:
            BedError: we are not in namespaces of the bed's own, or another bed is.
        """
        self.cgroup.create()
        if Path(f"/proc/sys/net/ipv4/conf/{BRIDGE}").exists():
            raise BedError(
                "Another test bed with a node runs in these namespaces",
                remedy="stop it first, or run each in its own namespaces",
            )
        self.sockets.mkdir()
        self._ip("link", "add", BRIDGE, "type", "bridge")
        self._ip("address", "add", f"{ADDRESS}/24", "dev", BRIDGE)
        self._ip("link", "set", BRIDGE, "up")
        # Without a default route the kernel would refuse a cluster IP before kube-proxy's rules see it.
        self._ip("route", "add", SERVICE_RANGE, "dev", BRIDGE)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")

    def unmake(self) -> None:
        """End all processes in the cgroup; then remove mounts, rules, links and all data except the logs.

        Raises:
            TimeoutError: a process survived SIGKILL.
        """
        if "cgroup" not in self.__dict__:
            return
        self.cgroup.kill()
        for mount in reversed(mounts_below(self.site.folder, self.sockets)):
            self._run("umount", "--lazy", mount)
        self._run(self.site.programs["nft"], "flush", "ruleset")
        self._run(self.site.programs["ip"], "link", "delete", BRIDGE)
        self.cgroup.remove()
        for folder in (self.sockets, *self.site.folder.glob("*/data-of-node")):
            shutil.rmtree(folder, ignore_errors=True)

    def _ip(self, *arguments: str) -> None:
        answer = self._run(self.site.programs["ip"], *arguments)
        if answer.returncode != 0:
            raise CommandFailed(f"ip {' '.join(arguments)} failed", details=answer.stderr.strip())

    def _run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)


def mounts_below(*folders: Path) -> list[Path]:
    """Return the mounts below folders, in the order in which they were mounted."""
    # The kernel writes blanks in paths as octal numbers.
    lines = Path("/proc/self/mounts").read_text().splitlines()
    points = [Path(line.split()[1].encode().decode("unicode_escape")) for line in lines]
    return [point for point in points if any(folder in point.parents for folder in folders)]
