"""An issuer's account at its CA: the private key in a Secret, the registration, and the certificate profile."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import (
    AccountDoesNotExist,
    AccountKey,
    AccountStatus,
    AcmeError,
    Client,
    ProblemError,
    Unauthorized,
    account_label,
)
from certwright.failures import IssuanceError
from certwright.http.url import same_origin
from certwright.kube.errors import Conflict
from certwright.kube.secrets import EntryTooLarge, encoded, entry_of
from certwright.resources import ACCOUNT_KEY_COMPONENT, COMPONENT_LABEL, AcmeIssuerStatus
from certwright.runtime.labour import in_thread
from certwright.text import listed

if TYPE_CHECKING:
    from certwright.acme import AcmeServer, Directory
    from certwright.kube.api import KubeApi
    from certwright.resources import AcmeIssuerSpec

MAX_LISTED_PROFILES: Final = 20


@dataclass(frozen=True)
class LoadedAccount:
    """A registered account.

    Attributes:
        client: Sends the account's requests.
        status: The account as the issuer's status records it.
    """

    client: Client
    status: AcmeIssuerStatus


async def obtain_account_key(kube_api: KubeApi, spec: AcmeIssuerSpec, namespace: str) -> AccountKey:
    """Return the account key that an issuer's ``privateKeySecretRef`` names; generate and store it if it is missing.

    Args:
        kube_api: The API server.
        spec: The issuer's spec.
        namespace: The namespace of the issuer's Secrets.

    Raises:
        IssuanceError: The Secret is missing and must not be created, or it holds something else.
        KubeError: The API server did not answer or refused.
    """
    reference = spec.private_key_secret_ref
    found = await kube_api.read_secret(namespace, reference.name)
    if found is None:
        if spec.disable_account_key_generation:
            raise IssuanceError(
                "AccountKeyMissing",
                f"Secret {namespace}/{reference.name} does not exist, and disableAccountKeyGeneration forbids creating "
                f"it. Create it with the account's private key in the entry {reference.key}.",
            )
        key = await asyncio.to_thread(AccountKey.generate, spec.account_key_algorithm)
        try:
            # The key is stored before the CA sees it: a crash in between loses no account.
            await kube_api.create_secret(account_key_secret(namespace, reference.name, reference.key, key.to_pem()))
        except Conflict:
            # Another writer was faster; its key is the account's key now.
            found = await kube_api.read_secret(namespace, reference.name)
        else:
            return key
    try:
        pem = entry_of(found, reference.key)
    except EntryTooLarge as error:
        raise _unusable(namespace, spec, error) from None
    if not pem:
        raise IssuanceError(
            "AccountKeyMissing",
            f"Secret {namespace}/{reference.name} exists, but has no entry {reference.key}. It was left untouched. Put "
            "the account's private key there, or name another Secret in privateKeySecretRef.",
        )
    try:
        return await in_thread(AccountKey.from_pem, pem)
    except AcmeError as error:
        raise _unusable(namespace, spec, error) from error


def _unusable(namespace: str, spec: AcmeIssuerSpec, error: Exception) -> IssuanceError:
    reference = spec.private_key_secret_ref
    return IssuanceError(
        "AccountKeyUnusable",
        f"The entry {reference.key} of Secret {namespace}/{reference.name} cannot be used: {error}. It was left "
        "untouched. Put the account's private key there, or delete the Secret to register a new account.",
    )


def account_key_secret(namespace: str, name: str, entry: str, key_pem: bytes) -> dict[str, Any]:
    """Return the Secret that stores an issuer's account key. It has no owner: a deleted Issuer may be recreated."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"namespace": namespace, "name": name, "labels": {COMPONENT_LABEL: ACCOUNT_KEY_COMPONENT}},
        "data": {entry: encoded(key_pem)},
    }


async def load_account(
    server: AcmeServer, key: AccountKey, spec: AcmeIssuerSpec, was: AcmeIssuerStatus | None, *, believed: bool = True
) -> LoadedAccount:
    """Return the account of a key, with the contact address of the spec.

    The account in the status is used if it still belongs to this key and CA, and its URL is at the CA. Otherwise the
    account is registered, or found by its key.

    Args:
        server: The CA.
        key: The account key.
        spec: The issuer's spec.
        was: The account in the issuer's status; None to ask the CA in any case.
        believed: Whether that account was usable when last seen; else it is read.

    Raises:
        IssuanceError: The account was closed, or the CA does not offer the profile.
        AcmeError: The CA did not answer or refused.
    """
    directory = await directory_with_profile(server, spec.profile)
    contact = (f"mailto:{spec.email}",) if spec.email else ()
    known = None if was is None else _known_url(was, spec, key, directory)
    if known is not None and not believed:
        known = await _confirmed_url(server, key, known, spec.private_key_secret_ref.name)
    if was is not None and known is not None:
        client = Client(server, key, account_url=known)
        if was.last_registered_email != spec.email:
            await client.update_account(contact=contact)
    else:
        client = Client(server, key)
        await _register(client, contact, spec.private_key_secret_ref.name)
    status = AcmeIssuerStatus(
        uri=client.account_url,
        server=spec.server,
        terms_of_service=directory.meta.terms_of_service,
        last_registered_email=spec.email,
        key_thumbprint=key.thumbprint,
        dns_account_label=_label(client.account_url or "", spec),
    )
    return LoadedAccount(client, status)


