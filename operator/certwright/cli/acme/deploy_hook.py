"""The shell command that runs after each issuance, such as a reload of the server that uses the certificate."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from certwright.cli.acme.account import EAB_VARIABLE
from certwright.cli.acme.certificate_store import CERTIFICATE, CHAIN, ISSUERS, KEY, KEYSTORE
from certwright.cli.acme.dns_credentials import without_secrets
from certwright.cli.acme.install import install, installation
from certwright.cli.acme.keystore import PASSWORD_VARIABLE
from certwright.cli.acme.process_group import end_group
from certwright.cli.acme.solvers import TSIG_VARIABLE
from certwright.cli.exits import CommandError
from certwright.text import rfc3339

if TYPE_CHECKING:
    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.cli.acme.output import Output
    from certwright.cli.acme.settings import Metadata

HOOK_SECONDS: Final = 300.0
"""How long a hook may run."""


async def run_hook(folder: CertificateFolder, metadata: Metadata, output: Output) -> str | None:
    """Install the files, then run the hook in a shell, with the certificate in its environment.

    Its output is on standard error.

    Returns:
        What went wrong, for the user, or None.
    """
    settings = metadata.settings
    if settings.install_to is not None:
        try:
            where = installation(settings.install_to, settings.install_owner, settings.install_mode)
            names = install(folder, where)
        except CommandError as error:
            return f"The files of {folder.name} were not installed: {error}"
        output.say(f"Installed {', '.join(names)} to {settings.install_to}")
    command = settings.deploy_hook
    if command is None:
        return None
    output.say(f"Running the deploy hook of {folder.name}")
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        command,
        env=_environment(folder, metadata),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=2,
        stderr=2,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(HOOK_SECONDS):
            code = await process.wait()
    except TimeoutError:
        return f"The deploy hook of {folder.name} was still running after {HOOK_SECONDS:g} s and was stopped"
    finally:
        if process.returncode is None:
            await end_group(process)
    if code < 0:
        return f"The deploy hook of {folder.name} was killed by signal {-code}"
    return None if code == 0 else f"The deploy hook of {folder.name} failed with exit code {code}"


def _environment(folder: CertificateFolder, metadata: Metadata) -> dict[str, str]:
    secret = (EAB_VARIABLE, TSIG_VARIABLE, PASSWORD_VARIABLE)
    inherited = {name: value for name, value in without_secrets(os.environ).items() if name not in secret}
    path = folder.path
    return inherited | {
        "CERTWRIGHT_NAME": folder.name,
        "CERTWRIGHT_FOLDER": str(path),
        "CERTWRIGHT_FULLCHAIN": str(path / CHAIN),
        "CERTWRIGHT_CHAIN": str(path / ISSUERS),
        "CERTWRIGHT_CERT": str(path / CERTIFICATE),
        "CERTWRIGHT_PRIVKEY": str(path / KEY) if folder.has(KEY) else "",
        "CERTWRIGHT_PKCS12": str(path / KEYSTORE) if folder.has(KEYSTORE) else "",
        "CERTWRIGHT_NAMES": " ".join(metadata.settings.names),
        "CERTWRIGHT_INSTALLED": metadata.settings.install_to or "",
        "CERTWRIGHT_NOT_AFTER": rfc3339(metadata.not_after),
    }
