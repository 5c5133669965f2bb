"""http-01 by files in the folder of a web server that runs already."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from certwright.challenges.errors import CannotWrite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from certwright.acme import Identifier
    from certwright.challenges.proof import Proof

_READABLE: Final = 0o644
_ENTERABLE: Final = 0o755
_TRIES: Final = 5


class Webroot:
    """Writes the files that the web server then shows.

    Args:
        folder: What the server shows at `/`, or a function that returns that for an identifier, where sites differ.
    """

    challenge_type: Final = "http-01"

    def __init__(self, folder: Path | str | Callable[[Identifier], Path | str]) -> None:
        self._folder = folder

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Write a file for each, world-readable, below `.well-known/acme-challenge`.

        Raises:
            CannotWrite: The folder is missing or not writable. Only what is below it is made.
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
                self._write_one(root, path, proof.key_authorization)
            except OSError as error:
                raise CannotWrite(f"Cannot write {path}: {os.strerror(error.errno or 0).lower()}") from error

    @staticmethod
    def _write_one(root: Path, path: Path, content: str) -> None:
        for left in reversed(range(_TRIES)):
            try:
                for folder in (root / path.relative_to(root).parts[0], path.parent):
                    if not folder.is_dir():
                        folder.mkdir(exist_ok=True)
                        # Whatever the umask: the web server is somebody else.
                        folder.chmod(_ENTERABLE)
                path.write_text(content, encoding="ascii")
                path.chmod(_READABLE)
            except FileNotFoundError:
                # Another issuance has just removed the folder, as it was empty.
                if not left or not root.is_dir():
                    raise
            else:
                return

    def _remove(self, proofs: Sequence[Proof]) -> None:
        for proof in proofs:
            _, path = self._place(proof)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise CannotWrite(f"Cannot remove {path}: {os.strerror(error.errno or 0).lower()}") from error
            for folder in (path.parent, path.parent.parent):
                # Not empty, gone already, or not ours to remove: it stays.
                with suppress(OSError):
                    folder.rmdir()

    def _place(self, proof: Proof) -> tuple[Path, Path]:
        root = Path(self._folder(proof.identifier) if callable(self._folder) else self._folder)
        return root, root / proof.http01_path.removeprefix("/")
