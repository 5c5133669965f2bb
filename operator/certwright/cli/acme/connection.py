"""Clients for a CA, with its saved account."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from certwright.acme import AccountCredentials, AccountKey, ClientCertificate, HeldKey, Timeouts, probe_keys
from certwright.cli.acme.account_store import Connection
from certwright.cli.acme.exits import ExitCode, UsageError
from certwright.cli.acme.files import read_file
from certwright.cli.acme.session import server_name
from certwright.cli.exits import CommandError
from certwright.client import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from certwright.acme import Client
    from certwright.cli.acme.account_store import AccountFolder
    from certwright.cli.acme.lock import Lock
    from certwright.cli.acme.session import Session


def connection_of(session: Session, directory_url: str) -> Connection:
    """Return how to connect to a CA: the saved settings, overridden by the command line."""
    given = session.common
    if (given.client_certificate is None) != (given.client_key is None):
        raise UsageError("--client-certificate and --client-key must be given together")

    def absolute(path: Path | None) -> str | None:
        return None if path is None else str(path.absolute())

    options = Connection(
        ca_bundle=absolute(given.ca_bundle),
        proxy=given.proxy,
        client_certificate=absolute(given.client_certificate),
        client_key=absolute(given.client_key),
        request_timeout=given.request_timeout,
    )
    return session.accounts.at(directory_url).connection().overlaid(options)


@asynccontextmanager
async def open_client(
    session: Session, directory_url: str, account: AccountCredentials | AccountKey | None = None
) -> AsyncIterator[Client]:
    """Open a client for a CA.

    Args:
        session: Knows how to connect to the CA.
        directory_url: The CA.
        account: The account, or None for requests that need none.
    """
    how = connection_of(session, directory_url)
    bundle = None
    if how.ca_bundle is not None:
        bundle = read_file(Path(how.ca_bundle), what="the CA bundle").decode("utf-8", "replace")
    certificate = None
    if how.client_certificate is not None and how.client_key is not None:
        certificate = ClientCertificate(Path(how.client_certificate), Path(how.client_key))

    async with connect(
        directory_url,
        account=account,
        ca_bundle=bundle,
        proxy=how.proxy,
        client_certificate=certificate,
        timeouts=None if how.request_timeout is None else Timeouts(total=how.request_timeout),
    ) as client:
        yield client


@asynccontextmanager
async def open_account(session: Session, directory_url: str, *, alone: bool = False) -> AsyncIterator[Client]:
    """Open a client with the account that is saved for a CA, after settling an interrupted key rollover.

    Args:
        session: Knows how to connect to the CA.
        directory_url: The CA.
        alone: Let no other run use the account meanwhile, because it is about to be changed.

    Raises:
        CommandError: There is no account, or another run uses it.
    """
    async with (
        session.account_lock(directory_url, shared=not alone) as lock,
        use_account(session, directory_url, lock, alone=alone) as client,
    ):
        yield client


@asynccontextmanager
async def use_account(
    session: Session, directory_url: str, lock: Lock, *, alone: bool = False
) -> AsyncIterator[Client]:
    """Open a client with the account while its lock is held; see `open_account`."""
    folder = session.accounts.at(directory_url)
    credentials = folder.load()
    if folder.has_next() or (credentials is not None and credentials.account_url is None):
        # An interrupted rollover or registration is settled by one run; another one may have been faster.
        await lock.take()
        credentials = folder.load()
    if credentials is None:
        raise CommandError(
            f"There is no account at {server_name(directory_url)} in {session.folder}. Create one: certwright acme"
            f" register --server {server_name(directory_url)} --agree-tos",
            ExitCode.ACTION_NEEDED,
        )
    session.warn_of_readers(folder.account_file)
    async with open_client(session, directory_url, credentials) as client:
        await settle_key_change(session, folder, client)
        if client.account_url is None:
            # The registration was interrupted: the CA may have the account or not.
            await client.find_account()
            folder.save(AccountCredentials.of(client))
        if not alone:
            await lock.take(shared=True)
        yield client


class UnknownKeys(CommandError):
    """The CA accepts neither of the keys of an interrupted rollover."""


async def settle_key_change(session: Session, folder: AccountFolder, client: Client, *, refused: bool = False) -> None:
    """Find out how an interrupted key rollover ended, if there was one, and use the key that the account has.

    Args:
        session: The command.
        folder: The account's.
        client: The account, with its old key.
        refused: Whether the CA has just refused the rollover, so that nothing was interrupted.

    Raises:
        UnknownKeys: The account has neither key.
    """
    following = folder.load_next()
    if following is None:
        return
    news = "The CA refused the new key" if refused else "A key rollover was interrupted"
    session.output.say(f"{news}; asking the CA which key the account has")
    match await probe_keys(client, old=client.key, new=following.key):
        case HeldKey.NEW:
            folder.adopt_next()
            client.key = following.key
            session.output.say("The account has the new key")
        case HeldKey.OLD:
            folder.drop_next()
            session.output.say("The account still has the old key")
        case HeldKey.NEITHER:
            raise UnknownKeys(
                f"The CA accepts neither of the account keys in {folder.path}; both are kept. If the account no longer"
                " exists, register it again, with the same key: certwright acme register --agree-tos",
                ExitCode.ACTION_NEEDED,
            )
