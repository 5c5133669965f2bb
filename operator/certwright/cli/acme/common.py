"""The options that all commands have, declared once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from certwright.cli.shared_options import with_options

_PANEL: Final = "Common options"


def _option(*names: str, **settings: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_PANEL, **settings)


@dataclass(frozen=True)
class Common:
    """The values of these options."""

    folder: Annotated[
        Path | None,
        _option(
            "--dir",
            envvar="CERTWRIGHT_ACME_DIR",
            show_default="the user's data folder",
            help="Folder with accounts and certificates.",
        ),
    ] = None
    server: Annotated[
        str | None,
        _option(
            "--server",
            envvar="CERTWRIGHT_ACME_SERVER",
            show_default="the CA of the only account, else letsencrypt-staging",
            help="The CA: a name such as letsencrypt, or a directory URL.",
        ),
    ] = None
    ca_bundle: Annotated[
        Path | None, _option("--ca-bundle", help="PEM file with the only root certificates to trust.")
    ] = None
    proxy: Annotated[
        str | None, _option("--proxy", show_default="$HTTPS_PROXY", help="Proxy URL for all requests.")
    ] = None
    client_certificate: Annotated[
        Path | None, _option("--client-certificate", help="PEM file with a TLS client certificate.")
    ] = None
    client_key: Annotated[Path | None, _option("--client-key", help="PEM file with its key.")] = None
    request_timeout: Annotated[
        float | None,
        _option("--request-timeout", min=0.1, show_default="60", help="Seconds for each request to the CA."),
    ] = None
    lock_timeout: Annotated[
        float,
        _option(
            "--lock-timeout",
            min=0,
            help="Seconds to wait for another run that uses the same certificate.",
        ),
    ] = 30.0
    as_json: Annotated[
        bool,
        _option("--json", help="Print one JSON document on standard output, and all else on standard error."),
    ] = False
    quiet: Annotated[
        bool, _option("--quiet", "-q", help="Print no progress, only warnings, errors and the result.")
    ] = False
    debug: Annotated[bool, _option("--debug", help="Log every request, and print the traceback of an error.")] = False


def with_common(command: Callable[..., None]) -> Callable[..., None]:
    """Add the common options to a command, which gets them as its first argument, a `Common`."""
    return with_options(command, Common)
