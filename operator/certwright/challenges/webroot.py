"""http-01 by files in the folder of a web server that runs already."""

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
    """Writes the files that the web server then shows.

    The folder may belong to the web server's user while this program runs as root: below it no symbolic link is
    followed, and only files and folders made here get another mode.

    Args:
        folder: What the server shows at `/`, or a function that returns that for an identifier, where sites differ.
    """

    challenge_type: Final = "http-01"

    def __init__(self, folder: Path | str | Callable[[Identifier], Path | str]) -> None:
        self._folder = folder

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Write a file for each, world-readable, below `.well-known/acme-challenge`.

        Raises:
            CannotWrite: The folder is missing or not writable, or a link is in the way. Only what is below it is made.
        """
        await asyncio.to_thread(self._write, proofs)

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """A file is there once it is written."""

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """Remove the files, and the folders made for them if they are empty.

        Raises:
            CannotWrite: A file is still there.
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
            # Another issuance has just removed the folder, as it was empty.
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
            # Not empty, gone already, or not ours to remove: it stays.
            with suppress(OSError):
                os.rmdir(name, dir_fd=folder)


@contextmanager
def _entered(root: Path, folder: Path, *, make: bool) -> Iterator[list[int]]:
    """Open the root and each folder below it, by its parent's descriptor: what is renamed meanwhile does not matter."""
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
    # Whatever the umask: the web server runs as another user. What is there by now may be somebody else's.
    if made and found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) | _ENTERABLE == _ENTERABLE:
        os.fchmod(handle, _ENTERABLE)
    return handle


def _create(folder: int, name: str, content: str) -> None:
    # What an earlier run left, or somebody put there, is removed; it is never written to.
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
