"""`python3 -m rootfs`: the steps that the Dockerfile runs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .application import install_project, install_requirements
from .compiling import compile_project
from .errors import RootError
from .system import collect


def main() -> int:
    """Run one step; return the exit code."""
    parser = argparse.ArgumentParser(prog="rootfs", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    base = steps.add_parser("base", help="interpreter, libraries and dependencies, from a virtual environment")
    base.add_argument("venv", type=Path)
    base.add_argument("root", type=Path)
    project = steps.add_parser("project", help="the project alone, from the same virtual environment")
    project.add_argument("venv", type=Path)
    project.add_argument("root", type=Path)
    given = parser.parse_args()
    # What it makes is read by a user who is not its owner.
    os.umask(0o022)
    try:
        if given.step == "base":
            install_requirements(given.venv, given.root)
            collect(given.root)
        else:
            install_project(given.venv, given.root)
            compile_project(given.venv, given.root)
    except RootError as error:
        print(f"rootfs: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
