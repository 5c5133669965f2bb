"""`--pkcs12`: a keystore beside the PEM files; its password comes from a file, the environment or the user."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.output import ask_hidden
from certwright.pki import KeystoreError, Pkcs12Encryption, check_keystore_password, load_private_key, to_pkcs12

if TYPE_CHECKING:
    from certwright.cli.acme.session import Session
    from certwright.cli.acme.settings import IssuanceSettings
    from certwright.pki import CertificateChain

PASSWORD_VARIABLE: Final = "CERTWRIGHT_PKCS12_PASSWORD"  # noqa: S105 - the name of a variable
"""The environment variable that holds a password that is in no file."""

_MAX_BYTES: Final = 4096
_OPTIONS: Final = f"--pkcs12-password-file, or {PASSWORD_VARIABLE} in the environment"


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


async def find_keystore(session: Session, settings: IssuanceSettings) -> Keystore | None:
    """Return how to encrypt the keystore of a certificate, or None if none is wanted.

    Raises:
        UsageError: The password is missing or unsuitable.
        CommandError: The file with the password cannot be read.
    """
    if settings.pkcs12 is None:
        return None
    if settings.pkcs12 not in get_args(Pkcs12Encryption):
        raise UsageError(f"There is no keystore encryption {settings.pkcs12!r}")
    if settings.pkcs12_password_file is not None:
        path = Path(settings.pkcs12_password_file)
        text = session.read_secret(path, what="the password of the keystore", most=_MAX_BYTES).decode(
            "utf-8", "replace"
        )
        password = text.partition("\n")[0].removesuffix("\r")
    elif (given := os.environ.get(PASSWORD_VARIABLE)) is not None:
        password = given
    elif sys.stdin.isatty():
        password = await _asked(session)
    else:
        raise UsageError(f"The keystore needs a password: {_OPTIONS}; or run on a terminal, to be asked for it")
    try:
        check_keystore_password(password)
    except KeystoreError as error:
        raise UsageError(f"Cannot create the keystore: {error}") from None
    return Keystore(password, settings.pkcs12)  # type: ignore[arg-type]  # checked above


async def _asked(session: Session) -> str:
    password = await ask_hidden(session.output, "Password for the keystore:")
    if await ask_hidden(session.output, "Repeat the password:") != password:
        raise UsageError("The passwords do not match; nothing was changed")
    session.output.warn(f"`renew` will ask for it again, and fails without a terminal; to avoid that, use {_OPTIONS}")
    return password
