"""What the first use of each DNS provider takes in memory, on top of the operator: its modules, and what it keeps."""

from __future__ import annotations

import asyncio
import base64
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from inspect import getmembers, isclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import dns.message
import dns.tsigkeyring

from bench import first_use
from bench.figure import Figure
from certwright.dns.credential import Credential
from certwright.dns.plugin import GROUP
from certwright.dns.providers import PROVIDERS, config_type
from certwright.dns.providers.plugin import PluginConfig
from certwright.dns.providers.rfc2136 import Rfc2136Config
from certwright.issuers.dns_webhook import WebhookConfig
from tests.fakes.dns import FakeNameserver

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

NAME: Final = "_acme-challenge.example.com"
RECORDS: Final = [(NAME, "a" * 43, "example.com"), (NAME, "b" * 43, "example.com")]
RECORDS_OF: Final = {
    "acme_dns": [("8e5700ea-a4bf-41c7-8a77-e990661dcc6a.auth.example.net", one * 43, "example.com") for one in "ab"]
}
"""An account takes records at its own name only."""
LIMIT_KIB: Final = 1024
"""For all that are known and none that is used, and for each that is used besides."""
TSIG_NAME, TSIG_SECRET = "bench.", base64.b64encode(b"a secret of thirty-two bytes....").decode()
PLUGIN: Final = """
class Plugin:
    async def present(self, records): pass
    async def clean_up(self, records): pass

def build(settings, context):
    return Plugin()
"""


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
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # most of it is the start of processes
        names = sorted({*PROVIDERS, "webhook"})
        for name, median in zip(names, pool.map(lambda name: _median(name, runs), names), strict=True):
            figures.append(Figure(f"`{name}`", round(median), "KiB", "private memory: its first change of a zone"))
    return figures


def _median(name: str, runs: int) -> float:
    return statistics.median(first_use_of(name).kibibytes for _ in range(runs))


def too_large(figures: Iterable[Figure]) -> list[str]:
    """Return those that take more than they may."""
    return [figure.name for figure in figures if figure.value > LIMIT_KIB]


def _known() -> float:
    answer = subprocess.run(
        [sys.executable, first_use.__file__, "know"], env=_environment(), capture_output=True, check=True, text=True
    )
    return float(answer.stdout)


def _environment(*folders: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [*folders, *sys.path]))}


def first_use_of(name: str) -> FirstUse:
    """Use a provider once in a process of its own, with the double of its tests as the API."""
    match name:
        case "rfc2136":
            with _name_server() as address:
                return _used(name, Rfc2136Config(address, TSIG_NAME, tsig_secret=Credential(TSIG_SECRET)))
        case "plugin":
            with tempfile.TemporaryDirectory() as folder:
                _write_plugin(Path(folder))
                return _used(name, PluginConfig("bench", {"zone": "example.com"}), folders=(folder,))
        case "webhook":
            api: Any = None  # the process has one of its own
            config = WebhookConfig("acme.example.com", "solver", '{"zone": 1}', "shop", ambient=False, api=api)
            return _used(name, config)
    double = double_of(name)
    return _used(name, config_of(name, double), double)


def _used(name: str, config: Any, double: Any = None, *, folders: Sequence[str] = ()) -> FirstUse:
    with subprocess.Popen(
        [sys.executable, first_use.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environment(*folders),
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


@contextmanager
def _name_server() -> Iterator[str]:
    """Have a name server take updates with the key; yield its address."""
    keys = dns.tsigkeyring.from_text({TSIG_NAME: TSIG_SECRET})
    server = FakeNameserver(lambda question, _: dns.message.make_response(question), keyring=keys)
    begun, ended = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        async with server.running():
            loops.append(asyncio.get_running_loop())
            begun.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    begun.wait()
    try:
        yield str(server)
    finally:
        loops[0].call_soon_threadsafe(ended.set)
        thread.join()


def _write_plugin(folder: Path) -> None:
    """Install a plugin that does nothing, as pip would."""
    (folder / "bench_plugin.py").write_text(PLUGIN)
    about = folder / "bench_plugin-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-plugin\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[{GROUP}]\nbench = bench_plugin:build\n")


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
    suite: Any = suites[0]()
    double = suite.make_double()
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
