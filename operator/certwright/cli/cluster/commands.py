"""The commands of `kubectl certwright`. Implementations are imported when one runs; completion and help need none."""

import datetime as dt
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

import typer

from certwright.cli.cluster.options import (
    Access,
    AllNamespaces,
    Asking,
    Names,
    OfIssuer,
    OperatorNamespace,
    Output,
    Report,
    Selector,
    Watch,
    Which,
    Yes,
    selection_of,
)
from certwright.cli.shared_options import with_options
from certwright.revocation_reasons import RevocationReasonName

if TYPE_CHECKING:
    from certwright.cli.cluster.exits import ExitCode
    from certwright.cli.cluster.requests import Ask
    from certwright.cli.cluster.rows import Format
    from certwright.cli.cluster.selection import Selection

_LONGEST_TIMEOUT: Final = 1_000_000
_STEPS: Final = "Steps"


def status(
    access: Access,
    *,
    names: Names = None,
    all_namespaces: AllNamespaces = False,
    selector: Selector = None,
    issuer: OfIssuer = None,
    calendar: Annotated[bool, typer.Option("--calendar", help="Show when each is renewed, day by day.")] = False,
    watch: Watch = False,
    output: Output = "table",
) -> None:
    """Show Certificates: whether they are ready, why, when they expire and when they are renewed.

    With one NAME everything about it: Secret, issuer, order, challenges, requests and Events, as a tree.
    """
    from certwright.cli.cluster import status as of

    selection = selection_of(names, selector, issuer, all_namespaces=all_namespaces)
    _run(of.status(access.target, selection, form=_form(output), watch=watch, with_calendar=calendar))


def explain(
    access: Access,
    *,
    names: Annotated[list[str], typer.Argument(metavar="NAME", show_default=False)],
    watch: Watch = False,
    output: Report = "table",
) -> None:
    """Explain what a Certificate or issuer waits for, why, how to see it yourself, and what to do.

    NAME is a Certificate; issuer/NAME and clusterissuer/NAME are issuers.
    """
    from certwright.cli.cluster import status as of

    _run(of.explain(access.target, names, form=_form(output), watch=watch))


def renew(
    access: Access,
    which: Which,
    asking: Asking,
    *,
    rate: Annotated[
        str | None,
        typer.Option("--rate", help="Spread the renewals, such as 10/h. You do not have to wait.", metavar="RATE"),
    ] = None,
) -> None:
    """Have Certificates renewed now, or one after another."""
    from certwright.cli.cluster.requests import Ask, parse_rate

    _request(access, which.selection, asking, lambda: Ask("Renew", interval=parse_rate(rate)))


def revoke(
    access: Access,
    asking: Asking,
    *,
    names: Names = None,
    reason: Annotated[RevocationReasonName, typer.Option("--reason", help="Why, as in RFC 5280.")] = "unspecified",
    selector: Selector = None,
    issuer: OfIssuer = None,
    all_namespaces: AllNamespaces = False,
) -> None:
    """Have the certificates in the Secrets revoked by their CA. This cannot be undone."""
    from certwright.cli.cluster.requests import REVOKE_WARNINGS, Ask

    selection = selection_of(names, selector, issuer, all_namespaces=all_namespaces)
    _request(access, selection, asking, lambda: Ask("Revoke", reason, warnings=REVOKE_WARNINGS))


def rollback(
    access: Access,
    asking: Asking,
    *,
    names: Names = None,
    revision: Annotated[
        int | None, typer.Option("--to-revision", min=1, help="Revision to restore; by default the previous one.")
    ] = None,
    selector: Selector = None,
    all_namespaces: AllNamespaces = False,
) -> None:
    """Have an earlier certificate put back into the Secret."""
    from certwright.cli.cluster.requests import Ask

    selection = selection_of(names, selector, None, all_namespaces=all_namespaces)
    _request(access, selection, asking, lambda: Ask("Rollback", revision=revision))


