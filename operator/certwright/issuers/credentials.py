"""Credentials that an issuer names: each is an entry of a Secret in the namespace of the issuer's Secrets."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any

from certwright.dns.credential import Credential
from certwright.failures import IssuanceError
from certwright.kube.secrets import EntryTooLarge, entry_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.issuers.registry import SolverSource
    from certwright.kube.api import KubeApi
    from certwright.resources import SecretKeyRef
    from certwright.runtime.key import Key


@dataclass(frozen=True)
class SecretReader:
    """Reads the Secrets of one issuer, and remembers which, so that a change of one can be noticed.

    Attributes:
        kube_api: The API server.
        issuer: Who names them, for messages.
        namespace: Where they are.
        versions: The resourceVersion of each Secret that was read, by its name.
    """

    kube_api: KubeApi
    issuer: Key
    namespace: str
    versions: dict[str, str] = dataclass_field(default_factory=dict)
    _found: dict[str, Mapping[str, Any]] = dataclass_field(default_factory=dict, repr=False)

    async def entry(self, name: str, key: str, *, where: str, what: str) -> bytes:
        """Read one entry of a Secret.

        Args:
            name: Of the Secret.
            key: Of the entry.
            where: The field that names the Secret, as users write it.
            what: What it is, such as `TSIG secret`.

        Raises:
            IssuanceError: The Secret does not exist, or lacks the entry, or it is too large.
            KubeError: The Secret cannot be read.
        """
        place = f"Secret {self.namespace}/{name}"
        found = self._found.get(name) or await self.kube_api.read_secret(self.namespace, name)
        if found is None:
            raise IssuanceError(
                "CredentialsMissing",
                f"{place}, which {self.issuer} names in {where}, does not exist. Create it with the {what} in the "
                f"entry {key}.",
            )
        # Once for all entries: they are of one version then, and a certificate fits its key.
        self._found[name] = found
        self.versions[name] = str((found.get("metadata") or {}).get("resourceVersion") or "")
        try:
            content = entry_of(found, key)
        except EntryTooLarge as error:
            raise IssuanceError(
                "CredentialsMissing", f"{place} cannot be used: {error}. Put the {what} in the entry {key}."
            ) from None
        if not content:
            raise IssuanceError("CredentialsMissing", f"{place} has no entry {key}. Put the {what} there.")
        return content


async def read_credential(
    kube_api: KubeApi,
    issuer: SolverSource,
    reference: SecretKeyRef,
    *,
    field: str,
    what: str,
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
    reader = SecretReader(kube_api, issuer.key, issuer.secrets_namespace)
    content = await reader.entry(reference.name, reference.key, where=field, what=what)
    place = f"Secret {issuer.secrets_namespace}/{reference.name}"
    return Credential(content.decode("ascii", "replace"), source=f"the entry {reference.key} of {place}")
