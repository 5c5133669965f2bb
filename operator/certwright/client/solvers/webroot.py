"""http-01 by files in the folder of a web server that runs already."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from certwright.client.errors import CannotWrite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from certwright.acme import Identifier
    from certwright.client.proof import Proof

_READABLE: Final = 0o644


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
                raise CannotWrite(f"The web root {root} is no folder: name the one that the web server shows at /")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(proof.key_authorization, encoding="ascii")
                path.chmod(_READABLE)
            except OSError as error:
                raise CannotWrite(f"Cannot write {path}: {os.strerror(error.errno or 0).lower()}") from error

    def _remove(self, proofs: Sequence[Proof]) -> None:
        for proof in proofs:
            root, path = self._place(proof)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise CannotWrite(f"Cannot remove {path}: {os.strerror(error.errno or 0).lower()}") from error
            for folder in (path.parent, path.parent.parent):
                if folder != root and folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()

    def _place(self, proof: Proof) -> tuple[Path, Path]:
        root = Path(self._folder(proof.identifier) if callable(self._folder) else self._folder)
        return root, root / proof.http01_path.removeprefix("/")
