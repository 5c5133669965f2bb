"""The base of Certwright's image where no registry can be reached: a Debian made with debootstrap."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections import deque
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .buildah import digest
from .errors import BinaryUnavailable
from .locations import cache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .image_store import ImageStore
    from .progress import Reporter

PACKAGES = ("ca-certificates", "python3", "python3-venv")
TAIL_LINES = 25
DEBIAN = "Debian"
DOCKERFILE = "FROM scratch\nCOPY root /\n"
# Files that only apt and dpkg need; a base is never updated but made again.
NOT_NEEDED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/man", "usr/share/locale")
ASK = "import json, platform; print(json.dumps([platform.python_version(), platform.libc_ver()[1]]))"


@dataclass(frozen=True)
class Base:
    """A base image in the storage.

    Attributes:
        name: with its tag.
        python: its Python's version, "3.11".
        glibc: its C library's version, "2.36".
    """

    name: str
    python: str
    glibc: str


def base_key() -> str:
    """Return what names this machine's base."""
    return digest([platform.freedesktop_os_release().get("VERSION_CODENAME", ""), platform.machine(), *PACKAGES])


def base_image(store: ImageStore, debootstrap: Path, reporter: Reporter) -> Base:
    """Return a Debian of this machine's own release, from the mirror that its apt uses; made if it is missing.

    Args:
        store: gets the image.
        debootstrap: the executable.
        reporter: is shown the work, which takes a minute and a half.

    Raises:
        BinaryUnavailable: this machine is no Debian, or debootstrap failed.
    """
    key = base_key()
    name = f"localhost/certwright-base:{key}"
    facts = cache() / "images" / "base" / f"{key}.json"
    if facts.exists() and store.has(name):
        return Base(**json.loads(facts.read_text()))
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    mirror = _mirror(suite)
    facts.parent.mkdir(parents=True, exist_ok=True)
    with (
        reporter.task(f"creating a base image, Debian {suite}") as task,
        _folder() as folder,
    ):
        root = folder / "root"
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        command: list[str | Path] = [
            debootstrap,
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            suite,
            root,
            mirror,
        ]
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            for number, line in enumerate(process.stdout or ()):
                tail.append(line)
                task.step(number, line.removeprefix("I:").strip())
        if process.returncode != 0:
            raise BinaryUnavailable(
                f"debootstrap ended with status {process.returncode}",
                remedy="check that apt-get update works here, or specify a base image that can be pulled: BASE=...",
                details="".join(tail),
            )
        answer = subprocess.run(["chroot", root, "python3", "-c", ASK], capture_output=True, text=True, check=True)
        python, glibc = json.loads(answer.stdout)
        for path in NOT_NEEDED:
            shutil.rmtree(root / path, ignore_errors=True)
        (folder / "Dockerfile").write_text(DOCKERFILE)
        store.build(folder, name, task)
    base = Base(name, ".".join(python.split(".")[:2]), glibc)
    facts.write_text(json.dumps(asdict(base)))
    return base


def _mirror(suite: str) -> str:
    """Return the address that apt gets the release's packages from."""
    answer = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)",
            "Created-By: Packages",
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    for line in answer.stdout.splitlines():
        origin, codename, component, address = line.split("|", 3)
        if (origin, codename, component) == (DEBIAN, suite, "main"):
            return address
    raise BinaryUnavailable(
        "The base image is created from this machine's Debian release, but apt does not know which one that is",
        remedy="run apt-get update; on other systems, specify a base image that can be pulled: BASE=python:3.13-slim",
    )


@contextmanager
def _folder() -> Iterator[Path]:
    # Not in /tmp: it may be mounted without devices, and debootstrap creates some.
    folder = Path(tempfile.mkdtemp(prefix="base-", dir=cache() / "images"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
