"""TSIG keys from files, never from the command line: as `tsig-keygen` prints them, or the secret alone."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.files import read_file
from certwright.dns import TsigKey

if TYPE_CHECKING:
    from certwright.cli.acme.recipe import SolverSettings

#: Holds the secret where no file does.
SECRET_VARIABLE: Final = "CERTWRIGHT_TSIG_SECRET"  # noqa: S105 - the name of a variable

_MAX_BYTES: Final = 16 * 1024
_COMMENT: Final = re.compile(r"/\*.*?\*/|(?://|#)[^\n]*", re.DOTALL)
_CLAUSE: Final = re.compile(r'\bkey\s+"?([^\s"{;]+)"?\s*\{([^}]*)\}\s*;?')
_ALGORITHM: Final = re.compile(r'\balgorithm\s+"?([A-Za-z0-9-]+)"?\s*;')
_SECRET: Final = re.compile(r'\bsecret\s+"?([A-Za-z0-9+/=\s]+?)"?\s*;')
_DEFAULT_ALGORITHM: Final = "hmac-sha256"


def load_tsig_key(settings: SolverSettings) -> TsigKey | None:
    """Return the key that signs dynamic updates, or None for a server that goes by address.

    Raises:
        UsageError: A part of it is missing.
        InvalidTsigKey: A part of it is not valid.
    """
    if settings.tsig_key_file is not None:
        path = Path(settings.tsig_key_file)
        text = read_file(path, what="the TSIG key", most=_MAX_BYTES).decode("ascii", "replace")
        return _from_text(text, settings, source=str(path))
    secret = os.environ.get(SECRET_VARIABLE, "")
    if secret:
        return _named(secret, settings, source=f"${SECRET_VARIABLE}")
    if settings.tsig_key_name is not None:
        raise UsageError(f"--tsig-key-name needs the secret: give --tsig-key-file, or set {SECRET_VARIABLE}")
    return None


def _from_text(text: str, settings: SolverSettings, *, source: str) -> TsigKey:
    bare = _COMMENT.sub("", text) if "{" in text else text
    clauses = _CLAUSE.findall(bare)
    if not clauses:
        return _named(text, settings, source=source)
    wanted = settings.tsig_key_name
    found = [(name, body) for name, body in clauses if wanted is None or name == wanted]
    if len(found) != 1:
        names = ", ".join(name for name, _ in clauses)
        raise UsageError(f"{source} has the keys {names}: say which one with --tsig-key-name")
    ((name, body),) = found
    secret, algorithm = _SECRET.search(body), _ALGORITHM.search(body)
    if secret is None:
        raise UsageError(f"The key {name} in {source} has no secret")
    default = algorithm.group(1) if algorithm else _DEFAULT_ALGORITHM
    return TsigKey(name, secret.group(1), settings.tsig_algorithm or default, source=source)


def _named(secret: str, settings: SolverSettings, *, source: str) -> TsigKey:
    if settings.tsig_key_name is None:
        raise UsageError(f"The TSIG secret in {source} needs the name of its key: --tsig-key-name")
    return TsigKey(settings.tsig_key_name, secret, settings.tsig_algorithm or _DEFAULT_ALGORITHM, source=source)