def cancel(
    access: Access,
    which: Which,
    asking: Asking,
    *,
    action: Annotated[
        Literal["renew", "revoke", "rollback"] | None, typer.Option("--action", help="Only requests for this.")
    ] = None,
    requested_by: Annotated[
        str | None, typer.Option("--requested-by", help="Only requests of this user.", metavar="USER")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be cancelled.")] = False,
) -> None:
    """Take back requests that have not ended, and say what the CA has been asked for already."""
    from certwright.cli.cluster.cancel import Wish
    from certwright.cli.cluster.cancel import cancel as of

    async def command() -> "ExitCode":
        wish = Wish(
            action=action.capitalize() if action is not None else None,
            requested_by=requested_by,
            dry_run=dry_run,
            wait=asking.wait,
            timeout=_duration(asking.timeout),
            yes=asking.yes,
            form=_form(asking.output),
        )
        return await of(access.target, which.selection, wish)

    _run(command())


def pause(access: Access, which: Which, *, yes: Yes = False) -> None:
    """Have the operator leave Certificates as they are, until they are resumed."""
    _set_paused(access, which, paused=True, yes=yes)


def resume(access: Access, which: Which, *, yes: Yes = False) -> None:
    """Have the operator go on with Certificates that are paused."""
    _set_paused(access, which, paused=False, yes=yes)


def check(
    access: Access,
    *,
    operator_namespace: OperatorNamespace = None,
    output: Report = "table",
) -> None:
    """Check the CRDs, the operator, rights, issuers, and what can be reached from here."""
    from certwright.cli.cluster import check as of

    _run(of.check(access.target, operator_namespace=operator_namespace, form=_form(output)))


def migrate(
    access: Access,
    *,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--filename", "-f", help="Read files or folders instead of the cluster; repeat it.", metavar="PATH"
        ),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Move objects to Certwright for a trial period.", rich_help_panel=_STEPS)
    ] = False,
    finish: Annotated[
        bool,
        typer.Option("--finish", help="End the trial, delete cert-manager's moved objects.", rich_help_panel=_STEPS),
    ] = False,
    back: Annotated[
        bool, typer.Option("--back", help="End the trial and roll back to cert-manager.", rich_help_panel=_STEPS)
    ] = False,
    remove_crds: Annotated[
        bool,
        typer.Option(
            "--remove-crds",
            help="With --finish: delete cert-manager's CRDs, if nothing is left.",
            rich_help_panel=_STEPS,
        ),
    ] = False,
    operator_namespace: OperatorNamespace = None,
    timeout: Annotated[
        str, typer.Option("--timeout", help="How long a step may wait, such as 10m.", metavar="TIME")
    ] = "10m",
    yes: Yes = False,
    output: Annotated[
        Literal["table", "json", "yaml", "manifests"],
        typer.Option("--output", "-o", help="Output format of verdicts; manifests: Certwright's objects."),
    ] = "table",
) -> None:
    """Move from cert-manager: without a step, only a verdict for each of its objects is shown.

    The steps are --apply, --finish and --back. Each can be repeated, and goes on where it was interrupted.
    """
    from certwright.cli.cluster.exits import ExitCode
    from certwright.cli.cluster.migrate import How
    from certwright.cli.cluster.migrate import migrate as of
    from certwright.cli.exits import CommandError

    async def command() -> "ExitCode":
        steps = [name for name, given in (("apply", apply), ("finish", finish), ("back", back)) if given]
        if len(steps) > 1 or (steps and files) or (remove_crds and not finish):
            raise CommandError(
                "One of --apply, --finish and --back at a time, none of them with --filename, and --remove-crds with "
                "--finish alone.",
                ExitCode.USAGE,
            )
        how = How(
            files=files or (),
            step=steps[0] if steps else None,
            operator_namespace=operator_namespace,
            with_crds=remove_crds,
            timeout=_duration(timeout).total_seconds(),
            yes=yes,
            form=output,
        )
        return await of(access.target, how)

    _run(command())


COMMANDS: Final = (
    with_options(status, Access),
    with_options(explain, Access),
    with_options(renew, Access, Which, Asking),
    with_options(revoke, Access, Asking),
    with_options(rollback, Access, Asking),
    with_options(cancel, Access, Which, Asking),
    with_options(pause, Access, Which),
    with_options(resume, Access, Which),
    with_options(check, Access),
    with_options(migrate, Access),
)


def _run(command: Coroutine[Any, Any, "ExitCode"]) -> None:
    from certwright.cli.cluster.runner import run

    raise typer.Exit(run(command))


def _request(access: Access, selection: "Selection", asking: Asking, ask: Callable[[], "Ask"]) -> None:
    """Ask the operator for something. What is wrong with an option is told as an error of the command."""
    from certwright.cli.cluster.requests import request

    async def command() -> "ExitCode":
        how = replace(
            ask(), wait=asking.wait, timeout=_duration(asking.timeout), yes=asking.yes, form=_form(asking.output)
        )
        return await request(access.target, selection, how)

    _run(command())


def _set_paused(access: Access, which: Which, *, paused: bool, yes: bool) -> None:
    from certwright.cli.cluster import requests as of

    _run(of.set_paused(access.target, which.selection, paused=paused, yes=yes))


def _form(output: str) -> "Format":
    return cast("Format", output)


def _duration(text: str) -> dt.timedelta:
    from certwright.cli.cluster.exits import ExitCode
    from certwright.cli.exits import CommandError

    unit = {"s": "seconds", "m": "minutes", "h": "hours"}.get(text[-1:])
    if unit is None or not text[:-1].isdecimal() or not 0 < int(text[:-1]) <= _LONGEST_TIMEOUT:
        raise CommandError(f"--timeout {text}: write a number and a unit, such as 90s, 10m or 2h.", ExitCode.USAGE)
    return dt.timedelta(**{unit: int(text[:-1])})
