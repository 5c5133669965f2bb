"""The command as a process: streams that are closed, full or gone, and Ctrl-C at a question."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest

from certwright.cli.cluster.exits import ExitCode

PROGRAM = """
import asyncio
from certwright.cli.cluster.exits import ExitCode
from certwright.cli.cluster.runner import complain, confirm, run, say, tell
from certwright.cli.exits import CommandError

async def command():
    {body}
    return ExitCode.DONE

raise SystemExit(run(command()))
"""
REFUSED = "raise CommandError('There is none.', ExitCode.NOT_FOUND)"
SHOWN = "say(['a line'] * 100000)"
CHANGED = "[tell('done') for _ in range(100000)]; complain('to the end')"


def shell(body: str, redirections: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHON": sys.executable,
        "PROGRAM": PROGRAM.format(body=body),
    }
    command = f'"$PYTHON" -c "$PROGRAM" {redirections}'
    return subprocess.run(  # noqa: S603 - commands of the tests
        ["/bin/bash", "-o", "pipefail", "-c", command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("body", "redirections", "code", "said"),
    [
        (SHOWN, "> /dev/full", ExitCode.FAILED, "Error: cannot write the result: no space left on device.\n"),
        (SHOWN, "| head -1 > /dev/null", ExitCode.DONE, ""),
        (SHOWN, ">&-", ExitCode.DONE, ""),
        # What changes something is not stopped half-way, and its end is told.
        (CHANGED, "| head -1 > /dev/null", ExitCode.DONE, "to the end\n"),
        (CHANGED, "> /dev/full", ExitCode.DONE, "to the end\n"),
        (CHANGED, "2>&1 | head -1 > /dev/null", ExitCode.DONE, ""),
        (REFUSED, "2> /dev/full", ExitCode.NOT_FOUND, ""),
        (REFUSED, "2>&-", ExitCode.NOT_FOUND, ""),
        (REFUSED, "2>&1 | true", ExitCode.NOT_FOUND, ""),
        ("await confirm('Renew?', yes=False)", "<&-", ExitCode.USAGE, "Error: Renew? There is no terminal"),
    ],
)
def test_streams_that_are_full_or_closed(body: str, redirections: str, code: ExitCode, said: str) -> None:
    done = shell(body, redirections)
    assert done.returncode == code, done.stderr
    assert (said in done.stderr) if said else (done.stderr == "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (b"\x03", ExitCode.INTERRUPTED, ""),
        (b"yes\n", ExitCode.DONE, "asked and done"),
        (b"no\n", ExitCode.FAILED, "Not confirmed"),
        (b"\x04", ExitCode.FAILED, "Not confirmed"),
    ],
)
def test_a_question_takes_an_answer_and_one_ctrl_c(typed: bytes, code: ExitCode, said: str) -> None:
    ours, theirs = pty.openpty()
    body = "await confirm('Renew?', yes=False); complain('asked and done')"
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", PROGRAM.format(body=body)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        # The terminal is its own, so that Ctrl-C reaches it.
        preexec_fn=_take_terminal,  # noqa: PLW1509 - no threads here
    )
    os.close(theirs)
    try:
        shown = _until(ours, b"Type yes:")
        os.write(ours, typed)
        shown += _until(ours, None)
        assert process.wait(60) == code, shown
        assert said in shown.decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _take_terminal() -> None:
    import fcntl  # noqa: PLC0415 - in the child
    import termios  # noqa: PLC0415

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _until(handle: int, mark: bytes | None) -> bytes:
    """Read until something is shown, or until the other end is closed."""
    seen = b""
    while mark is None or mark not in seen:
        try:
            part = os.read(handle, 4096)
        except OSError:
            part = b""
        if not part:
            return seen
        seen += part
    return seen
