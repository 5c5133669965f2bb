"""Certificates on disk: a folder for each, whose files are replaced together in one step.

    example.com/
      fullchain.pem  chain.pem  cert.pem  privkey.pem  certificate.json   -> current/...
      current -> versions/20261124T204501Z-3f2a9c
      versions/   the current one and the one before
      renewal.json  order.json (while one is pending)

A version is written in full and made durable, and then `current` is switched to it: chain, key and metadata always
match, and a reader during a renewal, or after a crash at any time, finds the old certificate or the new one.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from certwright.acme import Identifier, InvalidIdentifier
from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.files import (
    PRIVATE_FILE,
    PRIVATE_FOLDER,
    PUBLIC_FILE,
    from_json,
    link,
    make_folder,
    read_document,
    read_own_file,
    sync_folder,
    write_document,
    write_file,
)
from certwright.cli.acme.settings import Metadata, PendingOrder, RenewalState
from certwright.cli.exits import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from certwright.cli.acme.settings import IssuanceSettings

CHAIN: Final = "fullchain.pem"
CERTIFICATE: Final = "cert.pem"
ISSUERS: Final = "chain.pem"
KEY: Final = "privkey.pem"
REQUEST: Final = "request.pem"
KEYSTORE: Final = "keystore.p12"
METADATA: Final = "certificate.json"
_RENEWAL: Final = "renewal.json"
_PENDING: Final = "order.json"
_CURRENT: Final = "current"
_VERSIONS: Final = "versions"
_KEPT_VERSIONS: Final = 2
_PUBLIC: Final = frozenset({CHAIN, CERTIFICATE, ISSUERS, REQUEST})
_SHOWN: Final = (".pem", ".p12")
_UNFINISHED: Final = ".new-"
_DELETED: Final = ".deleted-"
"""What begins with it is no certificate: its deletion was interrupted."""

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}")
_LONGEST_NAME: Final = 200
_KEPT_OF_NAME: Final = 180


class CertificateFolder:
    """One certificate, its previous version, its settings and its state."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The name of the certificate in the folder."""
        return self.path.name

    def exists(self) -> bool:
        """Return whether there is a certificate. True if it is unreadable: reading it reports why."""
        try:
            return (self.path / _CURRENT / METADATA).is_file()
        except PermissionError:
            return True

    def prepare(self) -> None:
        """Create the folder, check that it is writable, and remove what a crash left. Call this before ordering.

        Raises:
            CommandError: It is not writable.
        """
        versions = self.path / _VERSIONS
        make_folder(versions)
        try:
            probe = versions / f"{_UNFINISHED}{secrets.token_hex(6)}"
            probe.mkdir(mode=PRIVATE_FOLDER)
            for left in versions.glob(f"{_UNFINISHED}*"):
                shutil.rmtree(left)
            if self.exists():
                self._link_files()
        except OSError as error:
            raise CommandError(f"Cannot write to {self.path}: {error.strerror}") from error

    def metadata(self) -> Metadata:
        """Return how the certificate was issued."""
        path = self.path / _CURRENT / METADATA
        return from_json(Metadata, read_own_file(path, what="the metadata"), path=path)

    def read(self, name: str) -> bytes:
        """Return one of the files: `CHAIN`, `KEY`, `REQUEST`."""
        return read_own_file(self.path / _CURRENT / name, what="the certificate's file")

    def has(self, name: str) -> bool:
        """Return whether there is such a file."""
        return (self.path / _CURRENT / name).is_file()

    def files(self) -> dict[str, str]:
        """Return the paths of the files, by name without suffix."""
        current = self.path / _CURRENT
        found = sorted(path.name for path in current.iterdir() if path.suffix in _SHOWN)
        return {name.partition(".")[0]: str(self.path / name) for name in found}

    def store(self, files: Mapping[str, bytes], metadata: Metadata) -> None:
        """Replace all files in one step.

        Args:
            files: By name; all except certificates and CSRs are readable by their owner only.
            metadata: How it was issued.

        Raises:
            CommandError: It cannot be written; what was there before is untouched.
        """
        versions = self.path / _VERSIONS
        unfinished = versions / f"{_UNFINISHED}{secrets.token_hex(6)}"
        version = f"{metadata.issued_at:%Y%m%dT%H%M%SZ}-{metadata.serial[-12:]}"
        try:
            unfinished.mkdir(mode=PRIVATE_FOLDER)
            for name, content in files.items():
                write_file(unfinished / name, content, mode=PUBLIC_FILE if name in _PUBLIC else PRIVATE_FILE)
            write_document(unfinished / METADATA, metadata)
            unfinished.rename(versions / version)
            sync_folder(versions)
            link(self.path / _CURRENT, f"{_VERSIONS}/{version}")
            self._link_files()
            sync_folder(self.path)
        except OSError as error:
            raise CommandError(f"Cannot write to {self.path}: {error.strerror}. The old files are untouched") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        self._prune()

    def renewal(self, serial: str) -> RenewalState:
        """Return what is known about the renewal of the certificate with this serial number."""
        state = read_document(RenewalState, self.path / _RENEWAL, what="the renewal state")
        return state if state is not None and state.serial == serial else RenewalState(serial)

    def save_renewal(self, state: RenewalState) -> None:
        """Save what is known about the renewal."""
        write_document(self.path / _RENEWAL, state)

    def pending(self) -> PendingOrder | None:
        """Return the pending or interrupted order, or None."""
        return read_document(PendingOrder, self.path / _PENDING, what="the order")

    def save_pending(self, pending: PendingOrder) -> None:
        """Save a pending order and the key that it is for."""
        write_document(self.path / _PENDING, pending)

    def forget_pending(self) -> None:
        """Forget the order."""
        (self.path / _PENDING).unlink(missing_ok=True)

    def save_settings(self, before: Metadata, settings: IssuanceSettings) -> None:
        """Replace the settings, if certificate and settings are still what they were.

        Raises:
            CommandError: Another run has changed them meanwhile, or they cannot be written.
        """
        if self.metadata() != before:
            raise CommandError(f"Another run has changed {self.name} meanwhile: run the command once more")
        write_document((self.path / _CURRENT).resolve() / METADATA, replace(before, settings=settings))

    def delete(self) -> None:
        """Delete everything. The name is gone in one step, so nothing finds half a certificate.

        Raises:
            CommandError: It cannot be deleted.
        """
        gone = self.path.parent / f"{_DELETED}{self.name}-{secrets.token_hex(6)}"
        try:
            self.path.rename(gone)
            sync_folder(self.path.parent)
            _remove(gone)
        except OSError as error:
            raise CommandError(f"Cannot delete {self.path}: {error.strerror}") from error

    def _link_files(self) -> None:
        wanted = {path.name for path in (self.path / _CURRENT).iterdir() if not path.name.startswith(".")}
        for path in self.path.iterdir():
            if path.is_symlink() and path.name != _CURRENT and path.name not in wanted:
                path.unlink()
        for name in sorted(wanted):
            target = f"{_CURRENT}/{name}"
            path = self.path / name
            if not path.is_symlink() or str(path.readlink()) != target:
                link(path, target)

    def _prune(self) -> None:
        current = (self.path / _CURRENT).resolve()
        others = sorted(path for path in (self.path / _VERSIONS).iterdir() if path != current)
        for path in others[: -(_KEPT_VERSIONS - 1)]:
            shutil.rmtree(path, ignore_errors=True)


