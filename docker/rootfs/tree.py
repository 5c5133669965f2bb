"""The root file system under construction."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_MODE: Final = 0o644
PROGRAM_MODE: Final = 0o755
LINKS_AT_MOST: Final = 40
"""As many as the kernel follows."""


class Tree:
    """Copies paths of the running file system to the same paths below a folder, links as links.

    Args:
        root: The folder.
        source: Where the paths are taken from; "/" but for tests.
    """

    def __init__(self, root: Path, source: Path = Path("/")) -> None:
        self.root = root
        self.source = source
        self.copied: set[str] = set()

    def add(self, path: str) -> None:
        """Copy one file and each link on the way to it: `/lib/x.so` takes `/lib -> usr/lib` along.

        Raises:
            FileNotFoundError: There is no such file.
        """
        done, left = Path("/"), [part for part in Path(path).parts if part != "/"]
        links = 0
        while left:
            part = left.pop(0)
            if part == "..":
                done = done.parent
                continue
            here = self.source / (done / part).relative_to("/")
            if here.is_symlink() and links < LINKS_AT_MOST:
                links += 1
                target = here.readlink()
                self.link(str(done / part), str(target))
                if target.is_absolute():
                    done = Path("/")
                left = [*(name for name in target.parts if name != "/"), *left]
                continue
            done /= part
        self._copy(str(done))

    def link(self, path: str, target: str) -> None:
        """Create a symbolic link unless it exists."""
        link = self.at(path)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(target)

    def write(self, path: str, content: str) -> None:
        """Write a text file."""
        file = self.at(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(FILE_MODE)

    def at(self, path: str) -> Path:
        """Return where an absolute path lies below the root."""
        return self.root / path.lstrip("/")

    def files(self) -> Iterator[Path]:
        """Yield the regular files, in the same order on every machine."""
        for folder, folders, names in os.walk(self.root):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if not path.is_symlink():
                    yield path

    def _copy(self, path: str) -> None:
        if path in self.copied:
            return
        source, target = self.source / path.lstrip("/"), self.at(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        # No set-uid bit and no group's rights come along.
        target.chmod(PROGRAM_MODE if os.access(source, os.X_OK) else FILE_MODE)
        self.copied.add(path)
