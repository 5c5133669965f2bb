"""Account credentials: what to store for an account, and its JSON form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

from certwright.acme.errors import InvalidAccountKey, InvalidCredentials, UnsafeUrl
from certwright.acme.key import AccountKey
from certwright.acme.transport import UrlPolicy

if TYPE_CHECKING:
    from certwright.acme.account import AccountClient

_MAX_BYTES: Final = 64 * 1024
_MEMBERS: Final = frozenset({"directory", "account", "privateKey"})


@dataclass(frozen=True)
class AccountCredentials:
    """An account at a CA and its key. They allow issuing and revoking: protect them like a private key.

    Attributes:
        directory_url: The CA.
        account_url: The account, or None before registration; the key alone is enough to find the account again.
        key: The account key.
    """

    directory_url: str
    account_url: str | None
    key: AccountKey = field(repr=False)

    @classmethod
    def of(cls, client: AccountClient) -> AccountCredentials:
        """Return the credentials of a client."""
        return cls(client.server.directory_url, client.account_url, client.key)

    def to_json(self) -> str:
        """Return the credentials as JSON: `directory`, `account` (if it is known) and `privateKey` (PKCS #8 in PEM).

        The text contains the private key in the clear. Write it to a file that only its owner can read.
        """
        document = {"directory": self.directory_url, "privateKey": self.key.to_pem().decode("ascii")}
        if self.account_url is not None:
            document["account"] = self.account_url
        return json.dumps(document, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, allow_insecure: bool = False) -> AccountCredentials:
        """Parse the output of `to_json`; `privateKey` may also be a JSON Web Key (RFC 7517).

        Args:
            text: The JSON.
            allow_insecure: Accept URLs with plain http. For test benches.

        Raises:
            InvalidCredentials: The text is not JSON, or a member is missing, unknown, duplicate or of the wrong type.
                The message names the member and never quotes its value.
        """
        document = _load(text)
        unknown = sorted(set(document) - _MEMBERS)
        if unknown:
            raise InvalidCredentials(f"The account credentials have {len(unknown)} members that are not known here")
        urls = UrlPolicy(allow_http=allow_insecure)
        directory = _url(document, "directory", urls)
        if directory is None:
            _fail("directory", "missing")
        return cls(directory, _url(document, "account", urls), _key(document.get("privateKey")))


def _load(text: str | bytes) -> dict[str, Any]:
    if len(text) > _MAX_BYTES:
        raise InvalidCredentials(f"The account credentials are longer than {_MAX_BYTES} bytes")
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        raise InvalidCredentials("The account credentials are not JSON, or have a duplicate member") from None
    if not isinstance(document, dict):
        raise InvalidCredentials("The account credentials are not a JSON object")
    return document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is duplicated")
    return members


def _url(document: Mapping[str, Any], name: str, urls: UrlPolicy) -> str | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        _fail(name, "no text")
    try:
        return urls.check(value, what=name)
    except UnsafeUrl:
        _fail(name, "not an https URL")


def _key(value: object) -> AccountKey:
    try:
        if isinstance(value, str):
            return AccountKey.from_pem(value.encode())
        if isinstance(value, Mapping):
            return AccountKey.from_jwk(value)
    except (InvalidAccountKey, UnicodeError):
        return _fail("privateKey", "not an account key in PEM or as JSON Web Key")
    return _fail("privateKey", "missing, or neither text nor an object")


def _fail(name: str, expectation: str) -> NoReturn:
    raise InvalidCredentials(f"{name!r} of the account credentials is {expectation}") from None
