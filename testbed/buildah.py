"""Container images without a container engine: built by buildah, kept as archives in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import BinaryUnavailable
from .locations import cache
from .locks import alone
from .progress import reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .progress import Reporter

TIMEOUT = 1800.0
TAIL_LINES = 25
KEY_LENGTH = 16
KEPT_ARCHIVES = 2


def build_image(
    buildah: Path,
    context: Path,
    name: str,
    archive: Path,
    *,
    arguments: Mapping[str, str] | None = None,
    containerfile: Path | None = None,
) -> None:
    """Build an image and write it as an OCI archive, which holds the image's name.

    Takes root. Layers and intermediate containers are kept in a folder that is removed at the end.

    Args:
        buildah: the executable.
        context: folder that COPY reads.
        name: of the image, with its tag.
        archive: is written in one step, when all went well.
        arguments: values of the ARG lines.
        containerfile: None for the one in `context`.

    Raises:
        BinaryUnavailable: buildah failed; the error shows the end of its output.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_name(f"{archive.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    build_arguments = [f"--build-arg={key}={value}" for key, value in (arguments or {}).items()]
    file = [f"--file={containerfile}"] if containerfile else []
    with _storage() as storage:
        store = [f"--root={storage / 'root'}", f"--runroot={storage / 'run'}", "--storage-driver=vfs"]
        command: list[str | Path] = [buildah, *store]
        _run([*command, "bud", "--isolation=chroot", f"--tag={name}", *file, *build_arguments, context], name)
        _run([*command, "push", name, f"oci-archive:{unfinished}:{name}"], name)
    unfinished.rename(archive)


def cached_archive(label: str, key: str, build: Callable[[Path], None], *, display: Reporter | None = None) -> Path:
    """Return the archive of an image from the cache; build it if it is missing.

    Args:
        label: names it in the cache, without a slash.
        key: changes with everything that the image is made of; see `digest`.
        build: writes the archive to the path that it is given.
        display: is told when another one is building it; None for the terminal.

    Raises:
        BinaryUnavailable: the build failed.
    """
    folder = cache() / "images" / label
    archive = folder / f"{key}.tar"
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / "lock", display or reporter()):
        if archive.exists():
            # The most recently used are kept.
            os.utime(archive)
        else:
            build(archive)
            _prune(folder, archive)
    return archive


def digest(parts: Iterable[bytes | str | Path]) -> str:
    """Return the key of a build: a digest of texts, bytes and the contents of files."""
    total = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        total.update(len(content).to_bytes(8, "big") + content)
    return total.hexdigest()[:KEY_LENGTH]


@contextmanager
def _storage() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="testbed-buildah-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prune(folder: Path, kept: Path) -> None:
    archives = sorted(folder.glob("*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for archive in archives[KEPT_ARCHIVES:]:
        if archive != kept:
            archive.unlink(missing_ok=True)


def _run(command: list[str | Path], name: str) -> None:
    answer = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=TIMEOUT,
    )
    if answer.returncode != 0:
        raise BinaryUnavailable(
            f"The image {name} could not be built: buildah ended with status {answer.returncode}",
            remedy="see the end of its output above",
            details="\n".join(answer.stdout.splitlines()[-TAIL_LINES:]),
        )
