"""An OCI image archive: its configuration, its size, its files."""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class OciArchive:
    """An archive with one image (OCI image layout 1.0 in a tar file), as `buildah push oci-archive:` writes it.

    Attributes:
        path: the archive.
    """

    path: Path

    @property
    def manifest(self) -> dict[str, Any]:
        """The image's manifest."""
        with tarfile.open(self.path) as archive:
            index = json.loads(_read(archive, "index.json"))
            manifest: dict[str, Any] = json.loads(_blob(archive, index["manifests"][0]["digest"]))
            return manifest

    @property
    def configuration(self) -> dict[str, Any]:
        """The image's configuration: command, user and environment."""
        with tarfile.open(self.path) as archive:
            whole = json.loads(_blob(archive, self.manifest["config"]["digest"]))
        configuration: dict[str, Any] = whole["config"]
        return configuration

    @property
    def history(self) -> str:
        """Everything that the image says of how it was made, as JSON."""
        with tarfile.open(self.path) as archive:
            return json.dumps(json.loads(_blob(archive, self.manifest["config"]["digest"]))["history"])

    @property
    def compressed_bytes(self) -> int:
        """The layers as they are fetched from a registry."""
        return sum(layer["size"] for layer in self.manifest["layers"])

    def unpack(self, folder: Path) -> None:
        """Lay out the files of all layers in a folder, with owners and modes when we are root."""
        folder.mkdir(parents=True, exist_ok=True)
        for layer in self._layers():
            subprocess.run(["tar", "-xzpf", "-", "-C", str(folder)], input=layer, check=True)

    def _layers(self) -> Iterator[bytes]:
        with tarfile.open(self.path) as archive:
            for layer in self.manifest["layers"]:
                yield _blob(archive, layer["digest"])


def size_of(folder: Path) -> int:
    """Return the bytes of all regular files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _blob(archive: tarfile.TarFile, digest: str) -> bytes:
    return _read(archive, f"blobs/{digest.replace(':', '/')}")


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()
