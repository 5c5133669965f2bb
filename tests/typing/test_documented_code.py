"""The pieces of Python on the pages type-check as they stand, strictly, in a program that has what they speak of."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Final

from harness.documented import blocks, pages
from testbed.locations import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

PIECES: Final = [block for page in pages() for block in blocks(page) if block.language == "python"]
AROUND: Final = """\
import asyncio
from collections.abc import Sequence
from pathlib import Path

from certwright.acme import *
from certwright.client import *
from certwright.dns import *
from certwright.dns.providers import open_provider
from certwright.pki import *

client: Client
names: list[str]
dns: Solver
http: Solver
solvers: Solvers
"""
"""What the text around a piece has spoken of before."""


def test_each_piece_type_checks(tmp_path: Path) -> None:
    assert len(PIECES) > 3
    text = AROUND
    for number, piece in enumerate(PIECES):
        text += f"\n\nasync def piece_{number}() -> None:  # {piece.where}\n{textwrap.indent(piece.text, '    ')}\n"
    (tmp_path / "pieces.py").write_text(text)
    done = subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", "pieces.py"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"MYPYPATH": str(PROJECT / "operator"), "PATH": "/usr/bin:/bin"},
        timeout=110,
    )
    assert done.stdout.startswith("Success"), f"{done.stdout}{done.stderr}\n{text}"
