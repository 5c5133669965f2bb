"""The Gateway API's resource definitions, from the Go module in which its project releases them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from .errors import BinaryUnavailable
from .locations import GO_MODULES, cache
from .sources import module_folder

if TYPE_CHECKING:
    from pathlib import Path

NAME = "gateway-api"
MODULE = "sigs.k8s.io/gateway-api"


def find_gateway_definitions() -> Path:
    """Return the folder with the CRDs of the standard channel; download them once, checked against our go.sum.

    Raises:
        BinaryUnavailable: they are not in the cache, and cannot be downloaded.
    """
    target = cache() / NAME / _version()
    if not target.is_dir():
        source = module_folder(NAME, MODULE) / "config" / "crd" / "standard"
        unfinished = target.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Files of the module cache are read-only, and stay so with copy2.
        shutil.copytree(source, unfinished, copy_function=shutil.copyfile)
        if not target.is_dir():
            unfinished.rename(target)
    return target


def _version() -> str:
    for line in (GO_MODULES / NAME / "go.mod").read_text().splitlines():
        words = line.removeprefix("require").split()
        if words[:1] == [MODULE]:
            return words[1]
    raise BinaryUnavailable(f"{GO_MODULES / NAME / 'go.mod'} names no version of {MODULE}")
