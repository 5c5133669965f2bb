"""http-01 with files in the folder of an existing web server."""

from __future__ import annotations

import asyncio
import os
import stat
from contextlib import ExitStack, contextmanager, suppress
from errno import ELOOP, ENOTDIR
from pathlib import Path
from typing import TYPE_CHECKING, Final

from certwright.challenges.errors import CannotWrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from certwright.acme import Identifier
    from certwright.challenges.proof import Proof

_READABLE: Final = 0o644
_ENTERABLE: Final = 0o755
_NEW: Final = 0o600
_TRIES: Final = 5
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Webroot:
    """Writes files for the web server to serve.

    The folder may belong to the web server's user while this program runs as root, so no symbolic link below it is
    followed, and only the mode of files and folders created here is changed.

    Args:
        folder: The folder that the server serves at `/`, or a function that returns it for an identifier.
    """

    challenge_type: Final = "http-01"

    def __init__(self, folder: Path | str | Callable[[Identifier], Path | str]) -> None:
        self._folder = folder

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Write a world-readable file for each response, below `.well-known/acme-challenge`.

        Raises:
            CannotWrite: The web root is missing or not writable, or a symbolic link is in the way.
        """
        await asyncio.to_thread(self._write, proofs)

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """Return immediately: files are visible once they are written."""

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """Remove the files, and the folders created for them if these are empty.

        Raises:
            CannotWrite: A file could not be removed.
        """
        await asyncio.to_thread(self._remove, proofs)

    def _write(self, proofs: Sequence[Proof]) -> None:
        for proof in proofs:
            root, path = self._place(proof)
            if not root.is_dir():
                raise CannotWrite(f"The web root {root} is not a folder: give the one that the web server serves at /")
            try:
                _write_one(root, path, proof.key_authorization)
            except OSError as error:
                raise CannotWrite(f"Cannot write {path}: {_reason(error)}") from error

    def _remove(self, proofs: Sequence[Proof]) -> None:
        for proof in proofs:
            root, path = self._place(proof)
            try:
                _remove_one(root, path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise CannotWrite(f"Cannot remove {path}: {_reason(error)}") from error

    def _place(self, proof: Proof) -> tuple[Path, Path]:
        root = Path(self._folder(proof.identifier) if callable(self._folder) else self._folder)
        return root, root / proof.http01_path.removeprefix("/")


def _write_one(root: Path, path: Path, content: str) -> None:
    for left in reversed(range(_TRIES)):
        try:
            with _entered(root, path.parent, make=True) as folders:
                _create(folders[-1], path.name, content)
        except FileNotFoundError:
            # Another issuance has just removed the empty folder.
            if not left or not root.is_dir():
                raise
        else:
            return


def _remove_one(root: Path, path: Path) -> None:
    names = path.relative_to(root).parts
    with _entered(root, path.parent, make=False) as folders:
        with suppress(FileNotFoundError):
            os.unlink(path.name, dir_fd=folders[-1])
        for name, folder in zip(names[-2::-1], folders[-2::-1], strict=True):
            # Not empty, already gone, or not ours to remove.
            with suppress(OSError):
                os.rmdir(name, dir_fd=folder)


@contextmanager
def _entered(root: Path, folder: Path, *, make: bool) -> Iterator[list[int]]:
    """Open the root and each folder below it through its parent's descriptor, so that renames have no effect."""
    with ExitStack() as stack:
        opened = [os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
        stack.callback(os.close, opened[0])
        for name in folder.relative_to(root).parts:
            handle = _enter(opened[-1], name, make=make)
            stack.callback(os.close, handle)
            opened.append(handle)
        yield opened


def _enter(parent: int, name: str, *, make: bool) -> int:
    made = False
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, _ENTERABLE, dir_fd=parent)
            made = True
    handle = os.open(name, _FOLDER, dir_fd=parent)
    found = os.fstat(handle)
    # Independent of the umask, as the web server runs as another user. An existing folder may belong to someone else.
    if made and found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) | _ENTERABLE == _ENTERABLE:
        os.fchmod(handle, _ENTERABLE)
    return handle


def _create(folder: int, name: str, content: str) -> None:
    # A file from an earlier run or from someone else is removed, never written to.
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _NEW, dir_fd=folder)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(content)
        file.flush()
        os.fchmod(handle, _READABLE)


def _reason(error: OSError) -> str:
    if error.errno in (ELOOP, ENOTDIR):
        return "a file or a symbolic link is where a folder should be, and links are not followed"
    return os.strerror(error.errno or 0).lower()
