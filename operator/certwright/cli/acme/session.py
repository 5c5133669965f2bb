"""The context of a command: its options, its output, its folder, and its CA or certificate."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import KNOWN_AUTHORITIES, UnsafeUrl, directory_url
from certwright.cli.acme.account_store import AccountStore
from certwright.cli.acme.certificate_store import CHAIN, CertificateStore
from certwright.cli.acme.exits import ExitCode, UsageError
from certwright.cli.acme.files import MAX_BYTES, is_world_readable, make_folder, read_file
from certwright.cli.acme.lock import Lock, locked, locked_briefly
from certwright.cli.acme.ownership import check_folder
from certwright.cli.exits import CommandError
from certwright.dns.connections import Connections
from certwright.pki import PkiError, parse_chain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.cli.acme.common import Common
    from certwright.cli.acme.output import Output
    from certwright.cli.acme.settings import Metadata
    from certwright.dns import DnsView, Provider
    from certwright.dns.provider import ProviderConfig
    from certwright.pki import CertificateChain

_LIMITS_SECONDS: Final = 5.0
"""Seconds to wait for a file that other runs use for milliseconds, even with `--lock-timeout 0`."""

DEFAULT_SERVER: Final = "letsencrypt-staging"
"""A first try at a staging CA uses up no rate limits, and its certificates are not mistaken for real ones."""


@dataclass(frozen=True)
class Outcome:
    """The result of a command.

    Attributes:
        document: For machines; `command` and `ok` are added.
        lines: For people.
        code: The exit code.
    """

    document: dict[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()
    code: ExitCode = ExitCode.DONE


class Session:
    """One run of a command."""

    def __init__(self, common: Common, output: Output) -> None:
        self.common = common
        self.output = output
        # Absolute, because hooks and cron run in other directories.
        self.folder = (common.folder or data_folder()).absolute()
        check_state(self.folder)
        self.accounts = AccountStore(self.folder / "accounts")
        self.certificates = CertificateStore(self.folder / "certificates")
        self._warned_of: set[Path] = set()
        self._connections = Connections()
        self._providers: dict[tuple[ProviderConfig, object], Provider] = {}

    async def aclose(self) -> None:
        """Close the connections to DNS providers."""
        self._providers.clear()
        await self._connections.aclose()

    def provider(self, config: ProviderConfig, view: DnsView, servers: object) -> Provider:
        """Return the DNS provider with a configuration; certificates with the same one share it, and its throttle.

        Args:
            config: With its credentials.
            view: Finds zones, if it does not list its own.
            servers: What tells one view from another.

        Raises:
            DnsError: A value cannot be used.
        """
        key = (config, None if getattr(config, "knows_zones", False) else servers)
        if key not in self._providers:
            self._providers[key] = config.build(self._connections.context(view))
        return self._providers[key]

    def read_secret(self, path: Path, *, what: str, most: int = MAX_BYTES) -> bytes:
        """Read a file with a secret, and warn if all users can read it.

        Raises:
            CommandError: It cannot be read, or is too long.
        """
        content = read_file(path, what=what, most=most)
        self.warn_of_readers(path)
        return content

    def warn_of_readers(self, path: Path) -> None:
        """Warn, once, if all users can read a file with a secret."""
        if path not in self._warned_of and warn_of_readers(path, self.output):
            self._warned_of.add(path)

    def certificate_lock(
        self, certificate: CertificateFolder, *, seconds: float | None = None
    ) -> AbstractAsyncContextManager[Lock]:
        """Be the only run that issues, renews or revokes a certificate while the block runs.

        Args:
            certificate: The certificate, which may not exist yet.
            seconds: How long to wait for another run; None for `--lock-timeout`.
        """
        path, what = self._lock(f"certificate-{certificate.name}"), f"the certificate {certificate.name}"
        seconds = self.common.lock_timeout if seconds is None else seconds
        return locked(path, what, seconds=seconds, on_wait=self.output.say)

    def account_lock(self, directory_url: str, *, shared: bool) -> AbstractAsyncContextManager[Lock]:
        """Use the account at a CA, shared, or be the only run that changes it, while the block runs."""
        path = self._lock(f"account-{self.accounts.at(directory_url).path.name}")
        what = f"the account at {server_name(directory_url)}"
        return locked(path, what, seconds=self.common.lock_timeout, on_wait=self.output.say, shared=shared)

    def port_lock(self, port: int) -> Lock:
        """Return the lock of a port that this program listens on; it is not taken yet."""
        path = self._lock(f"port-{port}")
        return Lock(path, f"port {port}", seconds=self.common.lock_timeout, on_wait=self.output.say)

    def limits_folder(self, directory_url: str) -> Path:
        """Return the folder of what is counted against the rate limits of a CA; it may not exist yet."""
        return self.folder / "limits" / self.accounts.at(directory_url).path.name

    def limits_lock(self, directory_url: str) -> AbstractContextManager[None]:
        """Be the only run that reads and changes what is counted against the rate limits of a CA."""
        path = self._lock(f"limits-{self.limits_folder(directory_url).name}")
        what = f"the rate limits of {server_name(directory_url)}"
        return locked_briefly(path, what, seconds=max(self.common.lock_timeout, _LIMITS_SECONDS))

    def _lock(self, name: str) -> Path:
        make_folder(self.folder)
        return self.folder / "locks" / name

    def server(self) -> str:
        """Return the directory URL of the chosen CA.

        Raises:
            UsageError: There is no such CA, or there are accounts at several and none was chosen.
        """
        if self.common.server is not None:
            return server_url(self.common.server)
        urls = {account.directory_url for account in self.accounts.all()}
        if len(urls) > 1:
            raise UsageError(f"There are accounts at several CAs. Choose one with --server: {', '.join(sorted(urls))}")
        if urls:
            return urls.pop()
        self.output.say(
            f"Using {DEFAULT_SERVER}, whose certificates are not trusted; use --server letsencrypt for trusted ones"
        )
        return directory_url(DEFAULT_SERVER)

    def find(self, text: str) -> Target:
        """Find a certificate by its name in the folder, by the path of a file, or by a path into its folder.

        Raises:
            UsageError: There is none.
            CommandError: It cannot be read.
        """
        path = Path(text)
        saved = next(
            (
                folder
                for folder in self.certificates.all()
                if text == folder.name
                or path.absolute() in (folder.path.absolute(), folder.path.absolute() / path.name)
            ),
            None,
        )
        if saved is None and not path.is_file():
            with suppress(UsageError):
                by_domain = self.certificates.named(text)
                saved = by_domain if by_domain.exists() else None
        try:
            if saved is not None:
                return Target(text, parse_chain(saved.read(CHAIN)), saved, saved.metadata())
            if not path.is_file():
                raise UsageError(
                    f"{text} is neither a file nor a certificate in {self.folder}, which has: {self.known_names()}"
                )
            return Target(text, parse_chain(read_file(path, what="the certificate")))
        except PkiError as error:
            raise CommandError(f"{text}: {error}") from None

    def known_names(self) -> str:
        """Return the names of all certificates in the folder, for messages."""
        return ", ".join(folder.name for folder in self.certificates.all()) or "none"


@dataclass(frozen=True)
class Target:
    """The certificate that a command is about.

    Attributes:
        text: As the user named it.
        chain: The certificate and its issuers.
        folder: Its folder, or None for a file from elsewhere.
        metadata: How it was issued, or None for a file from elsewhere.
    """

    text: str
    chain: CertificateChain
    folder: CertificateFolder | None = None
    metadata: Metadata | None = None

    def server(self, session: Session) -> str:
        """Return the directory URL of its CA; for a file from elsewhere, of the CA chosen by the options."""
        if self.metadata is not None and session.common.server is None:
            return self.metadata.settings.server
        return session.server()


def warn_of_readers(path: Path, output: Output) -> bool:
    """Warn if all users can read a file with a secret; return whether they can."""
    readable = is_world_readable(path)
    if readable:
        output.warn(f"{path} contains a secret, and all users on this host can read it: chmod 600 {path}")
    return readable


def server_url(name_or_url: str) -> str:
    """Return the directory URL of a CA.

    Raises:
        UsageError: It is neither a known name nor a URL.
    """
    try:
        return directory_url(name_or_url)
    except UnsafeUrl as error:
        raise UsageError(str(error)) from None


def server_name(url: str) -> str:
    """Return the known name of a CA, or its URL."""
    return next((known.name for known in KNOWN_AUTHORITIES.values() if known.directory_url == url), url)


def check_state(folder: Path) -> None:
    """Check that no other user can change what the folder of accounts and certificates says.

    Raises:
        CommandError: Another user can, or it cannot be looked at.
    """
    try:
        check_folder(folder)
    except OSError as error:
        raise CommandError(f"Cannot use {folder}: {os.strerror(error.errno or 0).lower()}") from error


def data_folder() -> Path:
    """Return the folder of accounts and certificates where none is given. Raises `UsageError`."""
    # XDG Base Directory Specification; root's certificates are the system's.
    base = os.environ.get("XDG_DATA_HOME", "")
    data = Path(base) if base.startswith("/") else _home() / ".local" / "share"
    return data / "certwright" / "acme"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise UsageError("There is no home folder for accounts and certificates: choose a folder with --dir") from None
