"""docs/cli.md says what the command line does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from typer.main import get_command

from certwright.acme import KNOWN_AUTHORITIES
from certwright.cli.acme.app import acme
from certwright.cli.acme.exits import MEANINGS
from certwright.cli.acme.solver_settings import KINDS

PAGE: Final = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


def test_the_exit_codes_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", PAGE, flags=re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == {int(code): text for code, text in MEANINGS.items()}


def test_every_option_in_it_exists_and_every_command_is_in_it() -> None:
    commands = getattr(get_command(acme), "commands")  # noqa: B009 - a group has them, its base class does not
    parameters = [parameter for command in commands.values() for parameter in command.params]
    options = {"--help", "--version"}.union(*((*parameter.opts, *parameter.secondary_opts) for parameter in parameters))
    for name in commands:
        assert f"`{name}`" in PAGE
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", PAGE)) - options == set()


def test_every_solver_and_ca_is_in_it() -> None:
    for kind in KINDS:
        assert f"`{kind.partition(':')[0].partition('[')[0]}" in PAGE
    for name in KNOWN_AUTHORITIES:
        assert f"`{name}`" in PAGE
