import signal
import subprocess
import sys
import types
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from certwright.cli.app import app
from certwright.cli.main import main


def test_help_names_every_command() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert "Run the operator." in shown
    for command in ("crds", "run", "version"):
        assert command in shown


def test_the_version_is_the_installed_one() -> None:
    result = CliRunner().invoke(app, ["version"])
    assert (result.exit_code, result.stdout) == (0, f"{version('certwright')}\n")


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(app, ["renwe"])
    assert result.exit_code == 2
    assert "renwe" in result.stderr


def test_the_entry_point_runs_the_commands_that_people_type(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{version('certwright')}\n"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Puts a stand-in in the operator's place; what it was started with is in the list."""
    calls: list[list[str]] = []

    def run(arguments: list[str]) -> int:
        calls.append(list(arguments))
        return 3

    stand_in = types.ModuleType("certwright.cli.run")
    stand_in.main = run  # type: ignore[attr-defined]  # a module made here has no declared names
    monkeypatch.setitem(sys.modules, "certwright.cli.run", stand_in)
    return calls


def test_run_starts_the_operator_and_ends_with_its_code(started: list[list[str]]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--namespace", "x", "--help"])
    assert ended.value.code == 3
    assert started == [["--namespace", "x", "--help"]]


def test_run_in_an_embedded_app_starts_the_operator_too(started: list[list[str]]) -> None:
    result = CliRunner().invoke(app, ["run", "--help"])
    assert result.exit_code == 3
    assert started == [["--help"]]


def test_the_command_line_of_the_process_is_the_default(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["certwright", "run"])
    with pytest.raises(SystemExit):
        main()
    assert started == [[]]


def test_run_is_dispatched_without_the_command_lines_libraries() -> None:
    program = """
import sys, types
stand_in = types.ModuleType("certwright.cli.run")
stand_in.main = lambda arguments: print(sorted(sys.modules.keys() & {"typer", "rich", "certwright.cli.app"}))
sys.modules["certwright.cli.run"] = stand_in
from certwright.cli.main import main
main(["run"])
"""
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("loaded", "words"), [("certwright.cli.cluster.app", ["status"]), ("certwright.cli.acme.runner", ["acme", "list"])]
)
def test_ctrl_c_while_a_command_loads_is_no_traceback(loaded: str, words: list[str]) -> None:
    program = f"""
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {loaded!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from certwright.cli.main import main
main({words!r})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own
    # A shell makes 130 of it.
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("words", ["version", "complete -- renew", "status --help", "completion bash"])
def test_a_full_disk_is_a_line_and_no_traceback(words: str) -> None:
    program = f"from certwright.cli.main import main; main({words.split()!r})"
    with open("/dev/full", "w") as full:  # noqa: PTH123 - not a file
        done = subprocess.run(  # noqa: S603 - our own
            [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (1, "Error: cannot write the result: no space left on device.\n")
