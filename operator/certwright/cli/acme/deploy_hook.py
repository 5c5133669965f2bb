"""The command that a certificate's users are told with that there is a new one."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from certwright.cli.acme.certificate_store import CERTIFICATE, CHAIN, ISSUERS, KEY, KEYSTORE
from certwright.cli.acme.keystore import SECRET_VARIABLE as KEYSTORE_VARIABLE
from certwright.cli.acme.new_account import SECRET_VARIABLE as EAB_VARIABLE
from certwright.cli.acme.tsig_file import SECRET_VARIABLE as TSIG_VARIABLE

if TYPE_CHECKING:
    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.cli.acme.output import Output
    from certwright.cli.acme.recipe import Metadata

#: Seconds that a hook has.
HOOK_SECONDS: Final = 300.0

_KILL_SECONDS: Final = 5.0


async def run_hook(folder: CertificateFolder, metadata: Metadata, output: Output) -> str | None:
    """Run the hook by the shell, with the certificate in its environment and its output on our standard error.

    Returns:
        What went wrong, in words, or None.
    """
    command = metadata.recipe.deploy_hook
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
        return f"The deploy hook of {folder.name} was still running after {HOOK_SECONDS:g} s and was ended"
    finally:
        await _end(process)
    if code < 0:
        return f"The deploy hook of {folder.name} was ended by signal {-code}"
    return None if code == 0 else f"The deploy hook of {folder.name} failed with exit code {code}"


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    # Its whole session: a hook is a shell, and what matters runs below it.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_KILL_SECONDS):
                await process.wait()
                return


def _environment(folder: CertificateFolder, metadata: Metadata) -> dict[str, str]:
    secret = (EAB_VARIABLE, TSIG_VARIABLE, KEYSTORE_VARIABLE)
    inherited = {name: value for name, value in os.environ.items() if name not in secret}
    path = folder.path
    return inherited | {
        "CERTWRIGHT_NAME": folder.name,
        "CERTWRIGHT_FOLDER": str(path),
        "CERTWRIGHT_FULLCHAIN": str(path / CHAIN),
        "CERTWRIGHT_CHAIN": str(path / ISSUERS),
        "CERTWRIGHT_CERT": str(path / CERTIFICATE),
        "CERTWRIGHT_PRIVKEY": str(path / KEY) if folder.has(KEY) else "",
        "CERTWRIGHT_PKCS12": str(path / KEYSTORE) if folder.has(KEYSTORE) else "",
        "CERTWRIGHT_NAMES": " ".join(metadata.recipe.names),
        "CERTWRIGHT_NOT_AFTER": f"{metadata.not_after:%Y-%m-%dT%H:%M:%SZ}",
    }
