"""The commands as people type them. What they do is imported when one runs: completion and help need none of it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from certwright.cli.cluster.connection import Target
    from certwright.cli.cluster.exits import ExitCode
    from certwright.cli.cluster.rows import Format
    from certwright.cli.cluster.selection import Selection

_ACCESS = "API server"
_WHICH = "Which Certificates"
_LONGEST_TIMEOUT = 1_000_000

Kubeconfig = Annotated[
    str | None, typer.Option("--kubeconfig", help="Kubeconfig file.", metavar="FILE", rich_help_panel=_ACCESS)
]
Context = Annotated[
    str | None, typer.Option("--context", help="Context of the kubeconfig.", metavar="NAME", rich_help_panel=_ACCESS)
]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace.", metavar="NAME", rich_help_panel=_ACCESS)
]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces.", rich_help_panel=_WHICH)]
Selector = Annotated[
    str | None,
    typer.Option(
        "--selector", "-l", help="Label selector, such as team=shop.", metavar="LABELS", rich_help_panel=_WHICH
    ),
]
OfIssuer = Annotated[
    str | None,
    typer.Option("--issuer", help="Those of an issuer: NAME or clusterissuer/NAME.", rich_help_panel=_WHICH),
]
Everything = Annotated[
    bool, typer.Option("--all", help="All in the namespace, or with -A in all.", rich_help_panel=_WHICH)
]
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", show_default=False)]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Go on showing changes until Ctrl-C.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is done, with progress.")]
Timeout = Annotated[str, typer.Option("--timeout", help="How long --wait waits, such as 90s, 10m or 2h.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask no question.")]
AllForms = Literal["table", "wide", "json", "yaml", "name"]
Output = Annotated[AllForms, typer.Option("--output", "-o", help="How the result is printed.")]
Reason = Literal[
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "removeFromCRL",
    "privilegeWithdrawn",
    "aACompromise",
]


def status(
    names: Names = None,
    *,
    all_namespaces: AllNamespaces = False,
    selector: Selector = None,
    issuer: OfIssuer = None,
    calendar: Annotated[bool, typer.Option("--calendar", help="When each is renewed, day by day.")] = False,
    watch: Watch = False,
    output: Output = "table",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show Certificates: whether they are ready, why, when they expire and when they are renewed.

    With one NAME everything about it: Secret, issuer, order, challenges, requests and Events, as a tree.
    """
    from certwright.cli.cluster import status as of  # noqa: PLC0415 - see above

    selection = _selection(names, selector, issuer, all_namespaces=all_namespaces)
    where = _target(kubeconfig, context, namespace)
    _run(of.status(where, selection, form=_form(output), watch=watch, with_calendar=calendar))


