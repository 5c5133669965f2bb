"""``certwright run`` as a process of its own, the way users run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from testbed.ports import allocator
from testbed.web import fetch

if TYPE_CHECKING:
    from types import TracebackType

READY_SECONDS: Final = 120.0
STOP_SECONDS: Final = 60.0
TAIL_BYTES: Final = 20_000


class OperatorProcess:
    """The operator against one API server; started, stopped, killed and started again.

    Args:
        kubeconfig: How it reaches the API server.
        log: Where its lines go; appended to.
        operator_namespace: Where the Secrets of ClusterIssuers are.
        arguments: Further arguments of ``certwright run``.
        environment: Further environment variables.
        prepare: Python that its process runs before it begins: for pauses that are too long for a test.
    """

    def __init__(
        self,
        kubeconfig: Path,
        log: Path,
        *,
        operator_namespace: str = "certwright",
        arguments: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        prepare: str = "",
    ) -> None:
        self._kubeconfig = kubeconfig
        self._log = log
        self._operator_namespace = operator_namespace
        self._arguments = arguments
        self._environment = environment or {}
        self._program = [str(Path(sys.executable).parent / "certwright")]
        if prepare:
            self._program = [sys.executable, "-c", f"{prepare}\nfrom certwright.cli.main import main\nmain()"]
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise AssertionError("the operator is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> None:
        """Start it; by default wait until ``/readyz`` reports ready.

        Raises:
            AssertionError: It ended, or was not ready in time; the end of its log is in the message.
        """
        self._port = allocator.take()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._program,
                    "run",
                    "--http-host=127.0.0.1",
                    f"--http-port={self._port}",
                    f"--operator-namespace={self._operator_namespace}",
                    "--log-format=text",
                    *self._arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "KUBECONFIG": str(self._kubeconfig), **self._environment},
                start_new_session=True,
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> float:
        """Wait until it is ready; return how many seconds that took."""
        began = time.monotonic()
        while time.monotonic() - began < READY_SECONDS:
            if not self.running:
                raise AssertionError(f"the operator ended unexpectedly:\n{self.tail()}")
            try:
                if fetch(f"http://127.0.0.1:{self._port}/readyz", timeout=2.0).status == 200:  # noqa: PLR2004 - OK
                    return time.monotonic() - began
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the operator was not ready within {READY_SECONDS:g} s:\n{self.tail()}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        """Stop it with SIGTERM or SIGINT and wait; return its exit code, None if it did not run.

        Raises:
            AssertionError: It did not end in time; it is killed then.
        """
        process, self._process = self._process, None
        if process is None:
            return None
        process.send_signal(number)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the operator did not stop within {STOP_SECONDS:g} s:\n{self.tail()}") from None

    def wait_end(self, seconds: float) -> int:
        """Wait until it ends by itself, and return its exit code.

        Raises:
            AssertionError: It did not in time; it runs on.
        """
        if self._process is None:
            raise AssertionError("the operator is not running")
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the operator did not end within {seconds:g} s:\n{self.tail()}") from None

    def suspend(self) -> None:
        """Suspend it (SIGSTOP) until `resume`, as a machine without memory or a suspended one would."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Resume it."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash or a node failure would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def metrics(self) -> str:
        """Return the content of ``/metrics``."""
        return fetch(f"http://127.0.0.1:{self._port}/metrics").body.decode()

    def why_not_ready(self) -> str | None:
        """Return the problem that ``/readyz`` reports, None if it reports ready."""
        answer = fetch(f"http://127.0.0.1:{self._port}/readyz", timeout=5.0)
        return None if answer.status == 200 else answer.body.decode()  # noqa: PLR2004 - OK

    def healthy(self) -> bool:
        """Whether ``/healthz`` reports healthy."""
        return fetch(f"http://127.0.0.1:{self._port}/healthz").status == 200  # noqa: PLR2004 - OK

    def resident_megabytes(self) -> float:
        """Return the memory it holds now (VmRSS), in MB of a million bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        line = next(line for line in lines if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024 / 1e6

    def tail(self) -> str:
        """Return the end of its log."""
        if not self._log.exists():
            return "(no log)"
        return self._log.read_bytes()[-TAIL_BYTES:].decode(errors="replace")
