"""The account at the CA: the one of the status if it is still the right one, else registered or found by its key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.acme import AccountStatus, Client
from certwright.failures import IssuanceError
from certwright.issuers.profiles import directory_with_profile
from certwright.resources import AcmeIssuerStatus

if TYPE_CHECKING:
    from certwright.acme import AccountKey, AcmeServer
    from certwright.resources import AcmeIssuerSpec


@dataclass(frozen=True)
class LoadedAccount:
    """An account that orders can be made with.

    Attributes:
        client: Speaks for it.
        status: What to keep of it in the issuer's status.
    """

    client: Client
    status: AcmeIssuerStatus


async def load_account(
    server: AcmeServer, key: AccountKey, spec: AcmeIssuerSpec, was: AcmeIssuerStatus | None
) -> LoadedAccount:
    """Return the account of a key, with the contact that the spec names.

    Args:
        server: The CA.
        key: The account key.
        spec: The issuer's spec.
        was: The account as the issuer's status has it; None to ask the CA in any case.

    Raises:
        IssuanceError: The account was closed, or the CA has no such profile.
        AcmeError: The CA did not answer or refused.
    """
    directory = await directory_with_profile(server, spec.profile)
    contact = (f"mailto:{spec.email}",) if spec.email else ()
    if was is not None and was.uri is not None and (was.server, was.key_thumbprint) == (spec.server, key.thumbprint):
        client = Client(server, key, account_url=was.uri)
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
    )
    return LoadedAccount(client, status)


async def _register(client: Client, contact: tuple[str, ...], secret_name: str) -> None:
    account = await client.register(contact=contact, terms_of_service_agreed=True)
    if not account.created and account.status == AccountStatus.VALID and account.contact != contact:
        # It was there already, with another address. (Of one just made, some CAs do not tell the contact.)
        account = await client.update_account(contact=contact)
    if account.status != AccountStatus.VALID:
        raise IssuanceError(
            "AccountNotValid",
            f"The account {account.url} is {account.status.value}, which cannot be undone. For a new account delete "
            f"the Secret {secret_name}, or name another one in privateKeySecretRef.",
        )
