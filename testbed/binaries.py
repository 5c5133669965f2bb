"""Find the bed's programs in KUBEBUILDER_ASSETS, on PATH or in the cache, or build them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .catalogue import PROGRAMS, Program, parse_version
from .errors import BedError, BinaryUnavailable
from .golang import Go, build, check_go, check_room, find_go
from .locations import GO_MODULES, cache
from .locks import alone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .progress import Reporter

KEY_LENGTH = 16
KEPT_BUILDS = 2


def find_or_build(names: Iterable[str], reporter: Reporter) -> dict[str, Path]:
    """Return the path of every named program.

    Args:
        names: keys of `catalogue.PROGRAMS`.
        reporter: shows what is being built.

    Raises:
        BinaryUnavailable: one can neither be found nor built.
        DiskFull: there is no room to build it.
        BedError: the cache cannot be written.
    """
    programs = [PROGRAMS[name] for name in names]
    go = find_go()
    found = {program.name: find(program, go) for program in programs}
    missing = [program for program in programs if found[program.name] is None]
    if missing:
        found.update(_build_all(missing, go, reporter))
    return {name: path for name, path in found.items() if path is not None}


def find(program: Program, go: Go | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return a program that exists already, None if it has to be built.

    Raises:
        BinaryUnavailable: KUBEBUILDER_ASSETS is set and lacks it.
    """
    if program.in_assets and (assets := environment.get("KUBEBUILDER_ASSETS")):
        path = Path(assets) / program.name
        if not os.access(path, os.X_OK):
            raise BinaryUnavailable(
                f"KUBEBUILDER_ASSETS is {assets}, which has no executable {program.name}",
                remedy="set it to the output of `setup-envtest use -p path`, or unset it to build the program",
            )
        return path
    return _on_path(program, environment) or _in_cache(program, go)


def cache_key(program: Program, go_version: str) -> str:
    """Return the key of a build: a digest of everything it is made from."""
    folder = GO_MODULES / program.module.name
    digest = hashlib.sha256()
    for path in sorted([folder / "go.mod", folder / "go.sum", *folder.rglob("*.go")]):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    digest.update(f"{program.package}\0{program.module.ldflags}\0{os.uname().machine}".encode())
    return f"{digest.hexdigest()[:KEY_LENGTH]}-{go_version}"


def _on_path(program: Program, environment: Mapping[str, str]) -> Path | None:
    path = shutil.which(program.name, path=environment.get("PATH"))
    if path is None or program.version_arguments is None:
        return None
    try:
        answer = subprocess.run(
            [path, *program.version_arguments], capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = parse_version(answer.stdout)
    return Path(path) if version is not None and program.fits(version) else None


def _in_cache(program: Program, go: Go | None) -> Path | None:
    if go is not None:
        path = _cached(program, go.version)
        return path if path.exists() else None
    # Without Go nothing can be built: any build of the same sources will do.
    builds = (cache() / "bin").glob(f"{program.name}/{cache_key(program, '*')}/{program.name}")
    return max(builds, key=lambda path: path.stat().st_mtime, default=None)


def _cached(program: Program, go_version: str) -> Path:
    return cache() / "bin" / program.name / cache_key(program, go_version) / program.name


def _build_all(missing: list[Program], go: Go | None, reporter: Reporter) -> dict[str, Path]:
    built = {}
    with _writable_cache() as folder, alone(folder / "lock", reporter):
        for number, program in enumerate(missing, 1):
            toolchain = check_go(go, program)
            target = _cached(program, toolchain.version)
            # Another bed may have built it while this one waited for the lock.
            if not target.exists():
                with reporter.task(f"[{number} of {len(missing)}] building {program.name}") as task:
                    check_room(program, toolchain, target)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    unfinished = target.with_suffix(".unfinished")
                    build(toolchain, program, unfinished, log=folder / f"build-{program.name}.log", task=task)
                    unfinished.rename(target)
                _prune(target.parent)
            built[program.name] = target
    return built


def _prune(kept: Path) -> None:
    """Remove the oldest builds of a program, except the new one and its predecessor."""
    builds = sorted(kept.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in builds[KEPT_BUILDS:]:
        if folder != kept:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _writable_cache() -> Iterator[Path]:
    folder = cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lock").touch()
        yield folder
    except PermissionError as error:
        raise BedError(
            f"The cache folder {folder} is not writable: {error.strerror}",
            remedy="make it writable, or set XDG_CACHE_HOME to a folder that is",
        ) from error
