"""Credentials from exec plugins: `exec` of a kubeconfig's user (client.authentication.k8s.io)."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from certwright.kube.kubeconfig import NoCredentials
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.kube.kubeconfig import Section

API_VERSIONS: Final = tuple(f"client.authentication.k8s.io/{version}" for version in ("v1", "v1beta1"))
SECONDS: Final = 60.0
"""How long a plug-in may run: some ask an identity provider."""
MAX_OUTPUT_BYTES: Final = 1024 * 1024
MAX_SHOWN: Final = 300
"""Characters of what a plug-in says on standard error that are shown."""


@dataclass(frozen=True)
class Brought:
    """What a plug-in brought.

    Attributes:
        token: For the Authorization header, or None.
        certificate: A client certificate in PEM, or None.
        key: Its key.
        expires: When both end, or None: then they are good until the API server refuses them.
    """

    token: str | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    expires: dt.datetime | None = None


@dataclass(frozen=True)
class ExecPlugin:
    """A plug-in and how to run it.

    Attributes:
        api_version: What it speaks.
        command: Its path or name, and its arguments.
        environment: Variables beside ours.
        hint: How to install it, or "".
        cluster: What it is told of the cluster, or None.
    """

    api_version: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    hint: str = ""
    cluster: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, user: Section, cluster: Section) -> ExecPlugin | None:
        """Read the plug-in of a user; None if there is none.

        Raises:
            NoCredentials: It cannot be run here.
        """
        settings = user.content.get("exec")
        if settings is None:
            return None
        if not isinstance(settings, dict) or not isinstance(settings.get("command"), str):
            raise NoCredentials(f"exec of {user.name} has no command")
        version = settings.get("apiVersion")
        if version not in API_VERSIONS:
            raise NoCredentials(f"exec.apiVersion of {user.name} is {version}; supported are {', '.join(API_VERSIONS)}")
        if settings.get("interactiveMode") == "Always":
            raise NoCredentials(f"the exec plug-in of {user.name} needs a terminal (interactiveMode: Always)")
        return cls(
            version,
            (_command(settings["command"], user.folder), *map(str, settings.get("args") or ())),
            {str(entry.get("name")): str(entry.get("value", "")) for entry in settings.get("env") or ()},
            printable(str(settings.get("installHint") or ""), MAX_SHOWN),
            _shown_cluster(cluster) if settings.get("provideClusterInfo") else None,
        )

    async def run(self) -> Brought:
        """Run it, without a terminal.

        Raises:
            NoCredentials: It cannot be started, fails, takes too long, says too much, or nothing usable.
        """
        name = Path(self.command[0]).name
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                env={**os.environ, **self.environment, "KUBERNETES_EXEC_INFO": json.dumps(self._info())},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else "not a command"
            raise NoCredentials(f"cannot run the exec plug-in {name}: {reason}. {self.hint}".rstrip(". ")) from None
        try:
            async with asyncio.timeout(SECONDS):
                said, complaint = await asyncio.gather(_bounded(process.stdout), _bounded(process.stderr))
                code = await process.wait()
        except TimeoutError:
            raise NoCredentials(f"the exec plug-in {name} was still running after {SECONDS:g} s") from None
        finally:
            await _end(process)
        if code != 0:
            words = printable((complaint or b"").decode("utf-8", "replace"), MAX_SHOWN)
            raise NoCredentials(f"the exec plug-in {name} failed with exit code {code}: {words}")
        if said is None:
            raise NoCredentials(f"the exec plug-in {name} wrote more than {MAX_OUTPUT_BYTES} bytes")
        return self._read(said, name)

    def _info(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"interactive": False}
        if self.cluster is not None:
            spec["cluster"] = dict(self.cluster)
        return {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec}

    def _read(self, said: bytes, name: str) -> Brought:
        try:
            document = json.loads(said)
            status = document["status"]
            members = ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp")
            token, certificate, key, expires = (_text(status.get(member)) for member in members)
            found = Brought(
                token,
                None if certificate is None else certificate.encode(),
                None if key is None else key.encode(),
                None if expires is None else dt.datetime.fromisoformat(expires).astimezone(dt.UTC),
            )
            versions = (document.get("apiVersion"), document.get("kind"))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise NoCredentials(f"the exec plug-in {name} brought no ExecCredential") from None
        if versions != (self.api_version, "ExecCredential"):
            raise NoCredentials(f"the exec plug-in {name} does not speak {self.api_version}")
        if (found.certificate is None) != (found.key is None) or not (found.token or found.key):
            raise NoCredentials(f"the exec plug-in {name} brought neither a token nor a certificate with its key")
        return found


def _command(command: str, folder: Path) -> str:
    """A path is relative to the kubeconfig; a name is looked for on PATH."""
    return str(folder / command) if os.sep in command else shutil.which(command) or command


def _shown_cluster(cluster: Section) -> dict[str, Any]:
    fields = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url")
    shown = {field: cluster.content[field] for field in fields if field in cluster.content}
    authority = cluster.data("certificate-authority")
    if authority is not None:
        shown["certificate-authority-data"] = base64.b64encode(authority).decode()
    for extension in cluster.content.get("extensions") or ():
        if extension.get("name") == "client.authentication.k8s.io/exec":
            shown["config"] = extension.get("extension")
    return shown


async def _bounded(stream: asyncio.StreamReader | None) -> bytes | None:
    """Read a stream to its end; None if it has more than the limit, the rest of which is dropped."""
    kept, too_long = bytearray(), False
    while stream is not None and (part := await stream.read(65536)):
        too_long = too_long or len(kept) + len(part) > MAX_OUTPUT_BYTES
        if not too_long:
            kept += part
    return None if too_long else bytes(kept)


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value or None


async def _end(process: asyncio.subprocess.Process) -> None:
    # Its whole session, as the programs that a script started may outlive it.
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
