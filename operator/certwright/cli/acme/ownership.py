"""Checks that no other user can change keys, settings or deploy hooks."""

from __future__ import annotations

import os
import pwd
import stat
from typing import TYPE_CHECKING, Final

from certwright.cli.exits import CommandError

if TYPE_CHECKING:
    from pathlib import Path

_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_ROOT: Final = 0


def check_folder(path: Path) -> None:
    """Check that only this user, or root, can change what is in a folder: by its own mode, or by replacing it.

    Args:
        path: The folder, absolute. What of it is missing is not looked at.

    Raises:
        CommandError: Another user can.
        OSError: It cannot be looked at.
    """
    for folder in {*path.parents, *path.resolve().parents}:
        if folder.exists():
            _check_parent(folder, path)
    if not path.exists():
        return
    found = path.stat()
    if found.st_uid not in (os.geteuid(), _ROOT):
        raise CommandError(
            f"{path} belongs to another user, {_user(found.st_uid)}, who could change its keys, settings and deploy"
            f" hooks. Run as {_user(found.st_uid)}, or: chown -R {_user(os.geteuid())} {path}"
        )
    if found.st_mode & _WRITABLE_BY_OTHERS:
        raise CommandError(
            f"Other users can write to {path}, so keys and deploy hooks are not safe there: chmod go-w {path}"
        )


def check_file(handle: int, path: Path) -> None:
    """Check that an open file is one that only this user, or root, can have written.

    Raises:
        CommandError: It is another user's, or others can write to it, or it is no file.
    """
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        raise CommandError(f"{path} is not a file")
    if found.st_uid not in (os.geteuid(), _ROOT):
        raise CommandError(
            f"{path} belongs to another user, {_user(found.st_uid)}, and settings with their deploy hooks are taken"
            f" from files of this user only. If what it says is right: chown {_user(os.geteuid())} {path}"
        )
    if found.st_mode & _WRITABLE_BY_OTHERS:
        raise CommandError(f"Other users can write to {path}. If what it says is right: chmod go-w {path}")


def _check_parent(folder: Path, path: Path) -> None:
    """Check a folder on the way: a sticky one, such as /tmp, keeps others from replacing what is ours."""
    found = folder.stat()
    if found.st_uid not in (os.geteuid(), _ROOT):
        raise CommandError(
            f"{folder} belongs to another user, {_user(found.st_uid)}, who could replace {path} with its keys and"
            " deploy hooks. Choose a folder elsewhere with --dir"
        )
    # A group is trusted with the folders of its members, but not with root's.
    others = stat.S_IWOTH if os.geteuid() != _ROOT or found.st_gid == _ROOT else _WRITABLE_BY_OTHERS
    if found.st_mode & others and not found.st_mode & stat.S_ISVTX:
        raise CommandError(
            f"Other users can write to {folder} and replace {path} with its keys and deploy hooks: chmod go-w {folder},"
            " or choose a folder elsewhere with --dir"
        )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
