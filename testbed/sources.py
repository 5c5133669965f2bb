"""Files from Go modules that are not programs, such as the CRDs of other projects."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from .errors import BinaryUnavailable
from .golang import find_go, go_environment
from .locations import GO_MODULES

SECONDS = 300.0


def module_folder(name: str, module: str) -> Path:
    """Return the folder of a Go module in Go's module cache; download it if it is missing.

    Args:
        name: Folder below `go/` whose go.mod and go.sum pin the module.
        module: Its path, such as ``sigs.k8s.io/gateway-api``.

    Raises:
        BinaryUnavailable: There is no Go, or the download failed or is not what go.sum says.
    """
    go = find_go()
    if go is None:
        raise BinaryUnavailable(
            f"{module} must be downloaded, but Go is not on PATH",
            remedy="install Go and put its bin folder on PATH",
        )
    answer = subprocess.run(
        [go.executable, "mod", "download", "-json", module],
        cwd=GO_MODULES / name,
        capture_output=True,
        text=True,
        check=False,
        env=go_environment(),
        timeout=SECONDS,
    )
    found = json.loads(answer.stdout or "{}")
    if answer.returncode != 0:
        raise BinaryUnavailable(
            f"{module} could not be downloaded",
            remedy="check the network or GOPROXY",
            details=str(found.get("Error") or answer.stderr.strip()),
        )
    return Path(found["Dir"])
