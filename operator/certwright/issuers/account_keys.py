"""The account's private key in its Secret: read, or made and kept before the CA hears of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from certwright.acme import AccountKey, AcmeError
from certwright.failures import IssuanceError
from certwright.kube.errors import Conflict
from certwright.kube.secrets import encoded, entry_of
from certwright.resources import ACCOUNT_KEY_COMPONENT, COMPONENT_LABEL

if TYPE_CHECKING:
    from certwright.kube.api import KubeApi
    from certwright.resources import AcmeIssuerSpec


async def obtain_account_key(kube_api: KubeApi, spec: AcmeIssuerSpec, namespace: str) -> AccountKey:
    """Return the account key that an issuer's ``privateKeySecretRef`` names; make it if it is not there.

    Args:
        kube_api: The API server.
        spec: The issuer's spec.
        namespace: Where its Secrets are.

    Raises:
        IssuanceError: The Secret lacks the key and must not be changed, or holds something else.
        KubeError: The API server did not answer or refused.
    """
    reference = spec.private_key_secret_ref
    found = await kube_api.read_secret(namespace, reference.name)
    if found is None:
        if spec.disable_account_key_generation:
            raise IssuanceError(
                "AccountKeyMissing",
                f"Secret {namespace}/{reference.name} does not exist; disableAccountKeyGeneration forbids making it. "
                f"Create it with the account's private key in the entry {reference.key}.",
            )
        key = await asyncio.to_thread(AccountKey.generate, spec.account_key_algorithm)
        try:
            await kube_api.create_secret(account_key_secret(namespace, reference.name, reference.key, key.to_pem()))
        except Conflict:
            # Somebody was faster; theirs is the account's key now.
            found = await kube_api.read_secret(namespace, reference.name)
        else:
            return key
    pem = entry_of(found, reference.key)
    if not pem:
        raise IssuanceError(
            "AccountKeyMissing",
            f"Secret {namespace}/{reference.name} exists, but has no entry {reference.key}. It was left untouched. Put "
            "the account's private key there, or name another Secret in privateKeySecretRef.",
        )
    try:
        return await asyncio.to_thread(AccountKey.from_pem, pem)
    except AcmeError as error:
        raise IssuanceError(
            "AccountKeyUnusable",
            f"The entry {reference.key} of Secret {namespace}/{reference.name} cannot be used: {error}. It was left "
            "untouched. Put the account's private key there, or delete the Secret, and a new account is made.",
        ) from error


def account_key_secret(namespace: str, name: str, entry: str, key_pem: bytes) -> dict[str, Any]:
    """Return the Secret that keeps an issuer's account key. It has no owner: a deleted Issuer may come back."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"namespace": namespace, "name": name, "labels": {COMPONENT_LABEL: ACCOUNT_KEY_COMPONENT}},
        "data": {entry: encoded(key_pem)},
    }
