"""`register`, `account`, `rollover`, `deactivate`: what they do, and what a new account needs."""

from __future__ import annotations

import json
import os
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import (
    AccountCredentials,
    AccountDoesNotExist,
    AccountKey,
    AcmeError,
    ExternalAccountBinding,
    InvalidAccountKey,
    InvalidCredentials,
    InvalidExternalAccountKey,
    ProblemError,
)
from certwright.cli.acme.connection import (
    UnknownKeys,
    connection_of,
    open_account,
    open_client,
    settle_key_change,
    use_account,
)
from certwright.cli.acme.exits import ExitCode, UsageError
from certwright.cli.acme.files import PRIVATE_FILE, read_file, write_file
from certwright.cli.acme.output import confirm
from certwright.cli.acme.session import Outcome, server_name
from certwright.cli.exits import CommandError
from certwright.text import PLACEHOLDER_DOMAIN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from certwright.acme import Account, Client
    from certwright.cli.acme.session import Session


EAB_VARIABLE: Final = "CERTWRIGHT_EAB_HMAC_KEY"
"""The environment variable that holds a MAC key that is in no file."""

_MAC_ALGORITHMS: Final = ("HS256", "HS384", "HS512")


@dataclass(frozen=True)
class NewAccount:
    """The options for a new account.

    Attributes:
        agreed: Whether the user agrees to the CA's terms of service.
        emails: Contact addresses.
        key_id: The key identifier for external account binding, or None.
        hmac_file: File with the matching MAC key; None takes it from the environment.
        hmac_algorithm: The MAC algorithm that the CA expects.
        key_algorithm: The algorithm of the account key.
    """

    agreed: bool = False
    emails: tuple[str, ...] = ()
    key_id: str | None = None
    hmac_file: Path | None = None
    hmac_algorithm: str = _MAC_ALGORITHMS[0]
    key_algorithm: str = "ES256"

    @property
    def contact(self) -> list[str]:
        """The contacts as URLs; see `contact_urls`."""
        return contact_urls(self.emails)

    def binding(self) -> ExternalAccountBinding | None:
        """Return the external account binding (RFC 8555 section 7.3.4), or None if none was given.

        The MAC key is never on the command line.

        Raises:
            UsageError: A part of it is missing or invalid.
        """
        if self.key_id is None:
            if self.hmac_file is not None:
                raise UsageError("--eab-hmac-file needs the key identifier from the CA: --eab-kid")
            return None
        if self.hmac_algorithm not in _MAC_ALGORITHMS:
            raise UsageError(f"--eab-algorithm must be one of {', '.join(_MAC_ALGORITHMS)}")
        if self.hmac_file is not None:
            text = read_file(self.hmac_file, what="the MAC key").decode("ascii", "replace")
        else:
            text = os.environ.get(EAB_VARIABLE, "")
        if not text.strip():
            raise UsageError(f"--eab-kid needs the MAC key: give --eab-hmac-file, or set {EAB_VARIABLE}")
        try:
            return ExternalAccountBinding.from_text(self.key_id, text, self.hmac_algorithm)  # type: ignore[arg-type]
        except InvalidExternalAccountKey as error:
            raise UsageError(str(error)) from None


async def register(session: Session, new: NewAccount, restore: Path | None) -> Outcome:
    """Register an account, or find the existing one; with `restore`, that of a key or of saved credentials."""
    if restore is not None:
        return await _restore(session, restore)
    url = session.server()
    try:
        return await _registered(session, url, new)
    except (AccountDoesNotExist, UnknownKeys) as error:
        session.output.warn(f"{server_name(url)} does not know the saved account any more: {error}")
    session.output.say("Registering its key again; certificates that the account issued may have to be issued again")
    return await _registered(session, url, new, again=True)


async def _registered(session: Session, url: str, new: NewAccount, *, again: bool = False) -> Outcome:
    async with registered(session, url, new, again=again) as client:
        account = await client.fetch_account()
        if new.emails and account.contact and set(account.contact) != set(new.contact):
            session.output.warn("The account already existed, with other contacts; `account --email` changes them")
        return _outcome(session, client, account)


