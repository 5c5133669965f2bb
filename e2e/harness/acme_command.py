"""`certwright acme` as a process, the way users run it."""

from __future__ import annotations

import json
import multiprocessing
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from certwright.cli.acme import saved_budget
from certwright.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.acme import LimitProfile
    from testbed.parts.bind import Bind

SECONDS: Final = 120.0
"""Seconds for one command."""

PROGRAM: Final = str(Path(sys.executable).with_name("certwright"))
"""The program beside the interpreter that runs the tests."""


# Loading takes more than half of the CPU of a command, and there are hundreds of them in the tests.
_loaded = multiprocessing.get_context("forkserver")
_loaded.set_forkserver_preload(
    [
        "pytest",
        "certwright.cli.acme.app",
        "certwright.cli.acme.runner",
        "certwright.cli.acme.account",
        "certwright.cli.acme.issue",
        "certwright.cli.acme.renew",
        "certwright.cli.acme.revoke",
        "certwright.cli.acme.lookup",
    ]
)


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code.
        out: What it wrote to standard output.
        err: What it wrote to standard error.
    """

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        document: dict[str, Any] = json.loads(self.out)
        return document


class AcmeCommand:
    """Runs `certwright acme` in a folder of its own, against one CA.

    Args:
        folder: The folder of accounts and certificates.
        server: The CA's directory URL.
        ca_bundle: File with what vouches for the CA's server.
        limits: What the CA publishes, for `run`; None for what is known of its host.
    """

    def __init__(self, folder: Path, server: str, ca_bundle: Path, limits: LimitProfile | None = None) -> None:
        self.folder = folder
        self._limits = limits
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("CERTWRIGHT_", "XDG_"))
        } | {"CERTWRIGHT_ACME_DIR": str(folder), "CERTWRIGHT_ACME_SERVER": server, "SSL_CERT_FILE": str(ca_bundle)}

    def run(self, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> Ended:
        """Run a command to its end, without a terminal, in a process forked from one that has loaded everything."""
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            given = ["acme", *map(str, arguments)]
            process = _loaded.Process(
                target=_be_the_command,
                args=(given, self._environment | dict(environment or {}), out, err, self._limits),
            )
            process.start()
            process.join(SECONDS)
            if process.exitcode is None:
                process.kill()
                process.join()
            assert process.exitcode is not None
            ended = Ended(process.exitcode, out.read_text(), err.read_text())
            process.close()
        return ended

    def ok(self, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Run a command that has to succeed, and return its result."""
        ended = self.run(*arguments, "--json", environment=environment)
        assert ended.code == 0, ended.err
        assert ended.document["ok"] is True
        return ended.document

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start a command that the caller has to end."""
        return subprocess.Popen(
            [PROGRAM, "acme", *map(str, arguments)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def on_terminal(self, *arguments: str | Path) -> Terminal:
        """Start a command on a terminal."""
        return Terminal([PROGRAM, "acme", *map(str, arguments)], self._environment)

    def certificate(self, name: str) -> Path:
        """Return the folder of a certificate."""
        return self.folder / "certificates" / name


class Terminal:
    """A process on a pseudo-terminal, and what it shows there."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        ours, theirs = pty.openpty()
        # Its session's terminal, so that Ctrl-C reaches it as it does a person's.
        self._process = subprocess.Popen(
            command,
            env=environment | {"TERM": "xterm", "COLUMNS": "200"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        os.set_blocking(ours, False)
        self._handle = ours
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Read until a text is shown."""
        deadline = time.monotonic() + SECONDS
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            ended = self._process.poll() is not None
            self._read()
            assert not ended or text in self.shown, self.shown
            time.sleep(0.02)

    def type(self, text: str) -> None:
        """Type at the keyboard."""
        os.write(self._handle, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        deadline = time.monotonic() + SECONDS
        while self._process.poll() is None:
            self._read()
            if time.monotonic() > deadline:
                self._process.kill()
            time.sleep(0.02)
        self._read()
        os.close(self._handle)
        return self._process.returncode

    def _read(self) -> None:
        with suppress(BlockingIOError, OSError):
            while piece := os.read(self._handle, 65536):
                self.shown += piece.decode("utf-8", "replace").replace("\r\n", "\n")


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read the output of a started command line by line until it contains a text; return everything read."""
    assert process.stderr is not None
    shown = ""
    while text not in shown:
        line = process.stderr.readline()
        assert line, shown
        shown += line
    return shown


def dns_options(bind: Bind, key_file: Path) -> list[str]:
    """Write a TSIG key as `tsig-keygen` does, and return the options with which the bed's zones can be changed."""
    name, key = bind.main_key
    key_file.touch(mode=0o600)
    key_file.write_text(f'key "{name}" {{\n\talgorithm {key.algorithm};\n\tsecret "{key.secret}";\n}};\n')
    where = ["--dns-resolver", bind.address, "--dns-server", bind.address]
    return ["--nameserver", bind.address, "--tsig-key-file", str(key_file), *where]


def _be_the_command(
    given: list[str], environment: dict[str, str], out: Path, err: Path, limits: LimitProfile | None
) -> None:
    """Replace the program: its environment, its streams, its entry point."""
    os.environ.clear()
    os.environ.update(environment)
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_CREAT), (2, err, os.O_CREAT)):
        handle = os.open(path, flags | (os.O_WRONLY if number else 0), 0o600)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as the interpreter does
    if limits is not None:
        vars(saved_budget)["limits_of"] = lambda _: limits
    main(given)
