"""The modules of the test bed, and of what runs on it, import each other in one direction."""

from __future__ import annotations

from graphlib import TopologicalSorter

import grimp
import pytest


@pytest.mark.parametrize("package", ["testbed", "harness", "demo", "bench", "chart", "image"])
def test_no_modules_import_each_other(package: str) -> None:
    """Imports for type checking included. A CycleError names the modules."""
    graph = grimp.build_graph(package, cache_dir=None)
    TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules}).prepare()
