"""What all parts of a bed share: a folder, ports, a log, a supervised start and an orderly stop."""

from __future__ import annotations

import os
import re
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .errors import BedError, PartFailed, PortTaken
from .ports import LOOPBACK
from .process import POLL, STOP_GRACE, Process

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from .certificates import BedAuthority
    from .ports import PortAllocator

PORT_ATTEMPTS = 3
READY_TIMEOUT = 180.0
LOG_CHECK_INTERVAL = 0.5
TAIL_LINES = 30
MAX_TAIL_BYTES = 64 << 10
_TAKEN = re.compile(rb"address (?:is )?already in use|address in use|EADDRINUSE", re.IGNORECASE)
# What parts see of our environment; the rest would only make two runs differ.
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "TZ")


@dataclass(frozen=True)
class Site:
    """What a bed provides to its parts.

    Attributes:
        folder: of the bed.
        authority: issues the parts' certificates.
        programs: paths of the executables by name.
        ports: hands out free ports.
        die_with_us: parts end when this Python process ends, however it ends.
        changed: called after a part started or stopped.
        abort: when set, parts that are starting give up.
        address: of the parts that pods use: the node's if there is one.
        listen: the address on which these parts listen, besides loopback.
    """

    folder: Path
    authority: BedAuthority
    programs: Mapping[str, Path]
    ports: PortAllocator
    die_with_us: bool
    changed: Callable[[], None]
    abort: threading.Event
    address: str = LOOPBACK
    listen: str = LOOPBACK


class Part(ABC):
    """One program of the bed.

    A part can be stopped and started again: on the same ports, with the files it left in its folder.
    """

    program: ClassVar[str]
    port_names: ClassVar[tuple[str, ...]] = ("main",)
    stop_grace: ClassVar[float] = STOP_GRACE

    def __init__(self, site: Site, name: str | None = None) -> None:
        self.site = site
        self.name = name or self.program
        self.folder = site.folder / self.name
        self.log = self.folder / f"{self.name}.log"
        self.ports: dict[str, int] = {}
        self.fixed_ports: dict[str, int] = {}
        self.start_seconds: float | None = None
        self.process: Process | None = None
        self._log_start = 0

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Write the configuration files and return the command line."""

    @abstractmethod
    def ready(self) -> bool:
        """Tell whether the part is ready."""

    def environment(self) -> dict[str, str]:
        """Return variables for the part beyond PATH, HOME and the like."""
        return {}

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.runs()

    def start(self) -> None:
        """Start it and wait until it is ready; do nothing if it runs already.

        Raises:
            PortTaken: another program has its port, after a few attempts.
            PartFailed: it ended, or did not serve in time; the error shows the end of its log.
        """
        if self.running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        # Other parts rely on the ports of an earlier start.
        fixed = self.start_seconds is not None
        for attempt in range(PORT_ATTEMPTS):
            if not fixed and (attempt > 0 or not self.ports):
                free = {name: self.site.ports.take() for name in self.port_names if name not in self.fixed_ports}
                self.ports = free | self.fixed_ports
            try:
                self._start_once()
            except PortTaken:
                if attempt + 1 == PORT_ATTEMPTS or self.fixed_ports:
                    raise
            else:
                return

    def stop(self, *, grace: float | None = None) -> None:
        """End it: SIGTERM, `grace` seconds (None for the part's own default), SIGKILL."""
        if self.process is not None:
            self.process.stop(grace=self.stop_grace if grace is None else grace)
            self.process = None
            self.site.changed()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        self.stop(grace=0)

    def tail(self, lines: int = TAIL_LINES) -> str:
        """Return the last lines of its log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - MAX_TAIL_BYTES))
                return b"\n".join(file.read().splitlines()[-lines:]).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def _start_once(self) -> None:
        began = time.monotonic()
        command = self.command()
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        inherited = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self.process = Process.start(
            command,
            log=self.log,
            cwd=self.folder,
            environment={**inherited, **self.environment()},
            die_with_us=self.site.die_with_us,
        )
        # Written before it is ready, so that a clean-up after a crash finds it.
        self.site.changed()
        try:
            self._await_ready(self.process, began + READY_TIMEOUT)
        except BaseException:
            self.stop(grace=1.0)
            raise
        self.start_seconds = time.monotonic() - began
        self.site.changed()

    def _await_ready(self, process: Process, deadline: float) -> None:
        next_log_check = time.monotonic() + LOG_CHECK_INTERVAL
        while True:
            code = process.exit_code
            now = time.monotonic()
            if code is not None or now >= next_log_check:
                self._check_ports()
                next_log_check = now + LOG_CHECK_INTERVAL
            if code is not None:
                raise self._failed(f"{self.name} exited with status {code} during startup")
            if self.ready():
                return
            if self.site.abort.is_set():
                raise PartFailed(f"{self.name} was not started: another component failed, or the user interrupted")
            if now >= deadline:
                raise self._failed(f"{self.name} was not ready within {READY_TIMEOUT:.0f} s")
            time.sleep(POLL)

    def _check_ports(self) -> None:
        """Look in the log for a port that could not be bound: BIND, for example, continues without it."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            taken = _TAKEN.search(file.read())
        if taken:
            numbers = ", ".join(f"{number} ({name})" for name, number in self.ports.items())
            raise PortTaken(
                f"{self.name} cannot bind one of its ports {numbers} on 127.0.0.1: another program uses it",
                remedy="find it with `ss -ltnup`, stop it and start again",
                details=self.tail(5),
            )

    def _failed(self, problem: str) -> BedError:
        return PartFailed(problem, remedy=f"read its log, {self.log}", details=self.tail())
