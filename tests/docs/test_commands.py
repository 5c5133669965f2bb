"""Every command on the pages exists, with the options that it is shown with."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from typer.main import get_command

from certwright.cli.acme.app import acme
from certwright.cli.app import app
from certwright.cli.run_parser import parser
from chart.helm import CHART
from harness.documented import Command, commands
from testbed.locations import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chart import Helm

COMMANDS: Final = commands()
MAKEFILE: Final = (PROJECT / "Makefile").read_text()
LISTED: Final = subprocess.run(
    ["make", "help"],  # noqa: S607 - that of PATH, as its reader runs it
    check=True,
    capture_output=True,
    text=True,
    cwd=PROJECT,
    timeout=60,
).stdout
PLACEHOLDER: Final = re.compile(r"[A-Z]+")
"""What stands for a command of the reader's choice."""


def shown(program: str) -> list[Any]:
    found = [command for command in COMMANDS if command.program == program]
    assert found
    return [pytest.param(command, id=str(command)) for command in found]


@cache
def help_of(*command: str) -> str:
    """What a program of ours says of itself."""
    done = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, "-m", *command, "--help"],
        check=True,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={"PYTHONPATH": "e2e", "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        timeout=60,
    )
    return done.stdout


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])-{1,2}[A-Za-z][\w-]*", text))


@pytest.mark.parametrize("command", shown("certwright"))
def test_a_command_of_ours_takes_what_it_is_shown_with(command: Command) -> None:
    _, *words = command.words
    if words[:1] == ["run"]:
        assert set(command.options) <= options_in(parser().format_help())
        return
    entry: Any = get_command(acme if words[:1] == ["acme"] else app)
    rest = words[1:] if words[:1] == ["acme"] else words
    while hasattr(entry, "commands") and rest and not rest[0].startswith("-"):
        if PLACEHOLDER.fullmatch(rest[0]):
            return
        assert rest[0] in entry.commands
        entry, rest = entry.commands[rest[0]], rest[1:]
    # Parsed, not run: unknown options and values that are missing are errors.
    _, left, _ = entry.make_parser(entry.make_context("certwright", [], resilient_parsing=True)).parse_args(list(rest))
    assert left == []


@pytest.mark.parametrize("command", shown("make"))
def test_a_target_is_in_the_makefile(command: Command) -> None:
    targets = [word for word in command.words[1:] if "=" not in word]
    settings = {word.partition("=")[0] for word in command.words[1:] if "=" in word}
    assert set(targets) <= set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, flags=re.MULTILINE))
    assert {target for target in targets if not re.search(rf"^  {target} ", LISTED, re.MULTILINE)} == set()
    assert {name for name in settings if name not in MAKEFILE} == set()


@pytest.mark.parametrize("command", shown("python"))
def test_a_program_of_the_checkout_takes_what_it_is_shown_with(command: Command) -> None:
    _, first, *words = command.words
    if first == "-m":
        module, *rest = words
        subcommand = [word for word in rest[:1] if not word.startswith("-") and module == "testbed"]
        assert set(command.options[1:]) <= options_in(help_of(module, *subcommand))
    else:
        assert (PROJECT / first).is_file()


@pytest.mark.parametrize("command", shown("pip"))
def test_what_is_installed_is_there(command: Command) -> None:
    _, action, *words = command.words
    pyproject = (PROJECT / "pyproject.toml").read_text()
    assert action in {"install", "download"}
    for previous, word in zip(("", *words), words, strict=False):
        if previous == "-r":
            assert (PROJECT / word).is_file()
        elif extra := re.fullmatch(r"(?:certwright|\.)\[(\w+)\]", word):
            assert f"\n{extra[1]} = [" in pyproject


@pytest.mark.parametrize("command", shown("helm"))
def test_helm_and_the_chart_take_what_they_are_shown_with(command: Command, helm: Helm) -> None:
    _, action, *words = command.words
    assert set(command.options) <= options_in(helm.run(action, "--help"))
    assert {word for word in words if word.startswith("helm/")} <= {str(CHART.relative_to(PROJECT))}
    settings = [words[number + 1] for number, word in enumerate(words) if word == "--set"]
    typed = [
        setting.replace("YOUR-REGISTRY", "registry.example.com") for setting in ("image.registry=localhost", *settings)
    ]
    helm.run("template", "certwright", str(CHART), *(f"--set={setting}" for setting in typed))
    for setting in settings:
        values: Mapping[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
        for part in setting.partition("=")[0].split("."):
            assert part in values, setting
            values = values[part]
