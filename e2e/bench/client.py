"""The measurements of the library, each in a process of its own, against one Pebble."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.figure import Figure
from harness.web_folder import web_folder
from testbed.locations import PROJECT
from testbed.options import PebbleOptions
from testbed.ports import allocator

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from testbed.bed import TestBed
    from testbed.parts.pebble import Pebble

AT_ONCE: Final = 64
MANY: Final = 512
CONNECTIONS: Final = 16
COMMAND: Final = Path(sys.executable).parent / "certwright"
EXAMPLE: Final = PROJECT / "examples" / "library" / "issue_http01.py"


@dataclass(frozen=True)
class Usage:
    """What one program used.

    Attributes:
        megabytes: Its peak of resident memory.
        cpu: Seconds.
    """

    megabytes: float
    cpu: float


class LibraryBench:
    """Measures clients of one CA.

    Args:
        pebble: Asks at `port`, refuses no nonces, reuses nothing.
        port: Where it comes for http-01.
        domain: Names below it lead here.
    """

    def __init__(self, pebble: Pebble, port: int, domain: str) -> None:
        self._pebble = pebble
        self._port = port
        self._domain = domain

    def one_issuance(self, runs: int) -> list[Figure]:
        """Ours and PyPI's `acme`, one after the other, with files that another process serves."""
        figures = []
        for name, program in (("certwright", "client_ours"), ("acme", "client_theirs")):
            with tempfile.TemporaryDirectory() as webroot, web_folder(Path(webroot), self._port):
                arguments = (self._pebble.directory_url, webroot, f"{program}.{self._domain}".replace("_", "-"))
                measured = json.loads(self._run("-m", f"bench.{program}", *arguments, str(runs))[0])
                _, whole = self._run("-m", f"bench.{program}", *arguments[:2], f"cold-{arguments[2]}", "1")
            figures += [
                Figure(f"CPU, mean of {runs}", round(1000 * measured["cpu"], 1), "ms", "warm", name),
                Figure("Requests", measured["requests"], "", "http-01, one name, account known", name),
                Figure("Peak memory of the process", round(whole.megabytes, 1), "MB", "peak RSS", name),
            ]
        return figures

    def many_at_once(self) -> list[Figure]:
        """As many as one process can do."""
        arguments = (self._pebble.directory_url, f"many.{self._domain}")
        numbers = map(str, (self._port, AT_ONCE, MANY, CONNECTIONS))
        output, usage = self._run("-m", "bench.client_many", *arguments, *numbers)
        measured = json.loads(output)
        how = f"{MANY} issued, {CONNECTIONS} connections"
        return [
            Figure("Certificates per second", round(measured["rate"], 1), "", how),
            Figure("CPU per certificate", round(1000 * measured["cpu"], 1), "ms", how),
            Figure("Peak memory", round(usage.megabytes, 1), "MB", "peak RSS of the process"),
        ]

    def one_program(self) -> list[Figure]:
        """Whole programs, from their start to a certificate on disk, imports and a new account included."""
        options = f"--server {self._pebble.directory_url} --agree-tos --solver standalone --http-port {self._port}"
        command = [str(COMMAND), "acme", "issue", f"command.{self._domain}", "--dir", "certificates", *options.split()]
        figures = []
        programs = (("`certwright acme issue`", command), (f"`{EXAMPLE.relative_to(PROJECT)}`", [str(EXAMPLE)]))
        for name, program in programs:
            _, usage = self._run(*program, NAME=f"program.{self._domain}", HTTP_PORT=str(self._port))
            figures += [
                Figure(name, round(usage.megabytes, 1), "MB", "peak RSS of the process", "Peak memory"),
                Figure(name, round(1000 * usage.cpu), "ms", "from start to end, account included", "CPU"),
            ]
        return figures

    def _run(self, *program: str, **settings: str) -> tuple[str, Usage]:
        """Run a Python program and return its output and the resources it used."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT / "e2e"),
            "SSL_CERT_FILE": str(self._pebble.ca_bundle),
            "CA": self._pebble.directory_url,
            **settings,
        }
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "used.json"
            done = subprocess.run(
                [sys.executable, "-m", "bench.peak", file, *program],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            return done.stdout, Usage(**json.loads(file.read_text()))


def measure_library(bed: TestBed, runs: int, progress: Console) -> dict[str, list[Figure]]:
    """Start a CA for it and measure everything, in groups of figures."""
    port = allocator.take()
    options = PebbleOptions(nonce_reject_percent=0, authz_reuse_percent=0, http_port=port)
    pebble = bed.start_pebble("pebble-library", options)
    try:
        bench = LibraryBench(pebble, port, bed.bind.zones[0])
        groups: dict[str, list[Figure]] = {}
        measures: tuple[tuple[str, str, Callable[[], list[Figure]]], ...] = (
            ("library-issuance", f"one issuance, {runs} times, ours and certbot's", lambda: bench.one_issuance(runs)),
            ("library-many", f"{MANY} certificates, {AT_ONCE} at a time", bench.many_at_once),
            ("library-program", "one program", bench.one_program),
        )
        for group, title, measure in measures:
            progress.print(f"==> {title}")
            groups[group] = measure()
        return groups
    finally:
        bed.end_pebble(pebble)
