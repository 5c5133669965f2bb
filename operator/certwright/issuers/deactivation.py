"""Deactivate the account of an issuer that is deleted, by its owner's choice (RFC 8555 section 7.3.6)."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, NamedTuple

from certwright.acme import AccountDoesNotExist, AccountStatus, Client, Unauthorized
from certwright.issuers.account_key import obtain_account_key

if TYPE_CHECKING:
    from certwright.acme import AcmeServer
    from certwright.issuers.credentials import SecretReader
    from certwright.reasons import Reason
    from certwright.resources import AcmeIssuerSpec

DEACTIVATION_PATIENCE: Final = dt.timedelta(minutes=10)
"""An issuer is held for so long at most: its namespace can always be deleted."""
DEACTIVATION_RETRY: Final = dt.timedelta(seconds=20)
DEACTIVATION_TRIES: Final = 30
"""The same in tries, for clocks that cannot be compared."""


class Outcome(NamedTuple):
    """What became of the account, for an Event."""

    reason: Reason
    message: str


async def deactivate(server: AcmeServer, spec: AcmeIssuerSpec, secrets: SecretReader) -> Outcome:
    """Deactivate the account of an issuer's key; one that is not there, or closed, is a success.

    No key and no account is made for that.

    Raises:
        IssuanceError: The key cannot be read.
        AcmeError: The CA did not answer or refused.
        KubeError: The key cannot be read now.
    """
    found_only = spec.replace(only_return_existing=True)
    keys = await obtain_account_key(secrets.kube_api, found_only, secrets.namespace)
    client = Client(server, keys.key)
    try:
        account = await client.find_account()
    except (AccountDoesNotExist, Unauthorized) as error:
        return Outcome("AccountDeactivated", f"There was no account to deactivate: {error}.")
    if account.status is AccountStatus.VALID:
        # A refusal here says nothing of the account: the next try finds out whether it is still there.
        await client.deactivate_account()
    return Outcome("AccountDeactivated", f"The account {account.url} is deactivated. Its key can no longer be used.")