def explain(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", show_default=False)],
    *,
    watch: Watch = False,
    output: Annotated[
        Literal["table", "json", "yaml"], typer.Option("--output", "-o", help="How it is printed.")
    ] = "table",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Explain what a Certificate or issuer waits for, why, how to see it yourself, and what to do.

    NAME is a Certificate; issuer/NAME and clusterissuer/NAME are issuers.
    """
    from certwright.cli.cluster import status as of  # noqa: PLC0415 - see above

    _run(of.explain(_target(kubeconfig, context, namespace), names, form=_form(output), watch=watch))


def renew(
    names: Names = None,
    *,
    everything: Everything = False,
    selector: Selector = None,
    issuer: OfIssuer = None,
    all_namespaces: AllNamespaces = False,
    rate: Annotated[
        str | None, typer.Option("--rate", help="Spread them, such as 10/h. The operator does; you need not wait.")
    ] = None,
    wait: Wait = False,
    timeout: Timeout = "10m",
    yes: Yes = False,
    output: Output = "table",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Have Certificates renewed now, or one after another."""
    from certwright.cli.cluster import requests as of  # noqa: PLC0415 - see above

    selection = _selection(names, selector, issuer, all_namespaces=all_namespaces, everything=everything)
    where = _target(kubeconfig, context, namespace)

    async def command() -> ExitCode:
        ask = of.Ask(
            "Renew", interval=of.parse_rate(rate), wait=wait, timeout=_duration(timeout), yes=yes, form=_form(output)
        )
        return await of.request(where, selection, ask)

    _run(command())


def revoke(
    names: Names = None,
    *,
    reason: Annotated[Reason, typer.Option("--reason", help="Why, as in RFC 5280.")] = "unspecified",
    selector: Selector = None,
    issuer: OfIssuer = None,
    all_namespaces: AllNamespaces = False,
    wait: Wait = False,
    timeout: Timeout = "10m",
    yes: Yes = False,
    output: Output = "table",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Have the certificates in the Secrets revoked by their CA. This cannot be undone."""
    from certwright.cli.cluster import requests as of  # noqa: PLC0415 - see above

    selection = _selection(names, selector, issuer, all_namespaces=all_namespaces)
    where = _target(kubeconfig, context, namespace)

    async def command() -> ExitCode:
        ask = of.Ask(
            "Revoke",
            reason,
            wait=wait,
            timeout=_duration(timeout),
            yes=yes,
            form=_form(output),
            warnings=of.REVOKE_WARNINGS,
        )
        return await of.request(where, selection, ask)

    _run(command())


def rollback(
    names: Names = None,
    *,
    revision: Annotated[
        int | None, typer.Option("--to-revision", min=1, help="Which one; by default the previous.")
    ] = None,
    selector: Selector = None,
    all_namespaces: AllNamespaces = False,
    wait: Wait = False,
    timeout: Timeout = "10m",
    yes: Yes = False,
    output: Output = "table",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Have an earlier certificate put back into the Secret."""
    from certwright.cli.cluster import requests as of  # noqa: PLC0415 - see above

    selection = _selection(names, selector, None, all_namespaces=all_namespaces)
    where = _target(kubeconfig, context, namespace)

    async def command() -> ExitCode:
        ask = of.Ask("Rollback", revision=revision, wait=wait, timeout=_duration(timeout), yes=yes, form=_form(output))
        return await of.request(where, selection, ask)

    _run(command())


def pause(
    names: Names = None,
    *,
    everything: Everything = False,
    selector: Selector = None,
    issuer: OfIssuer = None,
    all_namespaces: AllNamespaces = False,
    yes: Yes = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Have the operator leave Certificates as they are, until they are resumed."""
    from certwright.cli.cluster import requests as of  # noqa: PLC0415 - see above

    selection = _selection(names, selector, issuer, all_namespaces=all_namespaces, everything=everything)
    _run(of.set_paused(_target(kubeconfig, context, namespace), selection, paused=True, yes=yes))


def resume(
    names: Names = None,
    *,
    everything: Everything = False,
    selector: Selector = None,
    issuer: OfIssuer = None,
    all_namespaces: AllNamespaces = False,
    yes: Yes = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Have the operator go on with Certificates that are paused."""
    from certwright.cli.cluster import requests as of  # noqa: PLC0415 - see above

    selection = _selection(names, selector, issuer, all_namespaces=all_namespaces, everything=everything)
    _run(of.set_paused(_target(kubeconfig, context, namespace), selection, paused=False, yes=yes))


def check(
    *,
    operator_namespace: Annotated[
        str | None, typer.Option("--operator-namespace", help="Where the operator runs; by default it is looked for.")
    ] = None,
    output: Annotated[
        Literal["table", "json", "yaml"], typer.Option("--output", "-o", help="How it is printed.")
    ] = "table",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Check the CRDs, the operator, rights, issuers, and what can be reached from here."""
    from certwright.cli.cluster import check as of  # noqa: PLC0415 - see above

    _run(of.check(_target(kubeconfig, context, namespace), operator_namespace=operator_namespace, form=_form(output)))


COMMANDS = (status, explain, renew, revoke, rollback, pause, resume, check)


def _run(command: Coroutine[Any, Any, ExitCode]) -> None:
    from certwright.cli.cluster.runner import run  # noqa: PLC0415 - see above

    raise typer.Exit(run(command))


def _target(kubeconfig: str | None, context: str | None, namespace: str | None) -> Target:
    from certwright.cli.cluster.connection import Target  # noqa: PLC0415 - see above

    return Target(kubeconfig, context, namespace)


def _selection(
    names: list[str] | None,
    selector: str | None,
    issuer: str | None,
    *,
    all_namespaces: bool,
    everything: bool = False,
) -> Selection:
    from certwright.cli.cluster.selection import Selection  # noqa: PLC0415 - see above

    return Selection(tuple(names or ()), selector, issuer, everything, all_namespaces)


def _form(output: str) -> Format:
    return cast("Format", output)


def _duration(text: str) -> dt.timedelta:
    from certwright.cli.cluster.exits import CommandError, ExitCode  # noqa: PLC0415 - see above

    unit = {"s": "seconds", "m": "minutes", "h": "hours"}.get(text[-1:])
    if unit is None or not text[:-1].isdecimal() or not 0 < int(text[:-1]) <= _LONGEST_TIMEOUT:
        raise CommandError(f"--timeout {text}: write a number and a unit, such as 90s, 10m or 2h.", ExitCode.USAGE)
    return dt.timedelta(**{unit: int(text[:-1])})
