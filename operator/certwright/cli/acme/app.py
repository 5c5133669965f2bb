"""The group of commands `certwright acme`."""

from typing import Final

import typer

from certwright.cli.acme import commands_account, commands_certificate, commands_lookup
from certwright.cli.acme.common import with_common
from certwright.cli.acme.exits import MEANINGS
from certwright.cli.acme.group import AcmeGroup

_EPILOG: Final = "\n".join(
    [
        "Exit codes:",
        *(f"{int(code):>3}  {meaning}" for code, meaning in MEANINGS.items()),
        "Environment: CERTWRIGHT_ACME_DIR for --dir, CERTWRIGHT_ACME_SERVER for --server, HTTPS_PROXY, SSL_CERT_FILE;",
        "for secrets that are in no file: CERTWRIGHT_EAB_HMAC_KEY, CERTWRIGHT_TSIG_SECRET, CERTWRIGHT_PKCS12_PASSWORD.",
    ]
)

acme = typer.Typer(
    name="acme",
    cls=AcmeGroup,
    help="Get, renew and revoke certificates on a host without Kubernetes, from any CA that speaks ACME (RFC 8555).",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for _command in (
    commands_account.register,
    commands_account.account,
    commands_certificate.issue,
    commands_certificate.renew,
    commands_certificate.revoke,
    commands_account.rollover,
    commands_account.deactivate,
    commands_lookup.discover,
    commands_lookup.info,
    commands_lookup.ari,
):
    acme.command(epilog="Exit codes and environment variables: certwright acme --help")(with_common(_command))
