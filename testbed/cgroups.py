"""The cgroup of a bed with a node: whatever runs in it belongs to the bed and ends with it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .process import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

MOUNT = Path("/sys/fs/cgroup")
KILL_SECONDS = 10.0
REMOVE_SECONDS = 5.0
# For processes outside any container; a group with sub-groups may hold none itself (cgroup v2).
LEAF = "runtime"


@dataclass(frozen=True)
class CgroupTree:
    """One cgroup in all hierarchies: in the only one (v2), or in each controller's own (v1).

    Attributes:
        name: below the root of each hierarchy.
        mount: where cgroups are mounted.
    """

    name: str
    mount: Path = MOUNT

    @classmethod
    def find_all(cls, prefix: str, mount: Path = MOUNT) -> list[CgroupTree]:
        """Return all trees whose names begin with `prefix`."""
        names = {path.name for root in _hierarchies(mount) for path in root.glob(f"{prefix}*") if path.is_dir()}
        return [cls(name, mount) for name in sorted(names)]

    def create(self) -> None:
        """Make it in all hierarchies.

        Raises:
            OSError: the machine does not let us.
        """
        for root in _hierarchies(self.mount):
            (root / self.name / LEAF).mkdir(parents=True, exist_ok=True)

    @property
    def entrances(self) -> list[Path]:
        """Files to which a process writes its id to join the tree, outside any container."""
        roots = _hierarchies(self.mount)
        # cpuset takes no process before it is given CPUs, and one hierarchy is enough to be found by.
        named = [root for root in roots if root.name in {"pids", "freezer", "systemd"}]
        return [root / self.name / LEAF / "cgroup.procs" for root in (named or roots)[:1]]

    def processes(self) -> set[int]:
        """Return the ids of all its processes that are in our process namespace."""
        return self._members() - {0}

    def in_use(self) -> bool:
        """Whether it holds processes, in any process namespace."""
        return bool(self._members())

    def kill(self) -> None:
        """End all processes in it with SIGKILL, and wait until they are gone.

        Raises:
            TimeoutError: some are left after ten seconds.
        """

        def gone() -> bool:
            left = self.processes()
            for identifier in left:
                with suppress(ProcessLookupError):
                    os.kill(identifier, signal.SIGKILL)
            return not left

        if not wait_until(gone, timeout=KILL_SECONDS):
            raise TimeoutError(f"processes of {self.name} survived SIGKILL: {sorted(self.processes())}")

    def remove(self) -> None:
        """Remove it from all hierarchies, from the bottom up, except groups with processes.

        The kernel holds a group for a moment after its last process has ended.
        """

        def gone() -> bool:
            for group in self._groups():
                with suppress(OSError):
                    group.rmdir()
            return not self.exists()

        wait_until(gone, timeout=REMOVE_SECONDS)

    def exists(self) -> bool:
        """Whether any part of it remains."""
        return any((root / self.name).exists() for root in _hierarchies(self.mount))

    def _members(self) -> set[int]:
        found: set[int] = set()
        for group in self._groups():
            with suppress(OSError):
                # For processes outside our process namespace the kernel shows 0.
                found.update(map(int, (group / "cgroup.procs").read_text().split()))
        return found

    def _groups(self) -> Iterator[Path]:
        """Every group of the tree, children before their parents."""
        for root in _hierarchies(self.mount):
            for folder, _, _ in os.walk(root / self.name, topdown=False):
                yield Path(folder)


def _hierarchies(mount: Path) -> list[Path]:
    if (mount / "cgroup.controllers").exists():
        return [mount]
    if not mount.is_dir():
        return []
    # Links such as cpu -> cpu,cpuacct name a hierarchy a second time.
    return sorted(path for path in mount.iterdir() if not path.is_symlink() and (path / "cgroup.procs").exists())
