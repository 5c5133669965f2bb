"""Resource definitions of other projects, from the Go modules in which they are released."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import BinaryUnavailable
from .locations import GO_MODULES, cache
from .sources import module_folder

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Definitions:
    """Where the CRDs of a project are.

    Attributes:
        name: Folder below `go/` whose go.mod and go.sum pin the module.
        module: The path of the module.
        folder: Where they are in it.
        group: Their API group, with which the names of the files begin.
    """

    name: str
    module: str
    folder: str
    group: str

    def find(self) -> Path:
        """Return the folder with the CRDs; download them once, checked against our go.sum.

        Raises:
            BinaryUnavailable: They are not in the cache, and cannot be downloaded.
        """
        target = cache() / self.name / self._version()
        if not target.is_dir():
            source = module_folder(self.name, self.module) / self.folder
            unfinished = target.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            # Files of the module cache are read-only, and stay so with copy2.
            shutil.copytree(source, unfinished, copy_function=shutil.copyfile)
            if not target.is_dir():
                unfinished.rename(target)
        return target

    def of(self, *plurals: str) -> list[Path]:
        """Return the files of these resources, such as ``gateways``.

        Raises:
            BinaryUnavailable: As `find`.
        """
        folder = self.find()
        return [folder / f"{self.group}_{plural}.yaml" for plural in plurals]

    def _version(self) -> str:
        for line in (GO_MODULES / self.name / "go.mod").read_text().splitlines():
            words = line.removeprefix("require").split()
            if words[:1] == [self.module]:
                return words[1]
        raise BinaryUnavailable(f"{GO_MODULES / self.name / 'go.mod'} names no version of {self.module}")


CERT_MANAGER = Definitions(
    "cert-manager", "github.com/cert-manager/cert-manager", "deploy/crds", group="cert-manager.io"
)
GATEWAY_API = Definitions(
    "gateway-api", "sigs.k8s.io/gateway-api", "config/crd/standard", group="gateway.networking.k8s.io"
)
MONITORING = Definitions(
    "monitoring",
    "github.com/prometheus-operator/prometheus-operator",
    "example/prometheus-operator-crd",
    group="monitoring.coreos.com",
)