def _label(account_url: str, spec: AcmeIssuerSpec) -> str | None:
    """Return the label of an account if people need it, to publish a CNAME."""
    return account_label(account_url) if any(solver.dns_account01 for solver in spec.solvers) else None


def _known_url(was: AcmeIssuerStatus, spec: AcmeIssuerSpec, key: AccountKey, directory: Directory) -> str | None:
    """Return the account's URL in a status, if the status is about this key and CA, and the URL at this CA."""
    if was.uri is None or (was.server, was.key_thumbprint) != (spec.server, key.thumbprint):
        return None
    return was.uri if any(same_origin(was.uri, one) for one in (spec.server, directory.new_account)) else None


async def why_unusable(client: Client) -> str | None:
    """Read an account, and return why it can order nothing; None if it can.

    Args:
        client: The account.

    Raises:
        AcmeError: It cannot be told now, or the CA does not know the account (`AccountDoesNotExist`).
    """
    try:
        account = await client.fetch_account()
    except Unauthorized as error:
        # RFC 8555 section 7.3.6: nothing is answered to an account that was deactivated.
        return str(error)
    return None if account.status == AccountStatus.VALID else f"The account {account.url} is {account.status.value}"


async def _confirmed_url(server: AcmeServer, key: AccountKey, known: str, secret_name: str) -> str | None:
    """Return the URL of a key's account after the one in the status was refused; None if the CA knows none.

    The URL in a status may be another account's, written there by somebody else: then the key tells which is right.
    """
    why: str | None = None
    try:
        why = await why_unusable(Client(server, key, account_url=known))
        if why is None:
            return known
    except AccountDoesNotExist:
        pass
    except ProblemError as error:
        if not is_about_the_signature(error):
            raise
    try:
        found = await Client(server, key).find_account()
    except AccountDoesNotExist:
        return None
    except Unauthorized as error:
        raise _closed(why or str(error), secret_name) from error
    if found.status != AccountStatus.VALID or (why is not None and found.url == known):
        raise _closed(why or f"The account {found.url} is {found.status.value}", secret_name)
    return found.url


def is_about_the_signature(error: BaseException) -> bool:
    """Whether a CA may say this because the account of a request is not the one of its key: some say malformed."""
    return isinstance(error, ProblemError) and error.problem.kind == "malformed"


def _closed(why: str, secret_name: str) -> IssuanceError:
    return IssuanceError(
        "AccountNotValid",
        f"{why}, which cannot be undone. For a new account delete the Secret {secret_name}, or name another one in "
        "privateKeySecretRef.",
    )


async def _register(client: Client, contact: tuple[str, ...], secret_name: str) -> None:
    try:
        account = await client.register(contact=contact, terms_of_service_agreed=True)
    except Unauthorized as error:
        raise _closed(str(error), secret_name) from error
    if not account.created and account.status == AccountStatus.VALID and account.contact != contact:
        # The account existed, with another address. (Some CAs omit the contact of one that was just created.)
        account = await client.update_account(contact=contact)
    if account.status != AccountStatus.VALID:
        raise _closed(f"The account {account.url} is {account.status.value}", secret_name)


async def directory_with_profile(server: AcmeServer, profile: str | None) -> Directory:
    """Return the CA's directory, fetched again if it does not list the profile.

    The CA would reject an order with a profile that its directory does not list, and rejected orders count.

    Args:
        server: The CA.
        profile: The issuer's profile, or None.

    Raises:
        IssuanceError: The CA has no such profile.
        AcmeError: The directory cannot be fetched.
    """
    directory = await server.directory()
    if profile is None or profile in directory.meta.profiles:
        return directory
    directory = await server.directory(refresh=True)
    if profile not in directory.meta.profiles:
        offered = listed(sorted(directory.meta.profiles), most=MAX_LISTED_PROFILES, none="none at all")
        raise IssuanceError(
            "InvalidProfile",
            f"The CA {directory.url} has no profile {profile}; it offers {offered}. Correct spec.acme.profile.",
        )
    return directory
