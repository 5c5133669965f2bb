"""Deactivates the account of a deleted issuer, if its owner chose that (RFC 8555 section 7.3.6)."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from certwright.acme import AccountDoesNotExist, AccountKey, AccountStatus, Client, Unauthorized
from certwright.failures import IssuanceError
from certwright.http.url import same_origin
from certwright.issuers.account_key import obtain_account_key
from certwright.issuers.registry import key_of
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from certwright.acme import AcmeServer
    from certwright.issuers.registry import IssuerRegistry
    from certwright.kube.api import KubeApi
    from certwright.reasons import Reason
    from certwright.resources import AcmeIssuerSpec, ClusterIssuer, Issuer
    from certwright.runtime.key import Key

Keys: TypeAlias = tuple[AccountKey, ...]

DEACTIVATION_PATIENCE: Final = dt.timedelta(minutes=10)
"""An issuer is held for so long at most: its namespace can always be deleted."""
DEACTIVATION_RETRY: Final = dt.timedelta(seconds=20)
DEACTIVATION_TRIES: Final = 30
"""The same in tries, for clocks that cannot be compared."""


class Outcome(NamedTuple):
    """What became of the account, for an Event."""

    reason: Reason
    message: str


async def keys_of(kube_api: KubeApi, spec: AcmeIssuerSpec, namespace: str, known: AccountKey | None) -> Keys:
    """Return the keys that the account may have: its own, and what may have replaced it in a rotation.

    No key is made for that. A namespace that is deleted may have lost its Secrets before its issuers.

    Args:
        kube_api: The API server.
        spec: The issuer's.
        namespace: Of its Secrets.
        known: The key as this process knows it, or None.

    Raises:
        IssuanceError: The key cannot be read.
        KubeError: The key cannot be read now.
    """
    try:
        found = await obtain_account_key(kube_api, spec.replace(only_return_existing=True), namespace)
    except IssuanceError as error:
        if error.reason != "AccountKeyMissing" or known is None:
            raise
        return (known,)
    return (found.key,) if found.upcoming is None else (found.key, found.upcoming)


def other_user(
    me: Issuer | ClusterIssuer,
    keys: Keys,
    issuers: Iterable[Issuer | ClusterIssuer],
    registry: IssuerRegistry,
    namespace_of: Callable[[Key], str],
) -> tuple[Key, bool] | None:
    """Return another issuer that stays and may use the account, and whether that is certain; None if there is none.

    What counts is the key that this process has read for it. A status may be forged, so it makes nothing certain.

    Args:
        me: The issuer that goes.
        keys: Its account's.
        issuers: All that are known.
        registry: What this process knows of them.
        namespace_of: Where the Secrets of an issuer are.
    """
    mine, possible = _place(me), None
    for other in issuers:
        place, theirs = _place(other), other.spec.acme
        if place == mine or other.metadata.deletion_timestamp is not None:
            continue
        if not same_origin(theirs.server, me.spec.acme.server):
            continue
        loaded = registry.loaded(place)
        if loaded is not None:
            if loaded.account_key in keys:
                return place, True
            continue
        claimed = other.status.acme is not None and other.status.acme.key_thumbprint in {one.thumbprint for one in keys}
        secret = (theirs.private_key_secret_ref.name, namespace_of(place))
        shared = secret == (me.spec.acme.private_key_secret_ref.name, namespace_of(mine))
        if claimed or shared or registry.view(place).state == "unknown":
            possible = place
    return None if possible is None else (possible, False)


async def deactivate(server: AcmeServer, keys: Keys) -> Outcome:
    """Deactivate the account of an issuer's key; one that is not there, or closed, is a success.

    Raises:
        AcmeError: The CA did not answer or refused.
    """
    missing: AccountDoesNotExist | None = None
    for key in keys:
        client = Client(server, key)
        try:
            account = await client.find_account()
        except AccountDoesNotExist as error:
            missing = error
            continue
        except Unauthorized as error:
            return _nothing(error)
        if account.status is AccountStatus.VALID:
            # A refusal here says nothing of the account: the next try finds out whether it is still there.
            await client.deactivate_account()
        message = f"The account {account.url} is deactivated. Its key can no longer be used."
        return Outcome("AccountDeactivated", message)
    return _nothing(missing)


def _nothing(error: object) -> Outcome:
    return Outcome("AccountDeactivated", f"There was no account to deactivate: {error}.")


def still_open(message: str, until: dt.datetime) -> str:
    """Say why an issuer that is being deleted is still there, and until when."""
    return (
        f"The issuer is being deleted, and its account could not be deactivated yet: {message} The operator tries "
        f"again, and lets the issuer go at {rfc3339(until)} at the latest. To keep the account open and let the issuer "
        "go now, set spec.acme.deactivateOnDelete to false."
    )


def _place(issuer: Issuer | ClusterIssuer) -> Key:
    return key_of(issuer.KIND, issuer.metadata.name, issuer.metadata.namespace or "")
