"""Import `kubernetes.aio` without the rest of its library: for ``certwright run``, before anything imports it.

The ``__init__`` modules of both packages import everything that there is, above all the blocking
client with requests, oauthlib and urllib3: 9 MB, a tenth of the operator's memory, and a tenth of a second of its
start. Packages that were found and not executed lead to their submodules all the same.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from typing import Final

PACKAGES: Final = ("kubernetes", "kubernetes.aio")


def import_lean() -> None:
    """Put the packages into ``sys.modules`` without running them; one that is imported already stays as it is."""
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
