from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from certwright.cli import run as module
from certwright.cli.run import main
from certwright.handlers.errors import OperatorFailed
from certwright.kube.election import LeadershipLost
from certwright.kube.login import NoCredentials

if TYPE_CHECKING:
    from certwright.handlers.options import Options


class Operator:
    """Stands in for the operator."""

    def __init__(self) -> None:
        self.options: Options | None = None
        self.error: BaseException | None = None

    async def run(self, options: Options) -> None:
        self.options = options
        if self.error is not None:
            raise self.error


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Operator:
    stand_in = Operator()
    monkeypatch.setattr(module, "run_operator", stand_in.run)
    return stand_in


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from outside, and none left behind."""
    for name in list(os.environ):
        if name.startswith("CERTWRIGHT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KUBECONFIG", "/from/outside")


def options_of(operator: Operator, *arguments: str) -> Options:
    assert main(arguments) == 0
    assert operator.options is not None
    return operator.options


def test_the_defaults(operator: Operator) -> None:
    options = options_of(operator)
    assert (options.operator_namespace, list(options.namespaces)) == ("certwright", [])
    assert (options.http_host, options.http_port, options.workers) == ("0.0.0.0", 8080, 32)  # noqa: S104 - the default
    assert options.user_agent == f"certwright/{version('certwright')}"
    assert options.kubeconfig is None
    assert os.environ["KUBECONFIG"] == "/from/outside"


def test_the_arguments(operator: Operator) -> None:
    options = options_of(
        operator,
        *("--operator-namespace", "tools", "--namespace", "a", "--namespace", "b", "--http-host", "127.0.0.1"),
        *("--http-port", "0", "--workers", "4", "--kubeconfig", "/some/config"),
    )
    assert (options.operator_namespace, list(options.namespaces)) == ("tools", ["a", "b"])
    assert (options.http_host, options.http_port, options.workers) == ("127.0.0.1", 0, 4)
    assert options.kubeconfig == os.environ["KUBECONFIG"] == "/some/config"


def test_the_environment(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "OPERATOR_NAMESPACE": "tools",
        "NAMESPACE": "a, b,",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": "9090",
        "WORKERS": "4",
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "text",
        "KUBECONFIG": "/some/config",
        "LEADER_ELECT": "true",
        "LEASE_NAME": "lease",
        "IDENTITY": "pod-a",
    }.items():
        monkeypatch.setenv(f"CERTWRIGHT_{name}", value)
    options = options_of(operator)
    assert (options.operator_namespace, list(options.namespaces)) == ("tools", ["a", "b"])
    assert (options.http_host, options.http_port, options.workers) == ("127.0.0.1", 9090, 4)
    assert options.kubeconfig == "/some/config"
    assert logging.getLogger("certwright").level == logging.DEBUG
    assert options.election is not None
    assert (options.election.lease_name, options.election.identity) == ("lease", "pod-a")


def test_the_command_line_counts_more_than_the_environment(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERTWRIGHT_NAMESPACE", "a")
    monkeypatch.setenv("CERTWRIGHT_HTTP_PORT", "9090")
    options = options_of(operator, "--namespace", "b", "--http-port", "9091")
    assert (list(options.namespaces), options.http_port) == (["b"], 9091)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("http-port", "70000", "'70000' is not a number from 0 to 65535"),
        ("http-port", "-1", "'-1' is not a number from 0 to 65535"),
        ("http-port", "http", "'http' is not a number from 0 to 65535"),
        ("leader-elect", "yes", "'yes' is neither true nor false"),
        ("workers", "1", "'1' is not a number from 2 to 256"),
        ("workers", "257", "'257' is not a number from 2 to 256"),
        ("responder-address", "here", "'here' is not an IP address"),
        ("responder-address", "127.0.0.1", "127.0.0.1 is not an address at which other hosts can reach this process"),
        ("responder-address", "::", ":: is not an address at which other hosts can reach this process"),
        ("log-level", "loud", "'loud' is not one of debug, info, warning, error"),
        ("log-format", "xml", "'xml' is not one of json, text"),
    ],
)
def test_a_wrong_value_is_said_wherever_it_is_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, option: str, value: str, words: str
) -> None:
    def said(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        return capsys.readouterr().err

    assert said(f"--{option}={value}").endswith(f"error: argument --{option}: {words}\n")
    monkeypatch.setenv(f"CERTWRIGHT_{option.upper().replace('-', '_')}", value)
    assert said().endswith(f"error: argument --{option}: {words}\n")


def test_alone_unless_told_otherwise(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    assert options_of(operator).election is None
    election = options_of(operator, "--leader-elect").election
    assert election is not None
    assert election.lease_name == "certwright"
    assert election.identity.startswith(f"{socket.gethostname()}_")
    again = options_of(operator, "--leader-elect").election
    assert again is not None
    assert again.identity != election.identity
    monkeypatch.setenv("CERTWRIGHT_LEADER_ELECT", "true")
    assert options_of(operator, "--leader-elect=false").election is None


def test_a_lost_lease_has_an_exit_code_of_its_own(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    operator.error = LeadershipLost("the lease is lost: pod-b holds it")
    assert main(["--log-format=json", "--leader-elect"]) == 75
    [line] = capsys.readouterr().err.splitlines()
    assert (
        json.loads(line)["message"]
        == "the operator stops and takes no further action: the lease is lost: pod-b holds it"
    )


def test_what_hangs_after_a_loss_is_ended_hard() -> None:
    program = """
