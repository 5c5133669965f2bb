"""Finds the Gateway API's resource definitions, in the Go module that its project releases them with."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from .errors import BinaryUnavailable
from .golang import find_go, go_environment
from .locations import GO_MODULES, cache

MODULE = "sigs.k8s.io/gateway-api"
FOLDER = GO_MODULES / "gateway-api"
TIMEOUT = 300.0


def find_gateway_definitions() -> Path:
    """Return the folder with the CRDs of the standard channel; downloads them once, checked against our go.sum.

    Raises:
        BinaryUnavailable: they are not in the cache, and cannot be downloaded.
    """
    target = cache() / "gateway-api" / _version()
    if not target.is_dir():
        source = _download() / "config" / "crd" / "standard"
        unfinished = target.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Files of the module cache are read-only, and stay so with copy2.
        shutil.copytree(source, unfinished, copy_function=shutil.copyfile)
        if not target.is_dir():
            unfinished.rename(target)
    return target


def _version() -> str:
    for line in (FOLDER / "go.mod").read_text().splitlines():
        words = line.removeprefix("require").split()
        if words[:1] == [MODULE]:
            return words[1]
    raise BinaryUnavailable(f"{FOLDER / 'go.mod'} names no version of {MODULE}")


def _download() -> Path:
    go = find_go()
    if go is None:
        raise BinaryUnavailable(
            "The Gateway API's definitions come as a Go module, and there is no Go on PATH",
            remedy="install Go and put its bin folder on PATH",
        )
    answer = subprocess.run(
        [go.executable, "mod", "download", "-json", MODULE],
        cwd=FOLDER,
        env=go_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    if answer.returncode != 0:
        raise BinaryUnavailable(
            "The Gateway API's definitions could not be downloaded",
            remedy="check the network or GOPROXY",
            details=(answer.stderr or answer.stdout).strip(),
        )
    return Path(json.loads(answer.stdout)["Dir"])
