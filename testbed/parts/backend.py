"""A web server of the bed, as a backend for Ingresses."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from testbed.locations import PACKAGE
from testbed.part import Part
from testbed.ports import LOOPBACK
from testbed.web import answers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Backend(Part):
    """Answers every GET with "hello from" and the requested host."""

    program = "backend"

    @property
    def port(self) -> int:
        """Its port on loopback."""
        return self.ports["main"]

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        return [sys.executable, "-I", PACKAGE / "hello.py", str(self.port)]

    def ready(self) -> bool:
        """Ask for a page."""
        return answers(f"http://{LOOPBACK}:{self.port}/")