import time
from certwright.cli import run
run.LAST_SECONDS = 0.2
run._end_soon()
time.sleep(60)
"""
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 75
    assert "did not stop within 0.2 s of losing the lease" in done.stderr


def failed(cause: Exception | None) -> OperatorFailed:
    error = OperatorFailed("the watches failed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "message", "traceback"),
    [
        (NoCredentials("no credentials: none"), "no credentials: none", None),
        (failed(None), "the operator stops: the watches failed", None),
        (failed(OSError("refused")), "the operator stops: the watches failed", "OSError: refused"),
        (ZeroDivisionError("oh"), "the operator stops: unexpected error", "ZeroDivisionError: oh"),
    ],
    ids=["no credentials", "failed", "failed for a reason", "defect"],
)
def test_a_failure_is_logged_and_is_the_exit_code(
    operator: Operator,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    message: str,
    traceback: str | None,
) -> None:
    operator.error = error
    assert main(["--log-format=json"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["message"]) == ("error", message)
    assert ("exception" in entry) is (traceback is not None)
    assert traceback is None or entry["exception"].endswith(traceback)


def test_an_interrupt_before_it_is_ready_is_no_traceback(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.error = KeyboardInterrupt()
    assert main([]) == 130
    assert capsys.readouterr().err == ""


def test_help_names_every_option_and_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for option in (
        "kubeconfig",
        "operator-namespace",
        "namespace",
        "http-host",
        "http-port",
        "workers",
        "leader-elect",
        "lease-name",
        "identity",
        "log-level",
    ):
        assert f"--{option} " in shown
    for words in ("usage: certwright run", "(default: 8080)", "(default: all)", "CERTWRIGHT_LOG_FORMAT"):
        assert words in shown
    assert "None" not in shown


def test_the_operator_starts_without_the_command_lines_libraries() -> None:
    program = """
import sys
from certwright.cli.main import main
try:
    main(["run", "--help"])
except SystemExit:
    print("loaded:", sorted(sys.modules.keys() & {"typer", "rich", "click", "pygments"}), "httpx" in sys.modules)
"""
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "loaded: [] True"


def test_without_an_api_server_it_ends_with_a_readable_line() -> None:
    program = "from certwright.cli.main import main; main(['run', '--kubeconfig', '/no/such/file'])"
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "/no/such/file" in json.loads(done.stderr.splitlines()[-1])["message"]
    assert "Traceback" not in done.stderr
