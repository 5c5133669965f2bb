"""What the first use of each DNS provider takes in memory, on top of the operator: its modules, and what it keeps."""

from __future__ import annotations

import asyncio
import os
import pickle
import statistics
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from inspect import getmembers, isclass
from typing import Any, Final
from unittest import mock

from bench import first_use
from bench.figure import Figure
from certwright.dns.providers import PROVIDERS, config_type

NAME: Final = "_acme-challenge.example.com"
RECORDS: Final = [(NAME, "a" * 43, "example.com"), (NAME, "b" * 43, "example.com")]
RECORDS_OF: Final = {
    "acme_dns": [("8e5700ea-a4bf-41c7-8a77-e990661dcc6a.auth.example.net", one * 43, "example.com") for one in "ab"]
}
"""An account takes records at its own name only."""
WITHOUT_DOUBLE: Final = frozenset({"plugin", "rfc2136"})
"""One is the user's own program; the other speaks to a name server, with what the operator has loaded anyway."""


@dataclass(frozen=True)
class FirstUse:
    """What the first use of a provider took.

    Attributes:
        provider: Its name, as in `PROVIDERS`.
        kibibytes: Of memory that the process shares with no other.
        modules: What was imported for it.
    """

    provider: str
    kibibytes: float
    modules: tuple[str, ...]


def measure_providers(runs: int) -> list[Figure]:
    """Use each provider in processes of its own, and return the medians."""
    known = statistics.median(_known() for _ in range(runs))
    figures = [Figure("All providers listed, none used", round(known), "KiB", "private memory: their models")]
    for name in sorted(PROVIDERS.keys() - WITHOUT_DOUBLE):
        median = statistics.median(first_use_of(name).kibibytes for _ in range(runs))
        figures.append(Figure(f"`{name}`", round(median), "KiB", "private memory: its first change of a zone"))
    return figures


def _known() -> float:
    answer = subprocess.run(
        [sys.executable, first_use.__file__, "know"], env=_environment(), capture_output=True, check=True, text=True
    )
    return float(answer.stdout)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def first_use_of(name: str) -> FirstUse:
    """Use a provider once in a process of its own, with the double of its tests as the API."""
    double = double_of(name)
    config = config_of(name, double)
    with subprocess.Popen(
        [sys.executable, first_use.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment()
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while True:
            what, *given = pickle.load(process.stdout)  # noqa: S301 - from our own program
            match what:
                case "records":
                    answer: Any = RECORDS_OF.get(name, RECORDS)
                case "config":
                    answer = pickle.dumps(config)
                case "request":
                    answer = asyncio.run(_answered(double, given))
                case "done":
                    answer = None
                    found = FirstUse(name, given[0] / 1024, tuple(given[1]))
            pickle.dump(answer, process.stdin)
            process.stdin.flush()
            if what == "done":
                return found


async def _answered(double: Any, request: list[Any]) -> Any:
    method, url, headers, content, max_bytes = request
    return await double.request(method, url, headers=headers, content=content, max_bytes=max_bytes)


def double_of(name: str) -> Any:
    """Return the double of a provider's API, from its tests, with the zone of the records."""
    module = import_module(f"tests.dns.providers.test_{name}")
    classes = [kind for _, kind in getmembers(module, isclass) if kind.__module__ == module.__name__]
    suites = [kind for kind in classes if kind.__name__.startswith("Test") and hasattr(kind, "make_double")]
    if not suites:
        return next(kind for kind in classes if hasattr(kind, "provider") and hasattr(kind, "request"))()
    double = suites[0]().make_double()
    double.add_zone("example.com")
    return double


def config_of(name: str, double: Any) -> Any:
    """Return the configuration that the double accepts."""
    built: list[Any] = []
    kind: Any = config_type(name)
    build = kind.build

    def note(config: Any, context: Any) -> Any:
        built.append(config)
        return build(config, context)

    with mock.patch.object(kind, "build", note):
        double.provider()
    return built[0]
