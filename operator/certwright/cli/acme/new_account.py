"""What a new account may need; the key of a binding (RFC 8555 section 7.3.4) is never on the command line."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.acme import ExternalAccountBinding, InvalidExternalAccountKey
from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.files import read_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: Holds the MAC key where no file does.
SECRET_VARIABLE: Final = "CERTWRIGHT_EAB_HMAC_KEY"  # noqa: S105 - the name of a variable

_ALGORITHMS: Final = ("HS256", "HS384", "HS512")


@dataclass(frozen=True)
class NewAccount:
    """What a new account may need.

    Attributes:
        agreed: Whether the user agrees to the CA's terms of service.
        emails: Contacts.
        key_id: The key identifier that the CA gave its customer, or None.
        hmac_file: File with the MAC key that goes with it; None takes it from the environment.
        hmac_algorithm: How the CA wants the MAC computed.
        key_algorithm: Of the account key.
    """

    agreed: bool = False
    emails: tuple[str, ...] = ()
    key_id: str | None = None
    hmac_file: Path | None = None
    hmac_algorithm: str = _ALGORITHMS[0]
    key_algorithm: str = "ES256"

    @property
    def contact(self) -> list[str]:
        """The contacts as URLs."""
        return contact_urls(self.emails)

    def binding(self) -> ExternalAccountBinding | None:
        """Return the binding, or None if none is asked for.

        Raises:
            UsageError: A part of it is missing or not valid.
        """
        if self.key_id is None:
            if self.hmac_file is not None:
                raise UsageError("--eab-hmac-file needs the key identifier that the CA gave with it: --eab-kid")
            return None
        if self.hmac_algorithm not in _ALGORITHMS:
            raise UsageError(f"--eab-algorithm is one of {', '.join(_ALGORITHMS)}")
        if self.hmac_file is not None:
            text = read_file(self.hmac_file, what="the MAC key").decode("ascii", "replace")
        else:
            text = os.environ.get(SECRET_VARIABLE, "")
        if not text.strip():
            raise UsageError(f"--eab-kid needs the MAC key: give --eab-hmac-file, or set {SECRET_VARIABLE}")
        try:
            return ExternalAccountBinding.from_text(self.key_id, text, self.hmac_algorithm)  # type: ignore[arg-type]
        except InvalidExternalAccountKey as error:
            raise UsageError(str(error)) from None


def contact_urls(emails: Iterable[str]) -> list[str]:
    """Return contacts as RFC 8555 section 7.3 wants them; what is a URL already stays so."""
    return [email if ":" in email else f"mailto:{email}" for email in emails]
