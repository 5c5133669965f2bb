"""What is left out of the image of the standard library and the dependencies, and why that is safe.

Whether Certwright imports any of it is checked twice: by tests/image on the sources, and in the build, where every
module of Certwright is imported inside the finished root.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import PurePath

UNUSED_STANDARD_LIBRARY: Final = frozenset({
    # Installers and build tools: the image is finished.
    "ensurepip", "venv", "distutils", "lib2to3", "zipapp.py", "site-packages", "dist-packages",
    # Tests, and what runs them.
    "test", "unittest", "doctest.py", "idlelib", "__phello__", "__phello__.foo.py",
    # Windows, games, screens.
    "tkinter", "turtle.py", "turtledemo", "curses", "msilib", "antigravity.py", "this.py",
    # Databases that nothing opens.
    "sqlite3", "dbm", "shelve.py",
    # The texts behind help().
    "pydoc_data",
    # Servers and protocols of old.
    "xmlrpc", "cgi.py", "cgitb.py", "nntplib.py", "telnetlib.py", "smtpd.py", "sitecustomize.py",
    # Notes for installers.
    "EXTERNALLY-MANAGED", "build-details.json",
})  # fmt: skip

UNUSED_EXTENSIONS: Final = frozenset({
    "_sqlite3", "_dbm", "_gdbm", "_tkinter", "_curses", "_curses_panel", "readline", "nis", "ossaudiodev", "audioop",
    "_lsprof", "_crypt", "spwd",
    # shutil and zipfile do without these two, and nothing unpacks such files.
    "_bz2", "_lzma",
    # Text in East Asian encodings; certificates, DNS and HTTP know UTF-8, IDNA and Latin-1.
    "_codecs_jp", "_codecs_hk", "_codecs_cn", "_codecs_kr", "_codecs_tw", "_codecs_iso2022",
})  # fmt: skip

_TEST_EXTENSION: Final = re.compile(r"^(_test|_xx|xx|_ctypes_test)")
_BUILD_CONFIGURATION: Final = re.compile(r"^config-3")

UNUSED_DISTRIBUTIONS: Final = {
    "pycparser": "cffi needs it to compile, not to run",
    # The Kubernetes client's blocking half, which certwright/kube/lean.py leaves aside.
    **dict.fromkeys(
        ("requests", "requests_oauthlib", "oauthlib", "urllib3", "charset_normalizer", "durationpy",
         "websocket", "websocket_client"),
        "only the blocking Kubernetes client speaks HTTP by it, or logs in",
    ),
}  # fmt: skip
"""By the names of their folders: what is imported, and what the metadata is called."""

_FALLBACK: Final = re.compile(r"^frozenlist/_frozenlist\.[^/]*so$")
"""The one file that needs libstdc++ (2.2 MB); frozenlist has the same in Python, for aiohttp's lists of hooks."""
_GENERATED_CLIENT: Final = re.compile(r"^kubernetes/(aio/)?client/(api|apis)(/|$)")
# Neither is imported: certwright/kube/lean.py leaves aside what the packages' own __init__ modules ask for.
_UNUSED_HALF: Final = re.compile(
    r"^kubernetes/(config|dynamic|informer|leaderelection|stream|utils|watch|aio/(dynamic|leaderelection|stream|watch))/"
)
# Tens of megabytes of classes for every kind there is, each loaded when it is first named. Certwright sends plain JSON.
_GENERATED_MODEL: Final = re.compile(r"^kubernetes/(?:aio/)?client/models/(?!__init__\.py$)")
_LEXER: Final = re.compile(r"^pygments/lexers/(?!(__init__|_mapping|python|special)\.py$)")
_TEST: Final = re.compile(
    r"(^|/)(tests?|e2e_test|testing)(/|$)|(^|/)(test_[^/]+|[^/]+_test|conftest|pytest_plugin)\.py$"
)
_FOR_COMPILERS: Final = re.compile(r"\.(pyi|pyx|pxd|pxi|c|h|hash|typed)$")
_INSTALLER_NOTE: Final = re.compile(r"\.dist-info/(RECORD|INSTALLER|REQUESTED|WHEEL|direct_url\.json|top_level\.txt)$")


def keeps_of_standard_library(path: PurePath) -> bool:
    """Tell whether a file stays; `path` is relative to the standard library's folder."""
    first = path.parts[0]
    if "__pycache__" in path.parts or first in UNUSED_STANDARD_LIBRARY or _BUILD_CONFIGURATION.match(first):
        return False
    if "lib-dynload" in path.parts:
        extension = path.name.partition(".")[0]
        return extension not in UNUSED_EXTENSIONS and not _TEST_EXTENSION.match(extension)
    return not _TEST.search(path.as_posix())


def keeps_of_packages(path: PurePath, models: Collection[str]) -> bool:
    """Tell whether a file of a dependency stays.

    Args:
        path: Relative to site-packages.
        models: Modules of the Kubernetes client's models that importing the package loads.
    """
    name = path.as_posix()
    if "__pycache__" in path.parts or _distribution(path.parts[0]) in UNUSED_DISTRIBUTIONS:
        return False
    if any(unused.match(name) for unused in (_FALLBACK, _GENERATED_CLIENT, _UNUSED_HALF, _LEXER)):
        return False
    if _GENERATED_MODEL.match(name):
        return name.removesuffix(".py").replace("/", ".") in models
    return not (_TEST.search(name) or _FOR_COMPILERS.search(name) or _INSTALLER_NOTE.search(name))


def _distribution(folder: str) -> str:
    return folder.partition("-")[0] if folder.endswith(".dist-info") else folder
