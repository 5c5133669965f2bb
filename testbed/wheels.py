"""The image's dependencies as wheels, fetched outside its build, which lacks this machine's network settings."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from .buildah import digest
from .errors import BinaryUnavailable
from .locations import PROJECT, cache

if TYPE_CHECKING:
    from pathlib import Path

    from .base_image import Base
    from .progress import Reporter

LOCKS = ("runtime.txt", "build.txt")
# The oldest C library that wheels name: manylinux_2_5.
OLDEST_GLIBC = 5
TIMEOUT = 900.0


def wheels_for(base: Base, reporter: Reporter) -> Path:
    """Return a folder with the locked versions as wheels, by pip with the settings of this machine.

    Raises:
        BinaryUnavailable: pip failed.
    """
    locks = [PROJECT / "requirements" / name for name in LOCKS]
    folder = cache() / "images" / "wheels" / digest([base.python, base.glibc, platform.machine(), *locks])
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={base.python}"]
    command += [f"--platform={name}" for name in platforms(base.glibc)]
    with reporter.task("downloading the image's dependencies"):
        answer = subprocess.run(
            [*command, f"--dest={unfinished}", *(f"--requirement={lock}" for lock in locks)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
    if answer.returncode != 0:
        raise BinaryUnavailable(
            "The image's dependencies could not be downloaded",
            remedy="see the output of pip above",
            details=answer.stderr,
        )
    for older in folder.parent.iterdir():
        if older != unfinished:
            shutil.rmtree(older, ignore_errors=True)
    unfinished.rename(folder)
    return folder


def platforms(glibc: str) -> list[str]:
    """Return the platform tags of wheels that run with a version of glibc, the newest first."""
    machine = platform.machine()
    newest = int(glibc.split(".")[1])
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, OLDEST_GLIBC - 1, -1)]
    # Older names, from before that scheme.
    return [*tags, *(f"manylinux{name}_{machine}" for name in ("2014", "2010", "1")), "any"]
