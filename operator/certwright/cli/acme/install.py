"""`--install-to`: copies of a certificate's files where a server reads them, with an owner and a mode of their own.

Root installs into folders that belong to others. So a path is walked from `/` by handles, no symbolic link is followed
anywhere on it, a file is complete and has its owner and mode before it has its name, and it takes the place of
whatever had the name, a link too, in one step. Who owns the folder may do with it what he likes, but can make nothing
else be written or change hands.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import secrets
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from certwright.cli.acme.certificate_store import CERTIFICATE, CHAIN, ISSUERS, KEY, KEYSTORE
from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.files import LEFT_AFTER
from certwright.cli.exits import CommandError

if TYPE_CHECKING:
    from certwright.cli.acme.certificate_store import CertificateFolder

COMBINED: Final = "combined.pem"
FILES: Final = (CHAIN, CERTIFICATE, ISSUERS, KEY, COMBINED, KEYSTORE)
SECRET: Final = frozenset({KEY, COMBINED, KEYSTORE})
DEFAULT_MODE: Final = 0o600
"""Of files with the key."""
_PUBLIC_MODE: Final = 0o644
_MAX_MODE: Final = 0o777
_MAX_ID: Final = 2**32 - 2
"""Of users and groups; -1 means none."""
_WRITABLE: Final = stat.S_IWOTH | stat.S_IROTH
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Installation:
    """Where to, and for whom.

    Attributes:
        folder: Absolute; it must exist.
        owner: User and group by number; None for those of this process.
        mode: Of files with the key; the others can be read by everybody.
    """

    folder: Path
    owner: tuple[int, int] | None = None
    mode: int = DEFAULT_MODE


def installation(folder: str, owner: str | None, mode: str | None) -> Installation:
    """Read the options.

    Raises:
        UsageError: The user, the group or the mode is none, or the path is relative.
    """
    if not Path(folder).is_absolute():
        raise UsageError(f"--install-to {folder[:100]!r} is not an absolute path")
    return Installation(Path(folder), _owner(owner) if owner else None, _mode(mode) if mode else DEFAULT_MODE)


def install(folder: CertificateFolder, where: Installation) -> list[str]:
    """Copy the files; each takes its name in one step, the key first: a server that reloads in between finds it.

    Returns:
        The names of the files.

    Raises:
        CommandError: One cannot be written; all are as they were, as far as the file system has hard links.
    """
    present = [name for name in (KEY, *(one for one in FILES if one != KEY)) if folder.has(name)]
    handle = _open(where.folder)
    try:
        # All are complete before the first takes its name.
        made = [(name, _write(handle, name, folder.read(name), where)) for name in present]
        _replace(handle, made)
        os.fsync(handle)
    except OSError as error:
        raise CommandError(f"Cannot install to {where.folder}: {os.strerror(error.errno or 0).lower()}") from error
    finally:
        _sweep(handle)
        os.close(handle)
    return present


def _replace(folder: int, made: list[tuple[str, str]]) -> None:
    """Give files their names. If one cannot have it, those before it get back what had it: no key without its chain.

    Raises:
        OSError: One cannot.
    """
    for name, _ in made:
        if _is_folder(folder, name):
            raise IsADirectoryError(errno.EISDIR, name)
    replaced: list[tuple[str, str | None]] = []
    try:
        for name, temporary in made:
            kept = _kept(folder, name)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            replaced.append((name, kept))
    except OSError:
        for name, kept in reversed(replaced):
            if kept is not None:
                with suppress(OSError):
                    os.rename(kept, name, src_dir_fd=folder, dst_dir_fd=folder)
        raise


def _is_folder(folder: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _kept(folder: int, name: str) -> str | None:
    """Give what has a name another one as well, a link as a link; None if nothing has it, or it can have one only."""
    kept = _temporary()
    try:
        os.link(name, kept, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError:
        # Another user's file, or a file system without hard links: that is no reason not to install.
        return None
    return kept


def _open(path: Path) -> int:
    handle = os.open("/", _FOLDER)
    try:
        for part in path.parts[1:]:
            following = os.open(part, _FOLDER, dir_fd=handle)
            os.close(handle)
            handle = following
    except OSError as error:
        os.close(handle)
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise CommandError(
                f"Cannot install to {path}: there is a symbolic link on the way, or it is no folder; give the real path"
            ) from error
        raise CommandError(f"Cannot install to {path}: {os.strerror(error.errno or 0).lower()}") from error
    return handle


_TEMPORARY: Final = ".certwright-new-"


def _write(folder: int, name: str, content: bytes, where: Installation) -> str:
    temporary = _temporary()
    handle = os.open(temporary, _NEW, 0o600, dir_fd=folder)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        if where.owner is not None:
            os.fchown(file.fileno(), *where.owner)
        os.fchmod(file.fileno(), where.mode if name in SECRET else _PUBLIC_MODE)
        os.fsync(file.fileno())
    return temporary


def _temporary() -> str:
    return f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(8)}"


def _sweep(folder: int) -> None:
    """Remove what this process has not given its name, and what others have left that were killed."""
    mine = f"{_TEMPORARY}{os.getpid()}-"
    with suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(mine) or (name.startswith(_TEMPORARY) and _is_left(folder, name)):
                with suppress(OSError):
                    os.unlink(name, dir_fd=folder)


def _is_left(folder: int, name: str) -> bool:
    try:
        changed = os.stat(name, dir_fd=folder, follow_symlinks=False).st_ctime
    except OSError:
        return False
    return time.time() - changed > LEFT_AFTER


def _owner(text: str) -> tuple[int, int]:
    user, colon, group = text.partition(":")
    try:
        if user.isdecimal():
            number, own_group = _number(user), -1
            with suppress(KeyError):
                own_group = pwd.getpwuid(number).pw_gid
        elif user:
            found = pwd.getpwnam(user)
            number, own_group = found.pw_uid, found.pw_gid
        else:
            number, own_group = -1, -1
        if not colon or not group:
            return number, own_group
        return number, _number(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"--install-owner {text[:100]!r}: there is no such user or group on this host") from None


def _number(text: str) -> int:
    number = int(text[: len(str(_MAX_ID)) + 1])
    if number > _MAX_ID:
        raise KeyError
    return number


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= _MAX_MODE:
        raise UsageError(f"--install-mode {text[:20]!r} is not a mode such as 0640")
    if mode & _WRITABLE:
        raise UsageError(f"--install-mode {text} would let every user read or write the private key")
    return mode
