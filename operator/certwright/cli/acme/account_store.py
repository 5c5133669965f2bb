"""Accounts on disk: a folder for each CA, with the account's credentials and the connection settings."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from certwright.acme import AccountCredentials, InvalidCredentials
from certwright.cli.acme.files import (
    PRIVATE_FILE,
    make_folder,
    read_document,
    read_own_file,
    sync_folder,
    write_document,
    write_file,
)
from certwright.cli.exits import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UNFIT: Final = re.compile(r"[^a-z0-9.-]+")


@dataclass(frozen=True)
class Connection:
    """How to connect to a CA, saved with the account so that it has to be given only once.

    Attributes:
        ca_bundle: File with the root certificates to trust.
        proxy: URL of a proxy.
        client_certificate: File with a client certificate.
        client_key: File with its key.
        request_timeout: Seconds for each request.
    """

    ca_bundle: str | None = None
    proxy: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    request_timeout: float | None = None

    def overlaid(self, other: Connection) -> Connection:
        """Return this, overridden by what is set in the other one."""
        given = {field.name: getattr(other, field.name) for field in fields(other)}
        return replace(self, **{name: value for name, value in given.items() if value is not None})


class AccountFolder:
    """The account at one CA.

    `account.json` is the account. While its key is being replaced, `account.next.json` has the new key, so that a
    crash at any time loses neither. `account.deactivated.json` is one that was deactivated.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> AccountCredentials | None:
        """Return the account, or None if there is none."""
        return self._load(self.account_file)

    @property
    def account_file(self) -> Path:
        """The path of the account and its key."""
        return self.path / "account.json"

    def is_registered(self) -> bool:
        """Return whether there is an account that the CA has confirmed."""
        credentials = self.load()
        return credentials is not None and credentials.account_url is not None

    def has_next(self) -> bool:
        """Return whether a key rollover is in progress, or was interrupted."""
        return (self.path / "account.next.json").exists()

    def load_next(self) -> AccountCredentials | None:
        """Return the account with its new key, or None if no key rollover is in progress."""
        return self._load(self.path / "account.next.json")

    def save(self, credentials: AccountCredentials) -> None:
        """Save the account durably."""
        self._save("account.json", credentials)

    def save_next(self, credentials: AccountCredentials) -> None:
        """Save the account with its new key, beside the current one."""
        self._save("account.next.json", credentials)

    def adopt_next(self) -> None:
        """Make the new key the current one and forget the old one."""
        self._rename("account.next.json", "account.json")

    def drop_next(self) -> None:
        """Forget the new key."""
        (self.path / "account.next.json").unlink(missing_ok=True)

    def retire(self) -> None:
        """Move a deactivated account aside, where it is no longer used."""
        self._rename("account.json", "account.deactivated.json")

    def connection(self) -> Connection:
        """Return how to connect to the CA."""
        return read_document(Connection, self.path / "connection.json", what="the settings") or Connection()

    def save_connection(self, connection: Connection) -> None:
        """Save how to connect to the CA."""
        make_folder(self.path)
        write_document(self.path / "connection.json", connection)

    def _load(self, path: Path) -> AccountCredentials | None:
        if not path.exists():
            return None
        try:
            return AccountCredentials.from_json(read_own_file(path, what="the account"))
        except InvalidCredentials as error:
            raise CommandError(f"{path} is damaged: {error}. Restore it from a backup, or move it away") from None

    def _save(self, name: str, credentials: AccountCredentials) -> None:
        make_folder(self.path)
        write_file(self.path / name, credentials.to_json().encode(), mode=PRIVATE_FILE)

    def _rename(self, old: str, new: str) -> None:
        try:
            (self.path / old).replace(self.path / new)
            sync_folder(self.path)
        except OSError as error:
            raise CommandError(f"Cannot rename {self.path / old}: {error.strerror}") from error


class AccountStore:
    """All accounts in a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def at(self, directory_url: str) -> AccountFolder:
        """Return the folder of a CA, which may not exist yet."""
        parts = urlsplit(directory_url)
        readable = _UNFIT.sub("-", f"{parts.hostname or 'ca'}{parts.path}".lower()).strip("-.")[:80]
        digest = hashlib.sha256(directory_url.encode()).hexdigest()[:8]
        return AccountFolder(self._path / f"{readable}-{digest}")

    def folders(self) -> Iterator[AccountFolder]:
        """Yield the folders of all CAs; some may have no account any more."""
        if self._path.is_dir():
            yield from (AccountFolder(path) for path in sorted(self._path.iterdir()) if path.is_dir())

    def all(self) -> tuple[AccountCredentials, ...]:
        """Return all accounts that are not deactivated."""
        found = (folder.load() for folder in self.folders())
        return tuple(credentials for credentials in found if credentials is not None)
