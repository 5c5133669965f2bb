"""Certwright's own image, built from the checkout as its users build it, as an archive that containerd imports."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .base_image import base_image, base_key
from .buildah import cached_archive, digest
from .debian import find_or_install
from .image_store import ImageStore
from .locations import PROJECT, cache
from .wheels import wheels_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .progress import Reporter

CERTWRIGHT = "localhost/certwright:dev"
INPUTS = (
    "Dockerfile",
    "docker",
    "operator",
    "requirements/runtime.txt",
    "requirements/build.txt",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
NO_INPUT = {".pyc"}


def certwright_image(reporter: Reporter) -> Path:
    """Return the image `localhost/certwright:dev` as an OCI archive; built if the checkout has changed.

    The first build takes two to three minutes, later ones after a change of the code take seconds.

    Raises:
        BinaryUnavailable: buildah, debootstrap or a dependency cannot be had, or the build failed.
        BedError: an image has to be built, which takes root.
    """
    key = digest([base_key(), *(part for name in inputs() for part in (name, PROJECT / name))])

    def build(archive: Path) -> None:
        store = ImageStore.open(find_or_install(("buildah",), reporter)["buildah"])
        store.make_room()
        build_from_checkout(store, CERTWRIGHT, archive, reporter)

    return cached_archive("certwright", key, build, display=reporter)


def build_from_checkout(
    store: ImageStore,
    name: str,
    archive: Path,
    reporter: Reporter,
    *,
    base: str | None = None,
    arguments: Mapping[str, str] | None = None,
    timestamp: int = 0,
) -> None:
    """Build the image and write it as an archive.

    Args:
        store: where layers are kept.
        name: of the image, with its tag.
        archive: is written.
        reporter: is shown the work.
        base: a base image that pip can install in; None for one made of this machine's Debian.
        arguments: more values of ARG lines.
        timestamp: Unix time that the image and its files get.

    Raises:
        BinaryUnavailable: debootstrap or a dependency cannot be had, or the build failed.
    """
    wheels = None
    if base is None:
        own = base_image(store, find_or_install(("debootstrap",), reporter)["debootstrap"], reporter)
        base, wheels = own.name, wheels_for(own, reporter)
    with reporter.task(f"building the image {name}") as task, context(inputs(), wheels) as folder:
        store.build(folder, name, task, arguments={"BASE": base, **(arguments or {})}, timestamp=timestamp)
        store.push(name, archive, task)


def inputs() -> list[str]:
    """Return the files that the image is built from, as paths in the project."""
    found = []
    for name in INPUTS:
        path = PROJECT / name
        found += [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return sorted(str(file.relative_to(PROJECT)) for file in found if file.suffix not in NO_INPUT)


@contextmanager
def context(files: list[str], wheels: Path | None) -> Iterator[Path]:
    """Lay out a folder to build from: files, and wheels to install without an index; all time stamps are equal."""
    (cache() / "images").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="context-", dir=cache() / "images"))
    try:
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROJECT / name, folder / name)
        if wheels is not None:
            shutil.copytree(wheels, folder / "requirements" / "wheels")
        for path in folder.rglob("*"):
            os.utime(path, (0, 0))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
