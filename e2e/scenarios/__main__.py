"""Runs the scenarios in two halves at once, each on a bed of its own: most of their time they wait for pods.

`python -m scenarios` as root, with any arguments of pytest's; `make e2e` runs it. What the second half says is shown
when both have ended. With KEEP=1 all run one after another, on one bed that can be looked into.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NoReturn

from scenarios.halves import HALVES, status_of
from testbed.process import heed_interrupts

if TYPE_CHECKING:
    from collections.abc import Sequence

STOP_SECONDS: Final = 90.0
SCENARIOS: Final = Path(__file__).parent


def command(arguments: Sequence[str]) -> list[str]:
    """Return what runs scenarios in namespaces of their own, and ends with us."""
    isolated = [sys.executable, "-m", "testbed", "isolated", "--"]
    if setpriv := shutil.which("setpriv"):
        isolated = [setpriv, "--pdeathsig", "TERM", "--", *isolated]
    return [*isolated, sys.executable, "-m", "pytest", *arguments]


def run_side_by_side(arguments: Sequence[str]) -> int:
    """Run both halves and return pytest's status."""
    with ExitStack() as stack:
        outputs: list[IO[str] | None] = [None, stack.enter_context(tempfile.TemporaryFile("w+"))]
        running = [
            subprocess.Popen(command([f"--half={half}", *arguments]), stdout=output, stderr=output)
            for half, output in zip(HALVES, outputs, strict=True)
        ]
        try:
            statuses = [process.wait() for process in running]
        except KeyboardInterrupt:
            for process in running:
                process.terminate()
            statuses = [process.wait(STOP_SECONDS) for process in running]
        for output in outputs:
            if output is not None:
                output.seek(0)
                shutil.copyfileobj(output, sys.stdout)
                sys.stdout.flush()
    return status_of(statuses)


def main() -> int:
    """Run the scenarios that the arguments choose, or all."""
    given = sys.argv[1:]
    arguments = given if any(Path(one.partition("::")[0]).exists() for one in given) else [str(SCENARIOS), *given]
    if os.environ.get("KEEP"):
        return subprocess.run(command(arguments), check=False).returncode
    heed_interrupts()
    signal.signal(signal.SIGTERM, _interrupt)
    return run_side_by_side(arguments)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
