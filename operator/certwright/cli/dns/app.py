"""The command group `certwright dns`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import Annotated, Final

import typer

from certwright.cli.acme.app import AcmeGroup
from certwright.cli.acme.solver_settings import DnsView

_EPILOG: Final = "Exit codes: 0 success, 1 it does not work, 2 invalid command line or settings."

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress, only warnings, errors and the result.")]
Debug = Annotated[bool, typer.Option("--debug", help="Log every request, and print the traceback of an error.")]

dns = typer.Typer(
    name="dns",
    cls=AcmeGroup,
    help="Show the DNS providers, and check credentials for them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@dns.command("list", epilog=_EPILOG)
def list_providers(
    provider: Annotated[str | None, typer.Argument(help="One provider, in detail.", show_default="all")] = None,
    *,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """List the DNS providers and the fields of their credentials."""
    from certwright.cli.acme.runner import Shown, run_plain
    from certwright.cli.dns.listing import list_providers as show

    run_plain("list", lambda _: show(provider), Shown(as_json=as_json, quiet=quiet, debug=debug))


@dns.command(epilog=_EPILOG)
def check(
    provider: Annotated[str, typer.Argument(help="The provider, as in certwright dns list.")],
    name: Annotated[str, typer.Argument(help="A domain that is to be validated, such as www.example.com.")],
    *,
    dns_credentials: Annotated[
        Path | None,
        typer.Option(
            "--dns-credentials",
            help="File with the provider's fields, in YAML or JSON.",
            show_default="$CERTWRIGHT_DNS_...",
        ),
    ] = None,
    dns_resolver: Annotated[
        list[str] | None,
        typer.Option(
            "--dns-resolver", help="Resolver used to find zones and follow aliases; repeat for several.", metavar="TEXT"
        ),
    ] = None,
    dns_server: Annotated[
        list[str] | None,
        typer.Option(
            "--dns-server",
            help="Server to query for the record; repeat for several.",
            show_default="the zone's",
            metavar="TEXT",
        ),
    ] = None,
    dns_view: Annotated[
        list[DnsView] | None,
        typer.Option(
            "--dns-view",
            help="Where the record must be visible: on the zone's own servers, on the resolvers, or on both.",
            show_default="authoritative",
        ),
    ] = None,
    dns_zone: Annotated[
        str | None,
        typer.Option(
            "--dns-zone",
            help="Zone in which the record is created.",
            show_default="the zone with the longest name that contains it",
        ),
    ] = None,
    dns_ttl: Annotated[
        str | None,
        typer.Option(
            "--dns-ttl",
            metavar="SECONDS",
            help="How long resolvers may cache the record.",
            show_default="60, or the shortest time that the provider takes",
        ),
    ] = None,
    dns_timeout: Annotated[
        float | None,
        typer.Option(
            "--dns-timeout",
            min=0,
            help="Seconds to wait until the record is visible.",
            show_default="300, or as long as the provider usually takes",
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check credentials: find the zone, create a test record, look for it on the name servers, remove it."""
    from certwright.cli.acme.runner import Shown, run_plain
    from certwright.cli.dns.check import CheckOptions
    from certwright.cli.dns.check import check as run_check

    options = CheckOptions(
        provider=provider,
        name=name,
        file=dns_credentials,
        resolvers=tuple(dns_resolver or ()),
        servers=tuple(dns_server or ()),
        views=tuple(view.value for view in dns_view or (DnsView.AUTHORITATIVE,)),
        zone=dns_zone,
        ttl=dns_ttl,
        seconds=dns_timeout,
    )
    run_plain("check", lambda output: run_check(output, options), Shown(as_json=as_json, quiet=quiet, debug=debug))
