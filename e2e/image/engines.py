"""docker, podman or buildah: whichever is installed and works."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from testbed.debian import find_or_install
from testbed.errors import BinaryUnavailable, CommandFailed
from testbed.image_store import ImageStore
from testbed.images import build_from_checkout
from testbed.locations import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed.progress import Reporter

ENGINES = ("docker", "podman")


def find_engine() -> str | None:
    """Return docker or podman if it is installed and works; docker without its daemon does not."""
    for engine in ENGINES:
        if shutil.which(engine):
            answer = subprocess.run([engine, "info"], capture_output=True, check=False, timeout=60)
            if answer.returncode == 0:
                return engine
    return None


def has_base(engine: str, base: str) -> bool:
    """Tell whether docker or podman has a base image, or can pull it."""
    for command in ([engine, "image", "inspect", base], [engine, "pull", "--quiet", base]):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return True
    return False


def build_with_engine(engine: str, name: str, archive: Path, arguments: Mapping[str, str]) -> None:
    """Build with docker or podman, whose own output shows the progress, and write the archive.

    Raises:
        CommandFailed: it could not.
    """
    words = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
    for command in (
        [engine, "build", "--tag", name, *words, str(PROJECT)],
        [engine, "save", "--output", str(archive), name],
    ):
        # podman adds to an archive that is there.
        archive.unlink(missing_ok=True)
        answer = subprocess.run(command, check=False)
        if answer.returncode != 0:
            raise CommandFailed(
                f"{engine} {command[1]} ended with status {answer.returncode}",
                remedy="see the end of its output above; BASE=... selects a different base image",
            )


def build_with_buildah(
    name: str,
    archive: Path,
    arguments: Mapping[str, str],
    reporter: Reporter,
    *,
    timestamp: int,
    base: str,
    public_base: str,
) -> None:
    """Build with buildah: from `base`, the public base image, or one made from this machine's Debian.

    Raises:
        BinaryUnavailable: `base` cannot be pulled, buildah is missing, or the build failed.
        BedError: this takes root.
    """
    store = ImageStore.open(find_or_install(("buildah",), reporter)["buildah"])
    wanted = base or public_base
    reachable = store.has(wanted) or store.pull(wanted)
    if base and not reachable:
        raise BinaryUnavailable(f"The base image {base} cannot be pulled", remedy="check the name and the network")
    if not reachable:
        reporter.say(f"{public_base} cannot be pulled; creating the base image from this machine's Debian instead")
    archive.unlink(missing_ok=True)
    build_from_checkout(
        store, name, archive, reporter, base=wanted if reachable else None, arguments=arguments, timestamp=timestamp
    )
