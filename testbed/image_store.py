"""buildah's storage for images that are built repeatedly: it keeps layers that did not change."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import BedError, BinaryUnavailable
from .locations import cache

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .progress import Task

TAIL_LINES = 25
TIMEOUT = 1800.0
ROOM = 6 << 30
# The one that shares what layers have in common, and the one that works everywhere.
DRIVERS = ("overlay", "vfs")


@dataclass(frozen=True)
class ImageStore:
    """A storage of our own; takes root.

    Attributes:
        buildah: the executable.
        folder: all of the storage.
        driver: buildah's storage driver.
    """

    buildah: Path
    folder: Path
    driver: str

    @classmethod
    def open(cls, buildah: Path) -> ImageStore:
        """Return the storage in the cache, with the best driver that works on its file system.

        Raises:
            BedError: we are not root.
            BinaryUnavailable: no driver works.
        """
        if os.geteuid() != 0:
            raise BedError("Building an image with buildah requires root", remedy="run it with sudo")
        for driver in DRIVERS:
            store = cls(buildah, cache() / "buildah" / driver, driver)
            store.folder.mkdir(parents=True, exist_ok=True)
            answer = subprocess.run(
                [*store._command(), "info"], capture_output=True, text=True, check=False, timeout=TIMEOUT
            )
            if answer.returncode == 0:
                return store
            shutil.rmtree(store.folder, ignore_errors=True)
        raise BinaryUnavailable(
            f"buildah cannot store images in {cache() / 'buildah'}",
            remedy="run it as root, on a local file system",
            details=answer.stderr,
        )

    def has(self, name: str) -> bool:
        """Tell whether it holds an image."""
        answer = subprocess.run(
            [*self._command(), "inspect", "--type=image", name], capture_output=True, check=False, timeout=TIMEOUT
        )
        return answer.returncode == 0

    def pull(self, name: str) -> bool:
        """Fetch an image from its registry; tell whether that worked."""
        answer = subprocess.run(
            [*self._command(), "pull", "--quiet", name], capture_output=True, check=False, timeout=TIMEOUT
        )
        return answer.returncode == 0

    def build(
        self,
        context: Path,
        name: str,
        task: Task,
        *,
        timestamp: int = 0,
        arguments: Mapping[str, str] | None = None,
    ) -> None:
        """Build the image of a folder's Dockerfile, reusing layers that still fit.

        Args:
            context: the folder.
            name: of the image, with its tag.
            task: is shown each step.
            timestamp: Unix time that all files and the image get, so that the same input gives the same image.
            arguments: values of ARG lines.

        Raises:
            BinaryUnavailable: buildah failed; the error shows the end of its output.
        """
        words = [f"--build-arg={key}={value}" for key, value in (arguments or {}).items()]
        self._run(
            ["bud", "--layers", "--isolation=chroot", f"--timestamp={timestamp}", f"--tag={name}", *words, context],
            f"The image {name} could not be built",
            task,
        )

    def push(self, name: str, archive: Path, task: Task) -> None:
        """Write an image as an OCI archive that holds its name, in one step.

        Raises:
            BinaryUnavailable: buildah failed.
        """
        archive.parent.mkdir(parents=True, exist_ok=True)
        unfinished = archive.with_name(f"{archive.name}.unfinished")
        unfinished.unlink(missing_ok=True)
        self._run(["push", name, f"oci-archive:{unfinished}:{name}"], f"The image {name} could not be written", task)
        unfinished.rename(archive)

    def make_room(self) -> None:
        """Remove all layers if they have grown beyond ROOM; the next build then takes a minute longer."""
        used = sum(path.lstat().st_size for path in self.folder.rglob("*") if path.is_file())
        if used > ROOM:
            command = [*self._command(), "rmi", "--all", "--force"]
            subprocess.run(command, capture_output=True, check=False, timeout=TIMEOUT)

    def _run(self, words: list[str | Path], problem: str, task: Task) -> None:
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        steps = 0
        with subprocess.Popen(
            [*self._command(), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            try:
                for line in process.stdout or ():
                    tail.append(line)
                    steps += "STEP " in line
                    task.step(steps, line.strip())
            except BaseException:
                process.terminate()
                raise
        if process.returncode != 0:
            raise BinaryUnavailable(
                f"{problem}: buildah ended with status {process.returncode}",
                remedy="see the end of its output above",
                details="".join(tail),
            )

    def _command(self) -> list[str | Path]:
        root, run = self.folder / "root", self.folder / "run"
        return [self.buildah, f"--root={root}", f"--runroot={run}", f"--storage-driver={self.driver}"]
