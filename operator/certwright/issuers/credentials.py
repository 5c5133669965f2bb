"""Credentials that an issuer names: one entry of a Secret each, read where the issuer's Secrets are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.dns.credential import Credential
from certwright.failures import IssuanceError
from certwright.kube.secrets import EntryTooLarge, entry_of

if TYPE_CHECKING:
    from certwright.issuers.registry import SolverSource
    from certwright.kube.api import KubeApi
    from certwright.resources import SecretKeyRef


async def read_credential(
    kube_api: KubeApi, issuer: SolverSource, reference: SecretKeyRef, *, field: str, what: str
) -> Credential:
    """Read a credential.

    Args:
        kube_api: The API server.
        issuer: Who names it.
        reference: Where it is.
        field: The field that names it, as users write it, such as `tsigSecretSecretRef`.
        what: What it is, such as `TSIG secret`.

    Raises:
        IssuanceError: The Secret does not exist, or lacks the entry, or it is too large.
        KubeError: The Secret cannot be read.
    """
    place = f"Secret {issuer.secrets_namespace}/{reference.name}"
    found = await kube_api.read_secret(issuer.secrets_namespace, reference.name)
    if found is None:
        raise IssuanceError(
            "CredentialsMissing",
            f"{place}, which {issuer.key} names in {field}, does not exist. Create it with the {what} in the entry "
            f"{reference.key}.",
        )
    try:
        content = entry_of(found, reference.key)
    except EntryTooLarge as error:
        raise IssuanceError(
            "CredentialsMissing", f"{place} cannot be used: {error}. Put the {what} in the entry {reference.key}."
        ) from None
    if not content:
        raise IssuanceError("CredentialsMissing", f"{place} has no entry {reference.key}. Put the {what} there.")
    return Credential(content.decode("ascii", "replace"), source=f"the entry {reference.key} of {place}")
