"""The directive `command-options`: every option of `certwright run` or `certwright acme`, from what parses them.

.. command-options:: run
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sphinx.util.docutils import SphinxDirective
from typer.main import get_command

from certwright.cli.acme.app import acme
from certwright.cli.run_parser import parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from docutils import nodes
    from sphinx.application import Sphinx

_SPECIAL: Final = re.compile(r"([*`|\\]|_(?!\w))")


@dataclass(frozen=True)
class Option:
    """One option of a command.

    Attributes:
        names: As they are typed, the longest first.
        value: What stands for its value; empty for one that has none.
        help: What it does.
        default: What counts without it, in words, or empty.
        variable: The environment variable that does the same, or empty.
    """

    names: tuple[str, ...]
    value: str
    help: str
    default: str = ""
    variable: str = ""


def options_of_run() -> list[Option]:
    """Return those of the operator."""
    return [_of_run(action) for action in parser()._actions if action.option_strings[0] != "-h"]  # noqa: SLF001 - argparse has no other list of them


def options_of_acme() -> dict[str, list[Option]]:
    """Return those of each command of the ACME client, and under an empty name what all of them have."""
    commands: dict[str, Any] = getattr(get_command(acme), "commands")  # noqa: B009 - a group has them, its base class does not
    by_command = {
        name: [_of_acme(one) for one in command.params if one.param_type_name == "option" and not one.hidden]
        for name, command in commands.items()
    }
    everywhere = set.intersection(*(set(options) for options in by_command.values()))
    shared = [option for option in next(iter(by_command.values())) if option in everywhere]
    own = {name: [one for one in options if one not in everywhere] for name, options in by_command.items()}
    return {"": shared, **own}


def _of_run(action: argparse.Action) -> Option:
    text = (action.help or "").replace("%(default)s", str(action.default))
    words, _, default = text.partition(" (default: ")
    name = action.option_strings[-1]
    value = f"[{action.metavar}]" if action.nargs == "?" else str(action.metavar)
    variable = f"CERTWRIGHT_{name.removeprefix('--').upper().replace('-', '_')}"
    return Option((name,), value, f"{words[:1].upper()}{words[1:]}.", default.removesuffix(")"), variable)


def _of_acme(parameter: Any) -> Option:
    names = tuple(sorted((*parameter.opts, *parameter.secondary_opts), key=len, reverse=True))
    said = parameter.show_default
    default = getattr(parameter.default, "value", parameter.default)
    known = said if isinstance(said, str) else "" if parameter.is_flag or default in (None, ()) else f"{default}"
    value = "" if parameter.is_flag else parameter.metavar or names[0].removeprefix("--").rpartition("-")[2].upper()
    return Option(names, value, parameter.help or "", known, parameter.envvar or "")


def lines(program: str, options: Iterable[Option]) -> Iterator[str]:
    """Yield what documents options of a program."""
    yield from (f".. program:: {program}", "")
    for option in options:
        shown = f" {option.value}" if option.value else ""
        yield f".. option:: {', '.join(f'{name}{shown}' for name in option.names)}"
        yield from ("", f"   {_plain(option.help)}", "")
        facts = [f"Default: {_plain(option.default)}."] if option.default else []
        facts += [f"Environment: ``{option.variable}``."] if option.variable else []
        if facts:
            yield from (f"   {' '.join(facts)}", "")


def _plain(text: str) -> str:
    """Text in which reStructuredText sees no marks of its own."""
    return _SPECIAL.sub(r"\\\1", text)


class CommandOptions(SphinxDirective):
    """Lists the options of a command."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Write what Sphinx reads."""
        command = self.arguments[0]
        if command == "run":
            made = lines("certwright run", options_of_run())
        else:
            _, _, name = command.partition(" ")
            made = lines(f"certwright {command}", options_of_acme()[name])
        return self.parse_text_to_nodes("\n".join(made) + "\n")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register it."""
    app.add_directive("command-options", CommandOptions)
    return {"parallel_read_safe": True}
