"""Import libraries without what they load and few need: for ``certwright run``, before anything imports them.

The ``__init__`` modules of kubernetes and `kubernetes.aio` import everything that there is, above all the blocking
client with requests, oauthlib and urllib3: 9 MB, a tenth of the operator's memory, and a tenth of a second of its
start. Packages that were found and not executed lead to their submodules all the same.

httpcore exports its HTTP/2 connections, and loads h2 for it: 2 MB. It imports them again, by their module, when a
connection speaks HTTP/2, and then finds them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Final

PACKAGES: Final = ("kubernetes", "kubernetes.aio")
HTTP2: Final = ("httpcore._async.http2", "httpcore._sync.http2")
"""Modules that httpcore can do without while it is imported."""


def import_lean() -> None:
    """Import them, or put them into ``sys.modules`` without running them; what is imported already stays as it is."""
    for name in PACKAGES:
        if name in sys.modules:
            continue
        spec = find_spec(name)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        package = sys.modules[name] = module_from_spec(spec)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, package)
    if "httpcore" not in sys.modules:
        sys.modules.update(dict.fromkeys(HTTP2))  # type: ignore[arg-type]  # None: as if they were not there
        import_module("httpcore")
        for name in HTTP2:
            del sys.modules[name]
