"""Run a program and record what it used: `python -m bench.peak FILE (PATH | -m MODULE) ARGUMENT...`.

From within, because what the kernel tells a parent of its child's memory begins with the parent's own.
"""

from __future__ import annotations

import json
import re
import runpy
import sys
import time
from pathlib import Path


def main(file: str, program: list[str]) -> None:
    """Run it; its errors are ours."""
    as_module = program[0] == "-m"
    sys.argv = program[1:] if as_module else program
    try:
        if as_module:
            runpy.run_module(program[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(program[0], run_name="__main__")
    finally:
        # A command line exits with SystemExit.
        peak = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        used = {"megabytes": int(peak[1]) / 1024 if peak else None, "cpu": time.process_time()}
        Path(file).write_text(json.dumps(used))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
