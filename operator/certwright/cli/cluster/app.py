"""The command `kubectl certwright`; `certwright` has the same commands."""

from __future__ import annotations

from typing import Final

import typer

from certwright.cli.cluster.commands import COMMANDS
from certwright.cli.cluster.exits import MEANINGS

EPILOG: Final = "\n".join(
    ["Exit codes:", *(f"{int(code):>3}  {meaning}" for code, meaning in MEANINGS.items()), "KUBECONFIG is respected."]
)
PANEL: Final = "Certificates in a cluster (also as kubectl certwright)"

plugin = typer.Typer(
    name="kubectl certwright",
    help="Inspect the Certificates of a cluster, and send requests to the operator.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def add_commands(app: typer.Typer, *, panel: str | None = None) -> None:
    """Give an app the commands."""
    for command in COMMANDS:
        app.command(epilog="Exit codes: kubectl certwright --help", rich_help_panel=panel)(command)


add_commands(plugin)


@plugin.command()
def version() -> None:
    """Print the version of this command."""
    from importlib.metadata import version as installed_version

    typer.echo(installed_version("certwright"))