@asynccontextmanager
async def registered(session: Session, url: str, new: NewAccount, *, again: bool = False) -> AsyncIterator[Client]:
    """Open a client with the account that is saved for a CA, or with a new one; other runs may use it meanwhile.

    Args:
        session: The command.
        url: The CA.
        new: The options for a new account.
        again: Register the key of the saved account again, as the CA has lost that account.

    Raises:
        CommandError: The user has to agree to the terms first.
    """
    folder = session.accounts.at(url)
    async with session.account_lock(url, shared=True) as lock:
        if again or not folder.is_registered():
            await lock.take()
        # Another run may have registered it while this one waited.
        if folder.is_registered() and not again:
            folder.save_connection(connection_of(session, url))
            opened = use_account(session, url, lock)
        else:
            opened = _new(session, url, new)
        async with opened as client:
            await lock.take(shared=True)
            yield client


@asynccontextmanager
async def _new(session: Session, url: str, new: NewAccount) -> AsyncIterator[Client]:
    """Open a client with a new account, or continue an interrupted registration."""
    folder = session.accounts.at(url)
    credentials = folder.load()
    binding, contact = new.binding(), new.contact
    if new.hmac_file is not None:
        session.warn_of_readers(new.hmac_file)
    key = credentials.key if credentials is not None else _generate(new.key_algorithm)
    async with open_client(session, url, AccountCredentials(url, None, key)) as client:
        agreed = await _agreed(session, client, new)
        if binding is None and (await client.server.directory()).meta.external_account_required:
            raise CommandError(
                f"{server_name(url)} requires external account binding. Get a key identifier and a MAC key from it, and"
                " give --eab-kid and --eab-hmac-file",
                ExitCode.ACTION_NEEDED,
            )
        # Save the key before the CA learns of it, so that a crash cannot lose the key of an account.
        folder.save_connection(connection_of(session, url))
        folder.save(AccountCredentials.of(client))
        account = await client.register(
            contact=contact, terms_of_service_agreed=agreed, external_account_binding=binding
        )
        folder.save(AccountCredentials.of(client))
        # That of a rollover at an account that is lost.
        folder.drop_next()
        session.output.say(f"{'Registered' if account.created else 'Found'} the account {account.url}")
        yield client


async def show(session: Session, emails: tuple[str, ...], *, clear: bool, agree: bool, export: Path | None) -> Outcome:
    """Show the account, after the requested changes."""
    if emails and clear:
        raise UsageError("--email and --no-email are mutually exclusive")
    contact = contact_urls(emails)
    async with open_account(session, session.server()) as client:
        account = await client.fetch_account()
        if agree:
            account = await client.agree_to_terms()
        if emails or clear:
            account = await client.update_account(contact=contact)
        if export is not None:
            write_file(export, AccountCredentials.of(client).to_json().encode(), mode=PRIVATE_FILE)
            session.output.warn(f"{export} contains the private key of the account: keep it secret")
        return _outcome(session, client, account)


async def rollover(session: Session, algorithm: str | None) -> Outcome:
    """Replace the account key (RFC 8555 section 7.3.5)."""
    url = session.server()
    folder = session.accounts.at(url)
    async with open_account(session, url, alone=True) as client:
        new_key = _generate(algorithm or client.key.algorithm)
        # Save it beside the old one before the CA is told: whatever happens then, one of the two is the key.
        folder.save_next(AccountCredentials(url, client.account_url, new_key))
        try:
            await client.change_key(new_key)
        except AcmeError as error:
            # Refused, or the response was lost: ask the CA which key it has. If that fails too, the next run asks.
            refused = isinstance(error, ProblemError) and not error.temporary
            await settle_key_change(session, folder, client, refused=refused)
            if client.key != new_key:
                raise
        else:
            folder.adopt_next()
        account = await client.fetch_account()
        return _outcome(session, client, account, "The account has a new key; the old one is no longer valid")


