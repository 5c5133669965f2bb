"""The options of the commands, each declared once."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from certwright.cli.cluster.connection import Target
    from certwright.cli.cluster.selection import Selection

_ACCESS = "API server"
_WHICH = "Which Certificates"

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
    typer.Option(
        "--issuer",
        help="Certificates of an issuer: NAME or clusterissuer/NAME.",
        metavar="NAME",
        rich_help_panel=_WHICH,
    ),
]
Everything = Annotated[
    bool, typer.Option("--all", help="All in the namespace, or with -A in all namespaces.", rich_help_panel=_WHICH)
]
OperatorNamespace = Annotated[
    str | None,
    typer.Option("--operator-namespace", help="Namespace of the operator; detected by default.", metavar="NAME"),
]
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", show_default=False)]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Keep showing changes until Ctrl-C.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is done, with progress.")]
Timeout = Annotated[
    str, typer.Option("--timeout", help="How long --wait waits, such as 90s, 10m or 2h.", metavar="TIME")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Output = Annotated[
    Literal["table", "wide", "json", "yaml", "name"],
    typer.Option("--output", "-o", help="Output format."),
]
Report = Annotated[Literal["table", "json", "yaml"], typer.Option("--output", "-o", help="Output format.")]


@dataclass(frozen=True)
class Access:
    """Which API server, and which namespace there."""

    namespace: Namespace = None
    context: Context = None
    kubeconfig: Kubeconfig = None

    @property
    def target(self) -> "Target":
        """What the commands take."""
        from certwright.cli.cluster.connection import Target

        return Target(self.kubeconfig, self.context, self.namespace)


@dataclass(frozen=True)
class Which:
    """Which Certificates, for commands that may be for all of them."""

    names: Names = None
    everything: Everything = False
    selector: Selector = None
    issuer: OfIssuer = None
    all_namespaces: AllNamespaces = False

    @property
    def selection(self) -> "Selection":
        """What the commands take."""
        return selection_of(
            self.names, self.selector, self.issuer, everything=self.everything, all_namespaces=self.all_namespaces
        )


@dataclass(frozen=True)
class Asking:
    """How a request is made of the operator, and what becomes of it is shown."""

    wait: Wait = False
    timeout: Timeout = "10m"
    yes: Yes = False
    output: Output = "table"


def selection_of(
    names: list[str] | None,
    selector: str | None,
    issuer: str | None,
    *,
    all_namespaces: bool,
    everything: bool = False,
) -> "Selection":
    """Return what selects Certificates, from the values of the options."""
    from certwright.cli.cluster.selection import Selection

    return Selection(tuple(names or ()), selector, issuer, everything, all_namespaces)
