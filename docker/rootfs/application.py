"""The virtual environment in the image: the dependencies, and the project in a layer of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Final

from .compiling import replace_by_byte_code
from .elf import is_elf, shrink
from .errors import RootError
from .pruning import keeps_of_packages
from .system import TRUST_STORE
from .tree import FILE_MODE, PROGRAM_MODE, Tree

PROJECT: Final = "certwright"
_LOADED_MODELS: Final = (
    "import sys, kubernetes.aio; print(*(name for name in sys.modules if '.client.models.' in name))"
)


def site_packages(venv: Path) -> Path:
    """Return where a virtual environment of this Python keeps its packages."""
    return venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def install_requirements(venv: Path, root: Path) -> None:
    """Copy the dependencies from a virtual environment, without what they do not need to run, as byte code.

    Raises:
        RootError: A module does not compile, or the Kubernetes client does not import.
    """
    packages = site_packages(venv)
    models = _loaded_models(venv)
    target = root / packages.relative_to("/")
    for source in sorted(path for path in packages.rglob("*") if path.is_file()):
        name = source.relative_to(packages)
        if not keeps_of_packages(name, models):
            continue
        copy = target / name
        _copy(source, copy)
        if copy.suffix == ".py":
            replace_by_byte_code(copy, str(source))
        elif is_elf(copy):
            shrink(copy)
    # One trust store for everything: the one that administrators replace.
    bundle = target / "certifi" / "cacert.pem"
    bundle.unlink()
    bundle.symlink_to(TRUST_STORE)
    tree = Tree(root)
    tree.link(f"{venv}/bin/python3", str(Path(sys.executable)))
    tree.write(f"{venv}/pyvenv.cfg", f"home = {Path(sys.executable).parent}\ninclude-system-site-packages = false\n")


def install_project(venv: Path, root: Path) -> None:
    """Copy what installing Certwright's wheel added to the virtual environment.

    Raises:
        RootError: It is not installed there.
    """
    packages = site_packages(venv)
    metadata = next(packages.glob(f"{PROJECT}-*.dist-info"), None)
    if metadata is None:
        raise RootError(f"{PROJECT} is not installed in {venv}")
    for file in PathDistribution(metadata).files or []:
        source = packages / file
        script = source.parent.name == "bin"
        source = venv / "bin" / source.name if script else source
        if script or keeps_of_packages(source.relative_to(packages), ()):
            _copy(source, root / source.relative_to("/"), PROGRAM_MODE if script else FILE_MODE)


def _copy(source: Path, target: Path, mode: int = FILE_MODE) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def _loaded_models(venv: Path) -> frozenset[str]:
    answer = subprocess.run(
        [str(venv / "bin" / "python3"), "-c", _LOADED_MODELS], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise RootError(f"the Kubernetes client does not import:\n{answer.stderr}")
    return frozenset(answer.stdout.split())
