"""Accounts: made, found, shown, changed, closed."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from certwright.acme import AccountCredentials, AccountKey, AcmeError, InvalidAccountKey, InvalidCredentials
from certwright.cli.acme.by_hand import confirm
from certwright.cli.acme.connection import (
    connection_of,
    open_account,
    open_client,
    settle_key_change,
    use_account,
)
from certwright.cli.acme.exits import CommandError, ExitCode, UsageError
from certwright.cli.acme.files import PRIVATE_FILE, read_file, write_file
from certwright.cli.acme.new_account import contact_urls
from certwright.cli.acme.session import Outcome, server_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from certwright.acme import Account, Client
    from certwright.cli.acme.new_account import NewAccount
    from certwright.cli.acme.session import Session


async def register(session: Session, terms: NewAccount, restore: Path | None) -> Outcome:
    """Make an account, or find the one that there is; with `restore` find that of a key or of saved credentials."""
    if restore is not None:
        return await _restore(session, restore)
    url = session.server()
    async with registered(session, url, terms) as client:
        account = await client.fetch_account()
        if terms.emails and account.contact and set(account.contact) != set(terms.contact):
            session.output.warn("The account was there already, with other contacts; `account --email` changes them")
        return _outcome(session, client, account)


@asynccontextmanager
async def registered(session: Session, url: str, terms: NewAccount) -> AsyncIterator[Client]:
    """Open a client with the account that is kept for a CA, or with a new one; others may use it meanwhile.

    Raises:
        CommandError: A person has to agree to the terms first.
    """
    folder = session.accounts.at(url)
    async with session.account_lock(url, shared=True) as lock:
        if not folder.is_registered():
            await lock.take()
        # Another run may have made it while this one waited.
        if folder.is_registered():
            folder.save_connection(connection_of(session, url))
            opened = use_account(session, url, lock)
        else:
            opened = _made(session, url, terms)
        async with opened as client:
            await lock.take(shared=True)
            yield client


@asynccontextmanager
async def _made(session: Session, url: str, terms: NewAccount) -> AsyncIterator[Client]:
    """Open a client with a new account, or go on with the making of one that was cut short."""
    folder = session.accounts.at(url)
    credentials = folder.load()
    binding = terms.binding()
    if terms.hmac_file is not None:
        session.warn_of_readers(terms.hmac_file)
    key = credentials.key if credentials is not None else _generate(terms.key_algorithm)
    async with open_client(session, url, AccountCredentials(url, None, key)) as client:
        agreed = await _agreed(session, client, terms)
        if binding is None and (await client.server.directory()).meta.external_account_required:
            raise CommandError(
                f"{server_name(url)} takes only accounts that are bound to one of its customers. Get a key identifier"
                " and a MAC key from it, and give --eab-kid and --eab-hmac-file",
                ExitCode.PERSON_NEEDED,
            )
        # The key is kept before the CA hears of it, so that a crash leaves no account that nobody has the key of.
        folder.save_connection(connection_of(session, url))
        folder.save(AccountCredentials.of(client))
        account = await client.register(
            contact=terms.contact, terms_of_service_agreed=agreed, external_account_binding=binding
        )
        folder.save(AccountCredentials.of(client))
        session.output.say(f"{'Registered' if account.created else 'Found'} the account {account.url}")
        yield client


async def show(session: Session, emails: tuple[str, ...], *, clear: bool, agree: bool, export: Path | None) -> Outcome:
    """Show the account, and change what was asked to be changed."""
    if emails and clear:
        raise UsageError("--email and --no-email exclude each other")
    async with open_account(session, session.server()) as client:
        account = await client.fetch_account()
        if agree:
            account = await client.agree_to_terms()
        if emails or clear:
            account = await client.update_account(contact=contact_urls(emails))
        if export is not None:
            write_file(export, AccountCredentials.of(client).to_json().encode(), mode=PRIVATE_FILE)
            session.output.warn(f"{export} holds the account's private key: keep it as one keeps a private key")
        return _outcome(session, client, account)


async def rollover(session: Session, algorithm: str | None) -> Outcome:
    """Give the account a new key (RFC 8555 section 7.3.5)."""
    url = session.server()
    folder = session.accounts.at(url)
    async with open_account(session, url, alone=True) as client:
        new_key = _generate(algorithm or client.key.algorithm)
        # Beside the old one, durably, before the CA is told: whatever happens then, one of the two is the key.
        folder.save_next(AccountCredentials(url, client.account_url, new_key))
        try:
            await client.change_key(new_key)
        except AcmeError:
            # Refused, or the answer was lost: ask which. If that fails too, the next run asks.
            await settle_key_change(session, folder, client)
            if client.key != new_key:
                raise
        else:
            folder.adopt_next()
        account = await client.fetch_account()
        return _outcome(session, client, account, "The account has a new key; the old one is void")


async def deactivate(session: Session, *, yes: bool) -> Outcome:
    """Close the account for good (section 7.3.6)."""
    url = session.server()
    async with open_account(session, url, alone=True) as client:
        question = (
            f"This closes the account {client.account_url} for good. Its certificates stay valid, and can no longer"
            " be renewed or revoked with it."
        )
        if not yes and not await confirm(session.output, question):
            raise UsageError("Nothing was done. To close the account without being asked give --yes")
        account = await client.deactivate_account()
        folder = session.accounts.at(url)
        folder.retire()
        return _outcome(session, client, account, f"Closed. Its key was moved aside in {folder.path}")


async def _restore(session: Session, path: Path) -> Outcome:
    content = read_file(path, what="the account")
    credentials = _credentials(content, path)
    url = session.server() if credentials.directory_url == "" else credentials.directory_url
    if session.common.server is not None and credentials.directory_url not in ("", session.server()):
        raise UsageError(f"The account in {path} is at {credentials.directory_url}, and --server says another CA")
    folder = session.accounts.at(url)
    async with (
        session.account_lock(url, shared=False),
        open_client(session, url, AccountCredentials(url, None, credentials.key)) as client,
    ):
        kept = folder.load()
        if kept is not None and kept.key != credentials.key:
            raise CommandError(f"There is another account for {server_name(url)} in {folder.path}; move it away first")
        account = await client.find_account()
        folder.save_connection(connection_of(session, url))
        folder.save(AccountCredentials.of(client))
        return _outcome(session, client, account)


def _credentials(content: bytes, path: Path) -> AccountCredentials:
    """Read credentials, or a key alone, in PEM or as JSON Web Key; for a key the directory URL is empty."""
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
        raise CommandError(f"{path} holds no account: {error}") from None


async def _agreed(session: Session, client: Client, terms: NewAccount) -> bool:
    page = (await client.server.directory()).meta.terms_of_service
    if page is None or terms.agreed:
        return terms.agreed
    if await confirm(session.output, f"Do you agree to the CA's terms of service, {page}?"):
        return True
    raise CommandError(
        f"The CA wants its terms of service agreed to: read {page} and give --agree-tos", ExitCode.PERSON_NEEDED
    )


def _generate(algorithm: str) -> AccountKey:
    try:
        return AccountKey.generate(algorithm)  # type: ignore[arg-type]  # what it does not know it says
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
        f"Contacts:   {', '.join(account.contact) or 'none, or the CA does not tell'}",
        f"Key:        {client.key.algorithm}, thumbprint {client.key.thumbprint}",
        f"Kept in:    {session.accounts.at(url).path}",
    ]
    return Outcome(document, lines)
