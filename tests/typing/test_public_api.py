"""The public API type-checks for those who use it, and mistakes do not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
ERROR = re.compile(r"wrong_code\.py:(\d+): error: .*\[([a-z-]+)\]")


def mypy(file: str, cache: Path) -> str:
    done = subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}", str(HERE / file)],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={"MYPYPATH": str(PROJECT / "operator"), "PATH": "/usr/bin:/bin"},
        timeout=280,
    )
    return done.stdout + done.stderr


def test_programs_type_check_and_mistakes_are_found(tmp_path: Path) -> None:
    assert mypy("user_code.py", tmp_path).startswith("Success")
    found = {(int(line), code) for line, code in ERROR.findall(mypy("wrong_code.py", tmp_path))}
    lines = (HERE / "wrong_code.py").read_text().splitlines()
    expected = {
        (number, line.partition("# wrong: ")[2]) for number, line in enumerate(lines, start=1) if "# wrong: " in line
    }
    assert len(expected) == 9
    assert found == expected
