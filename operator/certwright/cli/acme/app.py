"""The command group `certwright acme`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer
from typer.core import TyperGroup

from certwright.cli.acme import commands
from certwright.cli.acme.common import with_common
from certwright.cli.acme.exits import MEANINGS, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

_EPILOG: Final = "\n".join(
    [
        "Exit codes:",
        *(f"{int(code):>3}  {meaning}" for code, meaning in MEANINGS.items()),
        "Environment: CERTWRIGHT_ACME_DIR for --dir, CERTWRIGHT_ACME_SERVER for --server, HTTPS_PROXY, SSL_CERT_FILE;",
        "for secrets that are in no file: CERTWRIGHT_EAB_HMAC_KEY, CERTWRIGHT_TSIG_SECRET, CERTWRIGHT_PKCS12_PASSWORD,",
        "and CERTWRIGHT_DNS_... for the fields of a DNS provider, such as CERTWRIGHT_DNS_API_TOKEN.",
    ]
)


class AcmeGroup(TyperGroup):
    """Prints the document that `--json` promises, even when the command line itself is invalid."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what comes before the command."""
        self._as_json = "--json" in args
        self._command = next((word for word in args if word in self.commands), None)
        return self._reported(lambda: super(AcmeGroup, self).parse_args(ctx, args))

    def invoke(self, ctx: Any) -> Any:
        """Parse what comes after the command, and run it."""
        return self._reported(lambda: super(AcmeGroup, self).invoke(ctx))

    def _reported(self, act: Callable[[], _T]) -> _T:
        try:
            return act()
        except Exception as error:
            # Not by class: which module defines click's errors depends on the version of typer.
            text = getattr(error, "format_message", None)
            if self._as_json and text is not None:
                document = {
                    "type": "UsageError",
                    "message": f"{text()}",
                    "exit_code": int(ExitCode.USAGE),
                    "temporary": False,
                }
                whole = {"command": self._command, "ok": False, "error": document}
                print(json.dumps(whole, indent=2, ensure_ascii=False))
            raise


acme = typer.Typer(
    name="acme",
    cls=AcmeGroup,
    help="Issue, renew and revoke certificates on hosts without Kubernetes, from any ACME CA (RFC 8555).",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for _command in (
    commands.register,
    commands.account,
    commands.issue,
    commands.renew,
    commands.revoke,
    commands.rollover,
    commands.deactivate,
    commands.discover,
    commands.info,
    commands.ari,
    commands.delete,
    commands.reconfigure,
):
    acme.command(epilog="Exit codes and environment variables: certwright acme --help")(with_common(_command))
acme.command("list", epilog="Exit codes and environment variables: certwright acme --help")(
    with_common(commands.list_certificates)
)


@acme.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=commands.print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Issue, renew and revoke certificates on hosts without Kubernetes, from any ACME CA (RFC 8555)."""
