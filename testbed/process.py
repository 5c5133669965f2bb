"""Processes of the bed: each in a process group of its own, identified by pid and start time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

STOP_GRACE = 10.0
KILL_GRACE = 30.0
POLL = 0.02

# A child that asks to die with its parent dies with the *thread* that started it; this one lives to the end.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="testbed-starter")


@dataclass(frozen=True)
class ProcessIdentity:
    """One process, told apart from a later one that was given the same pid.

    Attributes:
        pid: the process id; also its process group's.
        started: clock ticks from boot to its start (field 22 of /proc/PID/stat).
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Return the identity of the process `pid`, None if it does not run (a zombie does not)."""
        try:
            # The second field is the command in parentheses and may itself hold spaces and parentheses.
            fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        state, started = fields[0], int(fields[19])
        return None if state in "ZX" else cls(pid, started)

    def runs(self) -> bool:
        """Tell whether this very process still runs."""
        return ProcessIdentity.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process's group; do nothing if the process is gone."""
        if self.runs():
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return


class Process:
    """A running part: a child of ours, or a process that an earlier run left on purpose."""

    def __init__(self, identity: ProcessIdentity, child: subprocess.Popen[bytes] | None = None) -> None:
        self.identity = identity
        self._child = child

    @classmethod
    def start(
        cls,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path,
        environment: Mapping[str, str],
        die_with_us: bool,
    ) -> Process:
        """Start a program with its output appended to `log`.

        Args:
            command: program and arguments.
            log: file that gets standard output and error.
            cwd: its working directory.
            environment: all of its environment.
            die_with_us: end it (SIGKILL, by the kernel) when this Python process ends in whatever way.
        """
        arguments = [str(word) for word in command]
        if die_with_us and (setpriv := shutil.which("setpriv")):
            arguments = [setpriv, "--pdeathsig", "KILL", "--", *arguments]
        with log.open("ab") as output:
            child = _starter.submit(
                subprocess.Popen[bytes],
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=dict(environment),
                start_new_session=True,
            ).result()
        return cls(ProcessIdentity.of(child.pid) or ProcessIdentity(child.pid, 0), child)

    @property
    def exit_code(self) -> int | None:
        """The exit status once it has ended, negative for a signal; None while it runs."""
        if self._child is not None:
            return self._child.poll()
        return None if self.identity.runs() else -1

    def runs(self) -> bool:
        """Tell whether it still runs."""
        return self.exit_code is None

    def stop(self, *, grace: float = STOP_GRACE) -> None:
        """End it: SIGTERM, `grace` seconds, SIGKILL. Return when it is gone.

        Raises:
            TimeoutError: it survived SIGKILL, which only happens while the kernel waits for a device.
        """
        if grace > 0:
            self.send(signal.SIGTERM)
            if wait_until(lambda: not self.runs(), timeout=grace):
                return
        self.send(signal.SIGKILL)
        if not wait_until(lambda: not self.runs(), timeout=KILL_GRACE):
            raise TimeoutError(f"process {self.identity.pid} survived SIGKILL for {KILL_GRACE:.0f} s")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the whole group of the process."""
        self.identity.send(number)


def heed_interrupts() -> None:
    """Let Ctrl-C interrupt us and what we start: a shell makes its background jobs ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_until(condition: Callable[[], bool], *, timeout: float) -> bool:
    """Poll `condition` for at most `timeout` seconds; tell whether it became true."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL)
    return True
