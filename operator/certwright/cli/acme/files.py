"""Files that are complete at all times, and the JSON documents in them."""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import time
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass
from datetime import datetime
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from certwright.cli.acme.ownership import check_file, check_folder
from certwright.cli.exits import CommandError
from certwright.text import rfc3339

if TYPE_CHECKING:
    from pathlib import Path

_T = TypeVar("_T")

PRIVATE_FOLDER: Final = 0o700
"""Mode of folders."""

PRIVATE_FILE: Final = 0o600
"""Mode of files with keys."""

PUBLIC_FILE: Final = 0o644
"""Mode of certificates, which are not secret."""

LEFT_AFTER: Final = 3600.0
"""Seconds after which nobody writes a file any more."""

MAX_BYTES: Final = 1024 * 1024
"""More than any file that is read here has."""


def make_folder(path: Path) -> None:
    """Make a folder and its parents, for their owner only; an existing one keeps its mode.

    Raises:
        CommandError: It cannot be made, or other users can write to it or replace it.
    """
    try:
        check_folder(path.absolute())
        for folder in reversed([path, *path.parents]):
            if not folder.is_dir():
                folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    except OSError as error:
        raise CommandError(f"Cannot create the folder {path}: {_reason(error)}") from error


def write_file(path: Path, content: bytes, *, mode: int) -> None:
    """Replace a file atomically and durably: readers find the old content or the new one, even after a crash.

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
    _sweep(path)


def _sweep(path: Path) -> None:
    """Remove what runs have left beside a file that were killed while they wrote it: there may be a key in it."""
    left = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{12}}")
    with suppress(OSError):
        for one in path.parent.iterdir():
            if left.fullmatch(one.name) and time.time() - one.lstat().st_mtime > LEFT_AFTER:
                with suppress(OSError):
                    one.unlink()


def read_file(path: Path, *, what: str, most: int = MAX_BYTES) -> bytes:
    """Read a file that the user named.

    Args:
        path: The file.
        what: What it is, for the message.
        most: The most bytes that it can sensibly have.

    Raises:
        CommandError: It cannot be read, or is too long.
    """
    return _read_bounded(path, what, most, flags=os.O_RDONLY)


def read_own_file(path: Path, *, what: str) -> bytes:
    """Read a file that an earlier run wrote, and that no other user can have written.

    Raises:
        CommandError: It cannot be read, is too long, or another user could have written it.
    """
    # A pipe in its place would be waited for.
    return _read_bounded(path, what, MAX_BYTES, flags=os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, own=True)


def _read_bounded(path: Path, what: str, most: int, *, flags: int, own: bool = False) -> bytes:
    try:
        with os.fdopen(os.open(path, flags | os.O_CLOEXEC), "rb") as file:
            if own:
                check_file(file.fileno(), path)
            content = file.read(most + 1)
    except OSError as error:
        raise CommandError(f"Cannot read {what} {path}: {_reason(error)}") from error
    if len(content) > most:
        raise CommandError(f"{path} is longer than {most} bytes, too long for {what}")
    return content


def is_world_readable(path: Path) -> bool:
    """Return whether all users can read a file, judged by its own mode."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def link(path: Path, target: str) -> None:
    """Create or replace a symbolic link atomically. Raises `OSError`."""
    beside = path.parent / f".{path.name}.{secrets.token_hex(6)}"
    beside.symlink_to(target)
    try:
        beside.replace(path)
    except OSError:
        beside.unlink()
        raise


def sync_folder(path: Path) -> None:
    """Make the entries of a folder durable. Raises `OSError`."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_document(path: Path, value: Any) -> None:
    """Write a dataclass as JSON, readable by its owner only.

    Raises:
        CommandError: It cannot be written; the old one is still there.
    """
    write_file(path, to_json(value), mode=PRIVATE_FILE)


def read_document(kind: type[_T], path: Path, *, what: str) -> _T | None:
    """Read what `write_document` wrote, or return None if there is no such file.

    Raises:
        CommandError: It cannot be read, is damaged, or another user could have written it.
    """
    return from_json(kind, read_own_file(path, what=what), path=path) if path.exists() else None


def to_json(value: Any) -> bytes:
    """Return a dataclass as JSON that is readable: indented, times as in RFC 3339."""
    return (json.dumps(asdict(value), indent=2, ensure_ascii=False, default=plain) + "\n").encode()


def from_json(kind: type[_T], content: bytes, *, path: Path) -> _T:
    """Parse what `to_json` returned. Missing members get their defaults; unknown ones come from a later version.

    Raises:
        CommandError: It is something else; the message names the file and the member.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise CommandError(f"{path} is damaged: it is not a JSON object")
    return _read(kind, document, path)


def plain(value: object) -> str:
    """Return how a value without a JSON type is written."""
    return rfc3339(value) if isinstance(value, datetime) else str(value)


def _read(kind: type[_T], document: dict[str, Any], path: Path) -> _T:
    hints = get_type_hints(kind)
    given = {}
    for field in fields(kind):  # type: ignore[arg-type]  # every caller gives a dataclass
        name = field.name if field.name in document else field.metadata.get("formerly", field.name)
        if name in document:
            given[field.name] = _value(hints[field.name], document[name], name, path)
    try:
        return kind(**given)
    except TypeError:
        raise CommandError(f"{path} is damaged: a member of {kind.__name__} is missing") from None


def _value(hint: Any, value: Any, name: str, path: Path) -> Any:
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        return None if value is None else _value(kinds[0], value, name, path)
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return _read(hint, value, path)
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_value(get_args(hint)[0], item, name, path) for item in value)
    if hint is datetime and isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise CommandError(f"{path} is damaged: {name!r} has an invalid value")


def _write(path: Path, content: bytes, mode: int) -> None:
    # Its mode is right from the start, and a symbolic link that another user planted is never followed.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__
