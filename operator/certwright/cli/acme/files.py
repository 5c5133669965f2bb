"""Files that are whole at every instant: written beside, made durable, moved into place."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from certwright.cli.acme.exits import CommandError

if TYPE_CHECKING:
    from pathlib import Path

#: Of folders, and of files with keys.
PRIVATE_FOLDER: Final = 0o700
PRIVATE_FILE: Final = 0o600

#: Of certificates, which are no secret.
PUBLIC_FILE: Final = 0o644

#: More than any file has that is read here.
MAX_BYTES: Final = 1024 * 1024

_WRITABLE_BY_OTHERS: Final = 0o022


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, for its owner only; one that is there stays as it is.

    Raises:
        CommandError: It cannot be made, or others may write to it.
    """
    try:
        for folder in reversed([path, *path.parents]):
            if not folder.is_dir():
                folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        writable = path.stat().st_mode & _WRITABLE_BY_OTHERS
    except OSError as error:
        raise CommandError(f"Cannot make the folder {path}: {_reason(error)}") from error
    if writable:
        raise CommandError(f"Others may write to {path}, so its keys are not safe: chmod go-w {path}")


def write_file(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file so that whoever reads it finds the old content or the new one, whatever happens meanwhile.

    Raises:
        CommandError: It cannot be written; the old one is still there.
    """
    beside = path.parent / f".{path.name}.{secrets.token_hex(6)}"
    try:
        try:
            _write(beside, content, mode)
            beside.replace(path)
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {_reason(error)}") from error


def read_file(path: Path, *, what: str, most: int = MAX_BYTES) -> bytes:
    """Read a file that a person named or an earlier run wrote.

    Args:
        path: The file.
        what: What it is, for the message.
        most: The most bytes that it can sensibly have.

    Raises:
        CommandError: It cannot be read, or is too long.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise CommandError(f"Cannot read {what} {path}: {_reason(error)}") from error
    if len(content) > most:
        raise CommandError(f"{path} is longer than {most} bytes, which {what} is not")
    return content


def is_world_readable(path: Path) -> bool:
    """Whether everybody can read a file, as far as its own mode says."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def link(path: Path, target: str) -> None:
    """Make or turn a symbolic link in one step. Raises `OSError`."""
    beside = path.parent / f".{path.name}.{secrets.token_hex(6)}"
    beside.symlink_to(target)
    try:
        beside.replace(path)
    except OSError:
        beside.unlink()
        raise


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable. Raises `OSError`."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(path: Path, content: bytes, mode: int) -> None:
    # With its mode from the first instant on, and never through a link that somebody laid there.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__
