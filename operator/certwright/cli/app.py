"""The `certwright` command line, apart from `run`, `solver`, `acme` and `dns`, which `main` starts without it."""

from importlib.metadata import version as installed_version
from typing import Annotated, Literal

import typer

from certwright.cli.acme.app import acme
from certwright.cli.acme.commands import print_version
from certwright.cli.cluster.app import PANEL, add_commands
from certwright.cli.crds import crds
from certwright.cli.dns.app import dns

app = typer.Typer(
    name="certwright",
    help="Automatic TLS certificates for Kubernetes, and an ACME client for other hosts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(crds)
app.add_typer(acme)
app.add_typer(dns)
add_commands(app, panel=PANEL)


@app.command(add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def run(context: typer.Context) -> None:
    """Run the operator."""
    # Only for the list of commands: `main` starts the operator without importing this module.
    from certwright.cli.run import main as run_operator

    raise typer.Exit(run_operator(context.args))


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Automatic TLS certificates for Kubernetes, and an ACME client for other hosts."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(installed_version("certwright"))


@app.command()
def completion(shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="The shell.")]) -> None:
    """Print the completion for a shell; kubectl certwright is completed by kubectl itself."""
    from certwright.cli.completion import SCRIPTS

    typer.echo(SCRIPTS[shell])


@app.command(hidden=True, add_help_option=False, context_settings={"ignore_unknown_options": True})
def complete(words: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Print what may follow, for the completion of a shell."""
    from certwright.cli.completion import complete as candidates

    typer.echo(candidates(app, words or [""]))
