"""The installed Go toolchain, and builds with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .catalogue import Program, Version, parse_version
from .errors import BinaryUnavailable, DiskFull
from .locations import GO_MODULES

if TYPE_CHECKING:
    from .progress import Task

TAIL_LINES = 25
ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off", "GOTOOLCHAIN": "local"}


@dataclass(frozen=True)
class Go:
    """The Go toolchain.

    Attributes:
        executable: path of `go`.
        version: as `go env GOVERSION` says, "go1.26.8".
        build_cache: GOCACHE.
        module_cache: GOMODCACHE.
    """

    executable: str
    version: str
    build_cache: Path
    module_cache: Path

    @property
    def number(self) -> Version:
        """The version as numbers; for a development version, as far as it is known."""
        return parse_version(self.version.removeprefix("go")) or (0,)


def find_go() -> Go | None:
    """Return the Go toolchain on PATH, None if there is none that runs."""
    executable = shutil.which("go")
    if executable is None:
        return None
    command = [executable, "env", "-json", "GOVERSION", "GOCACHE", "GOMODCACHE"]
    answer = subprocess.run(command, capture_output=True, check=False, env=go_environment(), timeout=60)
    if answer.returncode != 0:
        return None
    values = json.loads(answer.stdout)
    return Go(executable, values["GOVERSION"], Path(values["GOCACHE"]), Path(values["GOMODCACHE"]))


def needed_version(module: str) -> Version:
    """Return the version that the `go` line of a module's go.mod asks for."""
    for line in (GO_MODULES / module / "go.mod").read_text().splitlines():
        if line.startswith("go "):
            return parse_version(line.removeprefix("go ")) or (0,)
    return (0,)


def check_go(go: Go | None, program: Program) -> Go:
    """Return `go` if it can build the program.

    Raises:
        BinaryUnavailable: Go is missing or too old.
    """
    wanted = needed_version(program.module.name)
    number = ".".join(map(str, wanted))
    if go is None:
        raise BinaryUnavailable(
            f"{program.name} must be built, but Go is not on PATH",
            remedy=f"install Go {number} or later and put its bin folder on PATH",
        )
    if go.number < wanted:
        raise BinaryUnavailable(
            f"{program.name} must be built with Go {number} or later, but {go.executable} is {go.version}",
            remedy=f"install Go {number} or later and put its bin folder first on PATH",
        )
    return go


def check_room(program: Program, go: Go, target: Path) -> None:
    """Check that a build has enough disk space, before it runs for ten minutes and fails.

    Raises:
        DiskFull: a file system that it writes to has too little.
    """
    downloaded = (go.module_cache / program.module.sources).exists()
    wanted = program.module.room // 3 if downloaded else program.module.room
    for folder in (go.build_cache, go.module_cache, target):
        free = shutil.disk_usage(_existing(folder)).free
        if free < wanted:
            raise DiskFull(
                f"Building {program.name} needs about {_gib(wanted)} in {folder}, but only {_gib(free)} are free",
                remedy="free up space, or point GOCACHE, GOMODCACHE and XDG_CACHE_HOME to a larger file system",
            )


def build(go: Go, program: Program, output: Path, *, log: Path, task: Task) -> None:
    """Build a program into the file `output`.

    Raises:
        BinaryUnavailable: the build failed; the error shows the end of its output.
        DiskFull: the build ran out of room.
    """
    folder = GO_MODULES / program.module.name
    task.total(_count_packages(go, program, folder, task))
    command = [go.executable, "build", "-v", "-trimpath", "-ldflags", program.module.ldflags]
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    compiled = 0
    with (
        log.open("w") as record,
        subprocess.Popen(
            [*command, "-o", str(output), program.package],
            cwd=folder,
            env=go_environment(),
            text=True,
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                record.write(line)
                tail.append(line)
                # `go build -v` names a package when it starts on it; downloads and errors read differently.
                compiled += " " not in line.strip()
                task.step(compiled, line.strip())
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise _failure(program, "".join(tail), log)


def _failure(program: Program, tail: str, log: Path) -> BinaryUnavailable | DiskFull:
    if "no space left on device" in tail.lower():
        return DiskFull(
            f"The disk became full while {program.name} was built",
            remedy="free up space (`go clean -cache` clears Go's build cache) and try again",
            details=tail,
        )
    return BinaryUnavailable(
        f"Building {program.name} failed",
        remedy=f"see the full output in {log}; if a download failed, check the network or GOPROXY",
        details=tail,
    )


def _count_packages(go: Go, program: Program, folder: Path, task: Task) -> int:
    """Return how many packages the program consists of; 0 if that fails, and the build then says why."""
    task.step(0, "counting packages")
    answer = subprocess.run(
        [go.executable, "list", "-deps", "-f", "{{.ImportPath}}", program.package],
        cwd=folder,
        env=go_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return len(answer.stdout.splitlines()) if answer.returncode == 0 else 0


def go_environment() -> dict[str, str]:
    """Return the environment that `go` is run with."""
    return {**os.environ, **ENVIRONMENT}


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"
