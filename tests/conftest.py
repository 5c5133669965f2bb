"""The test bed's fixtures, for every folder of tests, and the programs that look at the chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chart import Helm
from testbed.binaries import find_or_build
from testbed.progress import reporter

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["testbed.pytest_plugin"]


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm, without a cluster."""
    return Helm.find(reporter())


@pytest.fixture(scope="session")
def kubeconform() -> Path:
    """Checks manifests against JSON schemas."""
    return find_or_build(["kubeconform"], reporter())["kubeconform"]
