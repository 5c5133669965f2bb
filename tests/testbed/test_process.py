from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.locations import PACKAGE
from testbed.process import Process, ProcessIdentity, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[[str], Process]

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)
OBEDIENT = "import time; print('ready', flush=True); time.sleep(60)"
PARENT = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print('ready', flush=True); time.sleep(60)"
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def run(program: str) -> Process:
        log = tmp_path / f"{len(started)}.log"
        process = Process.start(
            [sys.executable, "-c", program],
            log=log,
            cwd=tmp_path,
            environment={"PATH": os.environ["PATH"]},
            die_with_us=True,
        )
        started.append(process)
        assert wait_until(lambda: "ready" in log.read_text(), timeout=60)
        return process

    yield run
    for process in started:
        process.stop(grace=0)


def members(group: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == group and ProcessIdentity.of(int(entry.name)):
                    found.append(int(entry.name))
            except ProcessLookupError:
                continue
    return found


def test_stop_ends_a_process_that_obeys_at_once(start: Start) -> None:
    process = start(OBEDIENT)
    process.stop(grace=60)
    assert process.exit_code == -signal.SIGTERM


def test_stop_kills_a_process_that_does_not_obey(start: Start) -> None:
    process = start(STUBBORN)
    process.stop(grace=0.2)
    assert process.exit_code == -signal.SIGKILL


def test_stop_ends_the_children_too(start: Start) -> None:
    process = start(PARENT)
    group = process.identity.pid
    assert wait_until(lambda: len(members(group)) == 2, timeout=60)
    process.stop()
    assert wait_until(lambda: members(group) == [], timeout=60)


def test_stopping_twice_is_no_error(start: Start) -> None:
    process = start(OBEDIENT)
    process.stop()
    process.stop()


def test_a_recycled_pid_is_left_alone(start: Start) -> None:
    process = start(OBEDIENT)
    earlier = ProcessIdentity(process.identity.pid, process.identity.started - 1)
    assert not earlier.runs()
    Process(earlier).stop(grace=0)
    assert process.runs()


def test_a_process_known_by_identity_alone_can_be_ended(start: Start) -> None:
    process = start(OBEDIENT)
    # Reaped by its parent as it ends; of another parent's child the zombie counts as gone.
    Process(process.identity).stop()
    assert not process.runs()


def test_a_zombie_does_not_run() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    try:
        assert wait_until(lambda: ProcessIdentity.of(child) is None, timeout=60)
    finally:
        os.waitpid(child, 0)


def test_ctrl_c_is_heeded_where_a_shell_had_it_ignored() -> None:
    program = "import signal; from testbed.process import heed_interrupts;{} signal.raise_signal(signal.SIGINT)"
    in_background = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c"]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    codes = [
        subprocess.run(  # noqa: S603 - programs of this very test
            [*in_background, program.format(heed)], env=environment, check=False, capture_output=True, timeout=60
        ).returncode
        for heed in ("", " heed_interrupts();")
    ]
    assert codes == [0, -signal.SIGINT]


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_a_child_outlives_the_thread_that_asked_for_it(start: Start) -> None:
    with ThreadPoolExecutor(1) as pool:
        process = pool.submit(start, OBEDIENT).result()
    assert not wait_until(lambda: not process.runs(), timeout=0.3)
