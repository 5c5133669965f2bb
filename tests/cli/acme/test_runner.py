"""The command as a process: streams that are closed, full or gone; files that cannot be read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.acme_command import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def shell(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs a shell command in which `$ACME` is the command with an empty folder."""

    def run(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - commands of the tests
            ["/bin/sh", "-c", command],
            env={"ACME": f"{PROGRAM} acme", "CERTWRIGHT_ACME_DIR": str(tmp_path / "state"), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=tmp_path,
        )

    return run


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("$ACME info > /dev/full", 1, "Error: Cannot write the result: no space left on device\n"),
        ("$ACME info --json > /dev/full", 1, "Error: Cannot write the result: no space left on device\n"),
        ("$ACME account > /dev/full", 10, "Error: There is no account"),
        # A reader that has seen enough is no error.
        ("($ACME info; echo $? > code) | true; exit $(cat code)", 0, ""),
        # A log that is full does not stop anything, and a closed one neither.
        ("$ACME renew --random-sleep 0.1 2> /dev/full", 0, ""),
        ("$ACME account --json 2> /dev/full", 10, ""),
        ("$ACME account --json <&- 2>&-", 10, ""),
        ("$ACME renew <&- >&- 2>&-", 0, ""),
        ("$ACME deactivate <&-", 10, "Error: There is no account"),
    ],
)
def test_streams_that_are_full_or_closed(
    shell: Callable[[str], subprocess.CompletedProcess[str]], command: str, code: int, said: str
) -> None:
    done = shell(command)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert said or not done.stderr
    assert "Traceback" not in done.stderr
    if "--json" in command and "/dev/full" not in command.partition("2>")[0]:
        assert json.loads(done.stdout)["ok"] is False


def test_files_do_not_get_the_numbers_of_streams_that_were_closed(tmp_path: Path) -> None:
    program = "import os; os.closerange(0, 3); os.execv({python!r}, [{python!r}, '-c', {inner!r}])"
    inner = (
        "import os, pathlib; from certwright.cli.terminal import open_streams; open_streams(); "
        "pathlib.Path({path!r}).write_text(' '.join(os.readlink(f'/proc/self/fd/{{n}}') for n in range(3)))"
    )
    path = str(tmp_path / "seen")
    text = program.format(python=sys.executable, inner=inner.format(path=path))
    subprocess.run([sys.executable, "-c", text], check=True, timeout=60)  # noqa: S603 - our own interpreter and program
    assert Path(path).read_text() == "/dev/null /dev/null /dev/null"


USAGE: list[tuple[str, str | None, str]] = [
    ("issue --solvr x --json", "issue", "No such option: --solvr"),
    ("issue a.example --json --http-port abc", "issue", "--http-port"),
    ("revoke --json", "revoke", "certificate"),
    ("isue --json", None, "isue"),
    ("--json", None, "--json"),
]


@pytest.mark.parametrize(("arguments", "command", "words"), USAGE)
def test_a_wrong_command_line_is_one_document_too(
    shell: Callable[[str], subprocess.CompletedProcess[str]], arguments: str, command: str | None, words: str
) -> None:
    done = shell(f"$ACME {arguments}")
    assert done.returncode == 2
    document: dict[str, Any] = json.loads(done.stdout)
    assert (document["command"], document["ok"]) == (command, False)
    assert (document["error"]["type"], document["error"]["exit_code"]) == ("UsageError", 2)
    assert words in document["error"]["message"]
    assert words in done.stderr
