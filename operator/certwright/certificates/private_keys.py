"""The private key of an order: stored in a Secret before it is used, so that a crash loses no certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certwright.certificates.revocations import has_compromised_key
from certwright.certificates.secret.beside import pending_key_name, pending_key_secret
from certwright.failures import IssuanceError
from certwright.kube.secrets import EntryTooLarge, entry_of
from certwright.pki import (
    PkiError,
    PrivateKeyError,
    key_matches_spec,
    load_private_key,
    private_key_to_pem,
)
from certwright.pki.keys import public_key_digest
from certwright.runtime.labour import in_thread

if TYPE_CHECKING:
    from certwright.certificates.observation import Observation
    from certwright.certificates.tools import Tools
    from certwright.pki import PrivateKey


async def obtain_key(observation: Observation, tools: Tools) -> PrivateKey:
    """Return the key for the present order; afterwards it is in a Secret.

    The open order's, if it has one that goes by the present rotationPolicy. Else, with ``rotationPolicy: Never``, the
    one in the target Secret, if that is usable, with or without its certificate. Else the pending one, which an earlier
    process may have left behind, or a new one.

    Raises:
        KubeError: The Secret cannot be read or written: the key is not used then.
        KeyNotReady: It takes a while to make.
    """
    open_order = observation.memory.open_order
    if open_order is not None and open_order.key is not None and not _is_superseded(observation, open_order.key):
        return open_order.key
    return await _kept_key(observation, tools) or await _new_key(observation, tools)


async def with_key(observation: Observation, tools: Tools) -> tuple[Observation, PrivateKey]:
    """Return the open order's key, see `obtain_key`, and the observation with it."""
    key = await obtain_key(observation, tools)
    if observation.open_order.key is key:
        return observation, key
    return observation.with_open_order(key=key), key


def reuses_key(observation: Observation) -> bool:
    """Whether the key in the target Secret is to be used again."""
    private_key, secret = observation.certificate.spec.private_key, observation.secret
    if has_compromised_key(observation):
        return False
    return private_key.rotation_policy == "Never" and secret is not None and secret.has_key_for(private_key)


def _is_superseded(observation: Observation, key: PrivateKey) -> bool:
    """Whether rotationPolicy was changed after an order got its key, and before the CA did.

    One that the CA may have certified stays: no other fits its certificate.
    """
    order, secret = observation.open_order, observation.secret
    if _is_compromised(observation, key):
        return True
    if order.finalized or order.order.status not in ("pending", "ready") or secret is None:
        return False
    return secret.has_key_like(key) is not reuses_key(observation)


def _is_compromised(observation: Observation, key: PrivateKey) -> bool:
    """Whether others have a key, as was reported for any Certificate of the namespace."""
    known = observation.compromised
    return bool(known) and public_key_digest(key.public_key()) in known


async def _kept_key(observation: Observation, tools: Tools) -> PrivateKey | None:
    certificate, open_order = observation.certificate, observation.memory.open_order
    if reuses_key(observation):
        name = certificate.spec.secret_name
    elif open_order is not None and open_order.resumed:
        name = pending_key_name(certificate)
    else:
        return None
    found = await tools.kube_api.read_secret(observation.namespace, name)
    private_key = certificate.spec.private_key
    try:
        pem = entry_of(found, "tls.key")
        if not pem:
            return None
        key = await in_thread(load_private_key, pem)
    except (PkiError, EntryTooLarge) as error:
        if not reuses_key(observation):
            return None
        if isinstance(error, EntryTooLarge):
            raise PrivateKeyError(f"Secret {name} cannot be used: {error}") from error
        raise
    if _is_compromised(observation, key):
        return None
    if (private_key.is_any and reuses_key(observation)) or key_matches_spec(
        key, private_key.effective_algorithm, private_key.size
    ):
        return key
    if reuses_key(observation):
        raise IssuanceError("PrivateKeyMismatch", f"The private key in Secret {name} changed while it was being used.")
    return None


async def _new_key(observation: Observation, tools: Tools) -> PrivateKey:
    private_key = observation.certificate.spec.private_key
    key = await tools.keys.make(observation, private_key.effective_algorithm, private_key.size)
    await tools.kube_api.apply_secret(pending_key_secret(observation.certificate, private_key_to_pem(key)), force=True)
    return key
