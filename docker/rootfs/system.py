"""Interpreter, standard library, shared libraries, and the few files that glibc and OpenSSL look for."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

from .compiling import replace_by_byte_code
from .elf import is_elf, needed_libraries, shrink
from .errors import RootError
from .packages import describe_packages
from .pruning import keeps_of_standard_library
from .tree import Tree

USER: Final = 65532
TRUST_STORE: Final = "/etc/ssl/certs/ca-certificates.crt"
_PASSWD: Final = f"root:x:0:0:root:/:/sbin/nologin\ncertwright:x:{USER}:{USER}:Certwright:/:/sbin/nologin\n"
_GROUP: Final = f"root:x:0:\ncertwright:x:{USER}:\n"
# Since 2.34 glibc has both sources built in.
_NAME_SERVICE: Final = "passwd: files\ngroup: files\nhosts: files dns\n"


def collect(root: Path) -> None:
    """Add everything except Python packages to a root that holds these already.

    Raises:
        RootError: The base image lacks something.
    """
    tree = Tree(root)
    _add_interpreter(tree)
    _add_libraries(tree)
    _add_configuration(tree)
    describe_packages(tree)
    for path in tree.copied:
        if is_elf(tree.at(path)):
            shrink(tree.at(path))


def _add_interpreter(tree: Tree) -> None:
    tree.add(sys.executable)
    library = Path(sysconfig.get_path("stdlib"))
    for source in sorted(path for path in library.rglob("*") if path.is_file()):
        if not keeps_of_standard_library(source.relative_to(library)):
            continue
        tree.add(str(source))
        # Debian has links in there; what they lead to was copied, and is compiled where it is.
        copy = tree.at(str(source))
        if copy.suffix == ".py" and not copy.is_symlink():
            replace_by_byte_code(copy, str(source))


def _add_libraries(tree: Tree) -> None:
    # The loader that everything else is opened by must be found under the name in the programs' headers.
    needed: set[str] = set()
    for path in tree.files():
        if is_elf(path):
            needed |= needed_libraries(path)
    # What the wheels brought along is in the root already.
    for library in sorted(name for name in needed if not name.startswith(str(tree.root))):
        tree.add(library)
    shutil.copytree("/etc/ld.so.conf.d", tree.at("/etc/ld.so.conf.d"), dirs_exist_ok=True)
    tree.add("/etc/ld.so.conf")
    answer = subprocess.run(["ldconfig", "-r", str(tree.root)], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise RootError(f"ldconfig failed: {answer.stderr.strip()}")
    shutil.rmtree(tree.at("/var/cache"), ignore_errors=True)


def _add_configuration(tree: Tree) -> None:
    try:
        tree.add(TRUST_STORE)
    except FileNotFoundError:
        raise RootError(f"the base image has no {TRUST_STORE}; it needs the package ca-certificates") from None
    # Where OpenSSL looks by default.
    tree.link(ssl.get_default_verify_paths().openssl_cafile, TRUST_STORE)
    tree.write("/etc/passwd", _PASSWD)
    tree.write("/etc/group", _GROUP)
    tree.write("/etc/nsswitch.conf", _NAME_SERVICE)
    tree.add("/etc/os-release")
