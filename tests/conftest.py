"""The test bed's fixtures, for every folder of tests, and the programs that look at the chart."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings

from chart import Helm
from testbed.binaries import find_or_build
from testbed.ports import allocator
from testbed.progress import reporter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# So that a failed assertion in a fake says as much as one in a test.
pytest.register_assert_rewrite("tests.fakes", "tests.certificates.bench")

pytest_plugins = ["testbed.pytest_plugin", "tests.fakes.challenges", "tests.fakes.operator"]

# How long an example takes says more about what else the machine does than about the code. Each run tries the same
# examples; `pytest --hypothesis-profile=explore` tries new ones.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("explore"), derandomize=True)
settings.load_profile("same")


CONFIGURED: Final = ("certwright", "kopf", "httpx", "httpcore", "asyncio", "aiohttp.access")
"""The loggers whose levels our commands set."""


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Leave logging as it was: a command sets it for its whole process, and later tests read what is logged."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    for name in CONFIGURED:
        logging.getLogger(name).setLevel(logging.NOTSET)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of tests/fuzz."""
    group = parser.getgroup("fuzz", "tests/fuzz: inputs that others may write")
    group.addoption("--fuzz-seconds", type=float, default=1.0, help="for each parser (1 by default)")
    group.addoption("--fuzz-seed", type=int, default=0, help="the same seed makes the same inputs")


@pytest.fixture
def fuzz_seconds(request: pytest.FixtureRequest) -> float:
    """How long to go on with each parser."""
    return float(request.config.getoption("--fuzz-seconds"))


@pytest.fixture
def fuzz_seed(request: pytest.FixtureRequest) -> int:
    """What the inputs are made from."""
    return int(request.config.getoption("--fuzz-seed"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the long files first: the short ones that are left then keep all workers busy to the end."""
    items.sort(key=lambda item: "integration" not in item.path.parts)


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm, without a cluster."""
    return Helm.find(reporter())


@pytest.fixture(scope="session")
def kubeconform() -> Path:
    """Checks manifests against JSON schemas."""
    return find_or_build(["kubeconform"], reporter())["kubeconform"]


@pytest.fixture(scope="session")
def lego() -> Path:
    """Lets lego's client of a DNS provider add and remove values."""
    return find_or_build(["lego"], reporter())["lego"]


@pytest.fixture
def unused_tcp_port() -> int:
    """A port that nobody listens on, and that no outgoing connection is given meanwhile; pytest-asyncio's may be."""
    return allocator.take()
