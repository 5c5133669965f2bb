"""Progress on a terminal is a picture that is drawn again; what objects contain does not steer the terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

from certwright.cli.cluster.screen import Screen

DRAWING = """
from certwright.cli.cluster.screen import Screen
screen = Screen()
with screen.live():
    screen.show(["0 of 2 done", "web  Running [bold]not markup[/bold]"], {"web": "Running"})
    screen.show(["2 of 2 done", "web  Succeeded"], {"web": "Succeeded"})
"""


def test_a_terminal_shows_the_last_picture_in_place_of_the_first() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen([sys.executable, "-c", DRAWING], stdout=theirs, stdin=theirs, env=environment)  # noqa: S603
    os.close(theirs)
    drawn = b""
    while True:
        try:
            drawn += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait(60) == 0
    text = drawn.decode()
    assert "Running [bold]not markup[/bold]" in text
    assert re.search(r"\x1b\[\d*A|\x1b\[2K", text), "nothing is drawn over"
    assert text.rindex("Succeeded") > text.rindex("Running")


def test_elsewhere_only_changes_are_printed() -> None:
    lines: list[str] = []
    screen = Screen(lines.append, is_terminal=False)
    with screen.live():
        for states in ({"web": "a", "api": "b"}, {"web": "a", "api": "b"}, {"web": "c"}):
            screen.show(["a picture"], states)
    assert [line.partition("  ")[2] for line in lines] == ["web: a", "api: b", "web: c", "api: gone"]