async def deactivate(session: Session, *, yes: bool) -> Outcome:
    """Deactivate the account permanently (RFC 8555 section 7.3.6)."""
    url = session.server()
    async with open_account(session, url, alone=True) as client:
        question = (
            f"This permanently deactivates the account {client.account_url}. Its certificates stay valid, but it can no"
            " longer renew or revoke them."
        )
        if not yes and not await confirm(session.output, question):
            raise UsageError("Nothing was changed. To deactivate the account without confirmation, give --yes")
        account = await client.deactivate_account()
        folder = session.accounts.at(url)
        folder.retire()
        return _outcome(session, client, account, f"Deactivated. Its key was moved aside in {folder.path}")


async def _restore(session: Session, path: Path) -> Outcome:
    content = read_file(path, what="the account")
    credentials = _credentials(content, path)
    url = session.server() if credentials.directory_url == "" else credentials.directory_url
    if session.common.server is not None and credentials.directory_url not in ("", session.server()):
        raise UsageError(f"The account in {path} is at {credentials.directory_url}, but --server names another CA")
    folder = session.accounts.at(url)
    async with (
        session.account_lock(url, shared=False),
        open_client(session, url, AccountCredentials(url, None, credentials.key)) as client,
    ):
        saved = folder.load()
        if saved is not None and saved.key != credentials.key:
            raise CommandError(f"There is another account at {server_name(url)} in {folder.path}; move it away first")
        account = await client.find_account()
        folder.save_connection(connection_of(session, url))
        folder.save(AccountCredentials.of(client))
        return _outcome(session, client, account)


def _credentials(content: bytes, path: Path) -> AccountCredentials:
    """Read credentials, or a key alone as PEM or JSON Web Key; for a key, the directory URL is empty."""
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    try:
        if isinstance(document, dict):
            if "kty" in document:
                return AccountCredentials("", None, AccountKey.from_jwk(document))
            return AccountCredentials.from_json(content)
        return AccountCredentials("", None, AccountKey.from_pem(content))
    except (InvalidAccountKey, InvalidCredentials) as error:
        raise CommandError(f"{path} does not contain an account: {error}") from None


async def _agreed(session: Session, client: Client, new: NewAccount) -> bool:
    page = (await client.server.directory()).meta.terms_of_service
    if page is None or new.agreed:
        return new.agreed
    if await confirm(session.output, f"Do you agree to the CA's terms of service, {page}?"):
        return True
    raise CommandError(
        f"You have to agree to the CA's terms of service: read {page} and give --agree-tos", ExitCode.ACTION_NEEDED
    )


def _generate(algorithm: str) -> AccountKey:
    try:
        name, colon, size = algorithm.partition(":")
        return AccountKey.generate(name, size=int(size) if colon else None)  # type: ignore[arg-type]  # it rejects unknown ones
    except ValueError as error:
        raise UsageError(f"--key-algorithm: {error}") from None


def _outcome(session: Session, client: Client, account: Account, news: str = "") -> Outcome:
    url = client.server.directory_url
    document: dict[str, Any] = {
        "account": {
            "url": account.url,
            "status": account.status.value,
            "contact": list(account.contact),
            "server": url,
            "orders_url": account.orders_url,
            "key_algorithm": client.key.algorithm,
            "key_thumbprint": client.key.thumbprint,
            "folder": str(session.accounts.at(url).path),
        }
    }
    lines = [
        *([news] if news else []),
        f"Account:    {account.url}",
        f"CA:         {server_name(url)}",
        f"Status:     {account.status.value}",
        f"Contacts:   {', '.join(account.contact) or 'none, or not shown by the CA'}",
        f"Key:        {client.key.algorithm}, thumbprint {client.key.thumbprint}",
        f"Folder:     {session.accounts.at(url).path}",
    ]
    return Outcome(document, lines)


def contact_urls(emails: Iterable[str]) -> list[str]:
    """Return contacts as URLs (RFC 8555 section 7.3); one that is a URL already is left as it is.

    Raises:
        UsageError: An address is the placeholder of an example.
    """
    urls = [email if ":" in email else f"mailto:{email}" for email in emails]
    for url in urls:
        if re.search(f"{PLACEHOLDER_DOMAIN}$", url):
            address = url.removeprefix("mailto:")
            raise UsageError(f"{address} is a placeholder: give your own address, or leave --email out")
    return urls
