"""The private key of an order: kept in a Secret before it is used, so that a crash loses no certificate."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from certwright.certificates.secret import pending_key_name, pending_key_secret
from certwright.certificates.secret_facts import decoded
from certwright.failures import IssuanceError
from certwright.pki import (
    PkiError,
    generate_private_key,
    key_matches_spec,
    load_private_key,
    private_key_to_pem,
)

if TYPE_CHECKING:
    from certwright.certificates.observation import Case
    from certwright.kube.api import KubeApi
    from certwright.pki import PrivateKey


async def obtain_key(case: Case, kube_api: KubeApi) -> PrivateKey:
    """Return the key for the present order; afterwards it is in a Secret.

    With ``rotationPolicy: Never`` it is the one in the target Secret, if that is usable. Else it is the pending one,
    which an earlier process may have left behind, or a new one.

    Raises:
        KubeError: The Secret cannot be read or written: the key is not used then.
    """
    if case.memory.key is None:
        case.memory.key = await _kept_key(case, kube_api) or await _new_key(case, kube_api)
    return case.memory.key


def reuses_key(case: Case) -> bool:
    """Whether the key in the target Secret is to be used again."""
    private_key = case.certificate.spec.private_key
    return (
        private_key.rotation_policy == "Never"
        and case.secret is not None
        and case.secret.has_key_of(private_key.algorithm, private_key.size)
    )


async def _kept_key(case: Case, kube_api: KubeApi) -> PrivateKey | None:
    metadata = case.certificate.metadata
    namespace = metadata.namespace or ""
    if reuses_key(case):
        name = case.certificate.spec.secret_name
    elif case.memory.resumed:
        name = pending_key_name(case.certificate)
    else:
        return None
    found = await kube_api.read_secret(namespace, name)
    pem = decoded((found or {}).get("data") or {}, "tls.key")
    if not pem:
        return None
    private_key = case.certificate.spec.private_key
    try:
        key = await asyncio.to_thread(load_private_key, pem)
    except PkiError:
        if reuses_key(case):
            raise
        return None
    if key_matches_spec(key, private_key.algorithm, private_key.size):
        return key
    if reuses_key(case):
        raise IssuanceError("PrivateKeyMismatch", f"The private key in Secret {name} changed while it was being used.")
    return None


async def _new_key(case: Case, kube_api: KubeApi) -> PrivateKey:
    private_key = case.certificate.spec.private_key
    key = await asyncio.to_thread(generate_private_key, private_key.algorithm, private_key.size)
    pem = private_key_to_pem(key)
    await kube_api.apply_secret(pending_key_secret(case.certificate, pem), force=True)
    return key
