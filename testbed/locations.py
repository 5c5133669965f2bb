"""Where the test bed keeps things."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
PROJECT = PACKAGE.parent
GO_MODULES = PACKAGE / "go"
DEFAULT_BED = PROJECT / ".cache" / "testbed" / "default"


def cache() -> Path:
    """Return the folder of built programs, kept between checkouts and beds."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"  # noqa: PTH117 - an empty Path is "."
    return root / "certwright" / "testbed"
