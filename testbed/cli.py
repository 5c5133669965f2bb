"""`python -m testbed`: a bed that stays up between commands."""

from __future__ import annotations

import shlex
import shutil
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .assembly import programs_for
from .bed import TestBed
from .binaries import find_or_build
from .errors import BedError
from .isolation import check_possible, remove_cgroups, run_isolated
from .locations import DEFAULT_BED, cache
from .options import BedOptions, PebbleOptions
from .parts.cert_manager import CertManager
from .parts.dns_webhook import DnsWebhook
from .parts.step_ca import StepCa
from .progress import reporter
from .state import FILE, BedState, read_state

# Marks a folder as a bed's, which may be removed.
MARKER = ".testbed"

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A test bed of real components for Certwright.")
output = Console()
Folder = Annotated[Path, typer.Option("--dir", help="Folder of the test bed; each has its own.")]


@app.command()
def up(
    folder: Folder = DEFAULT_BED,
    nonce_reject: Annotated[
        int, typer.Option(help="Percentage of good nonces that Pebble refuses.", min=0, max=99)
    ] = 5,
    authz_reuse: Annotated[int, typer.Option(help="Percentage of authorizations reused.", min=0, max=100)] = 50,
    *,
    audit: Annotated[bool, typer.Option(help="Write the API server's audit log.")] = False,
) -> None:
    """Start a bed and keep it running."""
    state = read_state(folder)
    if state is not None and _all_run(state):
        output.print(f"The test bed in {folder} is already up.", highlight=False)
        return
    if state is not None:
        # An interrupted start or stop may have left some of its parts running.
        _end(folder)
    _prepare(folder)
    pebble = PebbleOptions(nonce_reject_percent=nonce_reject, authz_reuse_percent=authz_reuse)
    # On SIGTERM during the start, stop what was started, as on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bed = TestBed(BedOptions(pebble=pebble, audit=audit), folder=folder, detached=True)
    bed.start()
    output.print(f"The test bed is up after {bed.up_seconds:.1f} s.")
    _show(folder)
    output.print(f'\nTo use it: eval "$(python -m testbed env --dir {shlex.quote(str(folder))})"', highlight=False)


@app.command()
def down(
    folder: Folder = DEFAULT_BED,
    *,
    keep_logs: Annotated[bool, typer.Option("--keep-logs", help="Keep the folder and its logs.")] = False,
) -> None:
    """Stop a bed and remove its folder."""
    if read_state(folder) is None:
        output.print(f"There is no test bed in {folder}.", highlight=False)
        return
    _end(folder)
    if keep_logs:
        (folder / FILE).unlink(missing_ok=True)
        output.print(f"The logs are in {folder}.", highlight=False)
    else:
        shutil.rmtree(folder)
    output.print("The test bed is down.")


@app.command()
def status(folder: Folder = DEFAULT_BED) -> None:
    """Show the parts of a bed; exit with status 1 if one of them does not run."""
    state = read_state(folder)
    if state is None:
        output.print(f"There is no test bed in {folder}.", highlight=False)
        raise typer.Exit(1)
    _show(folder)
    if not _all_run(state):
        raise typer.Exit(1)


@app.command()
def env(folder: Folder = DEFAULT_BED) -> None:
    """Print the addresses of a bed as shell exports."""
    for name, value in environment(TestBed.attach(folder)).items():
        print(f"export {name}={shlex.quote(value)}")


@app.command()
def build(
    *,
    node: Annotated[
        bool, typer.Option("--node", help="Include the programs for a node, Helm and kubeconform.")
    ] = False,
) -> None:
    """Find, build or install all programs of the bed and print their paths."""
    if node:
        check_possible()
    found = programs_for(BedOptions(node=node, gateway=node, network_policies=node), reporter())
    found |= find_or_build(
        (StepCa.program, DnsWebhook.program, CertManager.program, *(("helm", "kubeconform") if node else ())),
        reporter(),
    )
    for name, path in sorted(found.items()):
        output.print(f"{name:26}{path}", highlight=False, soft_wrap=True)


@app.command(context_settings={"ignore_unknown_options": True})
def isolated(command: Annotated[list[str], typer.Argument(help="Program and arguments.")]) -> None:
    """Run a command in namespaces of its own (network, mounts, processes), as a bed with a node needs (root)."""
    raise typer.Exit(run_isolated(command, reporter()))


@app.command()
def can_isolate() -> None:
    """Tell whether beds with a node can run here; if not, say why and exit with status 1."""
    check_possible()
    output.print("Test beds with a node can run here.")


@app.command()
def clean(
    *,
    programs: Annotated[bool, typer.Option("--programs", help="Also remove the built programs.")] = False,
) -> None:
    """Stop the default bed and remove everything it left."""
    if read_state(DEFAULT_BED) is not None:
        _end(DEFAULT_BED)
    shutil.rmtree(DEFAULT_BED.parent, ignore_errors=True)
    remove_cgroups()
    if programs:
        shutil.rmtree(cache(), ignore_errors=True)


def environment(bed: TestBed) -> dict[str, str]:
    """Return the variables that `env` prints."""
    key_name, key = bed.bind.main_key
    return {
        "KUBECONFIG": str(bed.kubeconfig),
        "CERTWRIGHT_TESTBED_DIR": str(bed.folder),
        "CERTWRIGHT_ACME_DIRECTORY": bed.pebble.directory_url,
        "CERTWRIGHT_ACME_MANAGEMENT": bed.pebble.management_url,
        "CERTWRIGHT_ACME_CA_BUNDLE": str(bed.pebble.ca_bundle),
        "CERTWRIGHT_CHALLTESTSRV": bed.challtestsrv.management_url,
        "CERTWRIGHT_DNS_SERVER": bed.bind.address,
        "CERTWRIGHT_TSIG_KEY_NAME": key_name,
        "CERTWRIGHT_TSIG_ALGORITHM": key.algorithm,
        "CERTWRIGHT_TSIG_SECRET": key.secret,
        "CERTWRIGHT_INGRESS_HTTP": f"127.0.0.1:{bed.traefik.http_port}",
        "CERTWRIGHT_INGRESS_HTTPS": f"127.0.0.1:{bed.traefik.https_port}",
        "CERTWRIGHT_BACKEND_PORT": str(bed.backend.port),
    }


def main() -> None:
    """Run the command line; print errors of the bed with their remedy and exit with status 1."""
    try:
        app(prog_name="python -m testbed")
    except BedError as error:
        Console(stderr=True).print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
        raise SystemExit(1) from None


def _prepare(folder: Path) -> None:
    """Empty the folder of an earlier bed; refuse a folder with anything else in it, as `down` removes it."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise BedError(f"{folder} is not empty, and was not created by the test bed", remedy="choose another folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()


def _end(folder: Path) -> None:
    TestBed.attach(folder).stop()


def _all_run(state: BedState) -> bool:
    return state.up and all(part.process is not None and part.process.runs() for part in state.parts.values())


def _show(folder: Path) -> None:
    state = read_state(folder)
    table = Table(box=None)
    for title in ("Part", "State", "Ready after", "Pid", "Ports"):
        table.add_column(title, justify="right" if title in {"Ready after", "Pid"} else "left")
    for name, part in state.parts.items() if state else ():
        runs = part.process is not None and part.process.runs()
        table.add_row(
            name,
            "[green]runs[/]" if runs else "[red]stopped[/]",
            "" if part.start_seconds is None else f"{part.start_seconds:.1f} s",
            str(part.process.pid) if part.process and runs else "",
            ", ".join(f"{number} {use}" if use != "main" else str(number) for use, number in part.ports.items()),
        )
    output.print(table)
