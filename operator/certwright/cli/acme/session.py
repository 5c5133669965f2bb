"""What one command works with: its options, its output, its folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import KNOWN_AUTHORITIES, UnsafeUrl, directory_url
from certwright.cli.acme.account_store import AccountStore
from certwright.cli.acme.certificate_store import CertificateStore
from certwright.cli.acme.exits import ExitCode, UsageError
from certwright.cli.acme.files import MAX_BYTES, is_world_readable, make_folder, read_file
from certwright.cli.acme.lock import Lock, locked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.cli.acme.common import Common
    from certwright.cli.acme.output import Output

#: A first try at a staging CA uses up no limits, and nobody takes its certificates for real ones.
DEFAULT_SERVER: Final = "letsencrypt-staging"


@dataclass(frozen=True)
class Outcome:
    """How a command ends.

    Attributes:
        document: The result for machines; `command` and `ok` are added.
        lines: The result for people.
        code: The exit code.
    """

    document: dict[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()
    code: ExitCode = ExitCode.DONE


class Session:
    """One command under way."""

    def __init__(self, common: Common, output: Output) -> None:
        self.common = common
        self.output = output
        # Hooks and cron run elsewhere: what they are told, and what is kept, has to mean the same there.
        self.folder = (common.folder or _data_folder()).absolute()
        self.accounts = AccountStore(self.folder / "accounts")
        self.certificates = CertificateStore(self.folder / "certificates")
        self._warned_of: set[Path] = set()

    def read_secret(self, path: Path, *, what: str, most: int = MAX_BYTES) -> bytes:
        """Read a file with a secret, and warn if everybody can.

        Raises:
            CommandError: It cannot be read, or is too long.
        """
        content = read_file(path, what=what, most=most)
        self.warn_of_readers(path)
        return content

    def warn_of_readers(self, path: Path) -> None:
        """Warn, once, if everybody can read a file with a secret."""
        if path not in self._warned_of and is_world_readable(path):
            self._warned_of.add(path)
            self.output.warn(f"Everybody on this host can read {path}, which holds a secret: chmod 600 {path}")

    def certificate_lock(
        self, certificate: CertificateFolder, *, seconds: float | None = None
    ) -> AbstractAsyncContextManager[Lock]:
        """Be the only run that issues, renews or revokes a certificate while the block runs.

        Args:
            certificate: The certificate, which need not be there yet.
            seconds: How long to wait for another run; None for what `--lock-timeout` says.
        """
        path, what = self._lock(f"certificate-{certificate.name}"), f"the certificate {certificate.name}"
        seconds = self.common.lock_timeout if seconds is None else seconds
        return locked(path, what, seconds=seconds, on_wait=self.output.say)

    def account_lock(self, directory_url: str, *, shared: bool) -> AbstractAsyncContextManager[Lock]:
        """Use the account at a CA, shared, or be the only one to change it, while the block runs."""
        path = self._lock(f"account-{self.accounts.at(directory_url).path.name}")
        what = f"the account at {server_name(directory_url)}"
        return locked(path, what, seconds=self.common.lock_timeout, on_wait=self.output.say, shared=shared)

    def port_lock(self, port: int) -> Lock:
        """Return the lock of a port that this program listens at; it is not taken yet."""
        path = self._lock(f"port-{port}")
        return Lock(path, f"port {port}", seconds=self.common.lock_timeout, on_wait=self.output.say)

    def _lock(self, name: str) -> Path:
        make_folder(self.folder)
        return self.folder / "locks" / name

    def server(self) -> str:
        """Return the directory URL of the CA that is meant.

        Raises:
            UsageError: There is no such CA, or it is not clear which one is meant.
        """
        if self.common.server is not None:
            return server_url(self.common.server)
        urls = {account.directory_url for account in self.accounts.all()}
        if len(urls) > 1:
            raise UsageError(
                f"There are accounts at several CAs. Say which one with --server: {', '.join(sorted(urls))}"
            )
        if urls:
            return urls.pop()
        self.output.say(
            f"Using {DEFAULT_SERVER}, whose certificates nobody trusts; --server letsencrypt issues real ones"
        )
        return directory_url(DEFAULT_SERVER)


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
    """Return what a CA is called here, or its URL."""
    return next((known.name for known in KNOWN_AUTHORITIES.values() if known.directory_url == url), url)


def _data_folder() -> Path:
    # XDG Base Directory Specification; root's certificates are the system's.
    base = os.environ.get("XDG_DATA_HOME", "")
    data = Path(base) if base.startswith("/") else _home() / ".local" / "share"
    return data / "certwright" / "acme"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise UsageError("There is no home folder to keep accounts and certificates in: name one with --dir") from None
