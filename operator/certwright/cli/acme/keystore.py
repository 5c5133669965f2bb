"""`--pkcs12`: a keystore beside the PEM files; its password is from a file, the environment or a person."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from certwright.cli.acme.by_hand import ask_hidden
from certwright.cli.acme.exits import UsageError
from certwright.pki import KeystoreError, Pkcs12Encryption, check_keystore_password, load_private_key, to_pkcs12

if TYPE_CHECKING:
    from certwright.cli.acme.recipe import Recipe
    from certwright.cli.acme.session import Session
    from certwright.pki import CertificateChain

#: Holds the password where no file does.
SECRET_VARIABLE: Final = "CERTWRIGHT_PKCS12_PASSWORD"  # noqa: S105 - the name of a variable

_MAX_BYTES: Final = 4096
_OPTIONS: Final = f"--pkcs12-password-file, or {SECRET_VARIABLE} in the environment"


@dataclass(frozen=True)
class Keystore:
    """How a keystore is encrypted.

    Attributes:
        password: Its password.
        encryption: See `certwright.pki.to_pkcs12`.
    """

    password: str = field(repr=False)
    encryption: Pkcs12Encryption

    def content(self, name: str, private_key_pem: bytes, chain: CertificateChain) -> bytes:
        """Return the keystore with one entry of this name."""
        key = load_private_key(private_key_pem, trusted=True)
        return to_pkcs12(key, chain, password=self.password, name=name, encryption=self.encryption)


async def find_keystore(session: Session, recipe: Recipe) -> Keystore | None:
    """Return how the keystore of a certificate is encrypted, or None if none is wanted.

    Raises:
        UsageError: Nobody says the password.
        CommandError: The file with the password cannot be read.
    """
    if recipe.pkcs12 is None:
        return None
    if recipe.pkcs12 not in get_args(Pkcs12Encryption):
        raise UsageError(f"There is no keystore encryption {recipe.pkcs12!r}")
    if recipe.pkcs12_password_file is not None:
        path = Path(recipe.pkcs12_password_file)
        text = session.read_secret(path, what="the password of the keystore", most=_MAX_BYTES).decode(
            "utf-8", "replace"
        )
        password = text.partition("\n")[0].removesuffix("\r")
    elif (given := os.environ.get(SECRET_VARIABLE)) is not None:
        password = given
    elif sys.stdin.isatty():
        password = await _asked(session)
    else:
        raise UsageError(f"The keystore needs its password: {_OPTIONS}; or a terminal, where it is asked for")
    try:
        check_keystore_password(password)
    except KeystoreError as error:
        raise UsageError(f"No keystore can be made: {error}") from None
    return Keystore(password, recipe.pkcs12)  # type: ignore[arg-type]  # checked above


async def _asked(session: Session) -> str:
    password = await ask_hidden(session.output, "Password of the keystore:")
    if await ask_hidden(session.output, "The same once more:") != password:
        raise UsageError("The two passwords are not the same; nothing was done")
    session.output.warn(f"`renew` asks for it again, and fails where nobody can answer; spare that with {_OPTIONS}")
    return password