class CertificateStore:
    """All certificates in a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def at(self, name: str) -> CertificateFolder:
        """Return the folder of a certificate, which may not exist yet.

        Raises:
            UsageError: The name is not valid.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name[:100]!r} is not a valid name: use letters, digits, dots and dashes, {_LONGEST_NAME} at most"
            )
        return CertificateFolder(self._path / name)

    def named(self, text: str) -> CertificateFolder:
        """Return the folder of a certificate as people name it: also by its first domain, in any spelling.

        Raises:
            UsageError: The name is not valid.
        """
        with suppress(UsageError, InvalidIdentifier):
            by_name = self.at(text) if _NAME.fullmatch(text) else None
            if by_name is not None and by_name.path.is_dir():
                return by_name
            by_domain = self.at(self.default_name(Identifier.parse(text).value))
            if by_name is None or by_domain.path.is_dir():
                return by_domain
        return self.at(text)

    def all(self) -> Iterator[CertificateFolder]:
        """Yield all certificates, sorted by name."""
        if self._path.is_dir():
            for path in sorted(self._path.iterdir()):
                if path.name.startswith(_DELETED):
                    continue
                folder = CertificateFolder(path)
                if folder.exists():
                    yield folder

    def finish_deletions(self) -> None:
        """Delete what runs have left that were killed while they deleted it, as far as possible: keys are in it."""
        for path in self._path.glob(f"{_DELETED}*"):
            shutil.rmtree(path, ignore_errors=True)

    def unfinished(self) -> Iterator[str]:
        """Yield the names of those that were never issued but have a pending order."""
        if self._path.is_dir():
            for path in sorted(self._path.iterdir()):
                folder = CertificateFolder(path)
                if not path.name.startswith(_DELETED) and not folder.exists() and (path / _PENDING).is_file():
                    yield folder.name

    @staticmethod
    def default_name(first: str) -> str:
        """Return the default name of a certificate: `_wildcard.example.com` for `*.example.com`.

        That of a long domain is cut, and ends in a digest: a folder's name has 255 characters at most.
        """
        name = first.replace("*.", "_wildcard.").replace(":", "-")
        digest = hashlib.sha256(name.encode()).hexdigest()[:12]
        return name if len(name) <= _LONGEST_NAME else f"{name[:_KEPT_OF_NAME].rstrip('.-')}-{digest}"


def _remove(path: Path) -> None:
    """Remove a folder that another run may be removing as well. Raises `OSError`."""
    while path.exists():
        with suppress(FileNotFoundError):
            shutil.rmtree(path)
