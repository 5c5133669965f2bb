"""The commands as people type them. What they do is imported when one runs: completion and help need none of it."""

import datetime as dt
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from certwright.cli.cluster.options import (
    Access,
    AllNamespaces,
    Asking,
    Names,
    OfIssuer,
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


def status(
    access: Access,
    *,
    names: Names = None,
    all_namespaces: AllNamespaces = False,
    selector: Selector = None,
    issuer: OfIssuer = None,
    calendar: Annotated[bool, typer.Option("--calendar", help="When each is renewed, day by day.")] = False,
    watch: Watch = False,
    output: Output = "table",
) -> None:
    """Show Certificates: whether they are ready, why, when they expire and when they are renewed.

    With one NAME everything about it: Secret, issuer, order, challenges, requests and Events, as a tree.
    """
    from certwright.cli.cluster import status as of  # noqa: PLC0415 - see above

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
    from certwright.cli.cluster import status as of  # noqa: PLC0415 - see above

    _run(of.explain(access.target, names, form=_form(output), watch=watch))


def renew(
    access: Access,
    which: Which,
    asking: Asking,
    *,
    rate: Annotated[
        str | None,
        typer.Option("--rate", help="Spread them, such as 10/h. The operator does; you need not wait.", metavar="RATE"),
    ] = None,
) -> None:
    """Have Certificates renewed now, or one after another."""
    from certwright.cli.cluster.requests import Ask, parse_rate  # noqa: PLC0415 - see above

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
    from certwright.cli.cluster.requests import REVOKE_WARNINGS, Ask  # noqa: PLC0415 - see above

    selection = selection_of(names, selector, issuer, all_namespaces=all_namespaces)
    _request(access, selection, asking, lambda: Ask("Revoke", reason, warnings=REVOKE_WARNINGS))


def rollback(
    access: Access,
    asking: Asking,
    *,
    names: Names = None,
    revision: Annotated[
        int | None, typer.Option("--to-revision", min=1, help="Which one; by default the previous.")
    ] = None,
    selector: Selector = None,
    all_namespaces: AllNamespaces = False,
) -> None:
    """Have an earlier certificate put back into the Secret."""
    from certwright.cli.cluster.requests import Ask  # noqa: PLC0415 - see above

    selection = selection_of(names, selector, None, all_namespaces=all_namespaces)
    _request(access, selection, asking, lambda: Ask("Rollback", revision=revision))


def pause(access: Access, which: Which, *, yes: Yes = False) -> None:
    """Have the operator leave Certificates as they are, until they are resumed."""
    _set_paused(access, which, paused=True, yes=yes)


def resume(access: Access, which: Which, *, yes: Yes = False) -> None:
    """Have the operator go on with Certificates that are paused."""
    _set_paused(access, which, paused=False, yes=yes)


def check(
    access: Access,
    *,
    operator_namespace: Annotated[
        str | None,
        typer.Option(
            "--operator-namespace", help="Where the operator runs; by default it is looked for.", metavar="NAME"
        ),
    ] = None,
    output: Report = "table",
) -> None:
    """Check the CRDs, the operator, rights, issuers, and what can be reached from here."""
    from certwright.cli.cluster import check as of  # noqa: PLC0415 - see above

    _run(of.check(access.target, operator_namespace=operator_namespace, form=_form(output)))


COMMANDS: Final = (
    with_options(status, Access),
    with_options(explain, Access),
    with_options(renew, Access, Which, Asking),
    with_options(revoke, Access, Asking),
    with_options(rollback, Access, Asking),
    with_options(pause, Access, Which),
    with_options(resume, Access, Which),
    with_options(check, Access),
)


def _run(command: Coroutine[Any, Any, "ExitCode"]) -> None:
    from certwright.cli.cluster.runner import run  # noqa: PLC0415 - see above

    raise typer.Exit(run(command))


def _request(access: Access, selection: "Selection", asking: Asking, ask: Callable[[], "Ask"]) -> None:
    """Ask the operator for something. What is wrong with an option is told as an error of the command."""
    from certwright.cli.cluster.requests import request  # noqa: PLC0415 - see above

    async def command() -> "ExitCode":
        how = replace(
            ask(), wait=asking.wait, timeout=_duration(asking.timeout), yes=asking.yes, form=_form(asking.output)
        )
        return await request(access.target, selection, how)

    _run(command())


def _set_paused(access: Access, which: Which, *, paused: bool, yes: bool) -> None:
    from certwright.cli.cluster import requests as of  # noqa: PLC0415 - see above

    _run(of.set_paused(access.target, which.selection, paused=paused, yes=yes))


def _form(output: str) -> "Format":
    return cast("Format", output)


def _duration(text: str) -> dt.timedelta:
    from certwright.cli.cluster.exits import ExitCode  # noqa: PLC0415 - see above
    from certwright.cli.exits import CommandError  # noqa: PLC0415 - see above

    unit = {"s": "seconds", "m": "minutes", "h": "hours"}.get(text[-1:])
    if unit is None or not text[:-1].isdecimal() or not 0 < int(text[:-1]) <= _LONGEST_TIMEOUT:
        raise CommandError(f"--timeout {text}: write a number and a unit, such as 90s, 10m or 2h.", ExitCode.USAGE)
    return dt.timedelta(**{unit: int(text[:-1])})
