"""Private keys that others have, each known by a digest of its public key: none is used again in its namespace.

A key is reported with a revocation for `keyCompromise`, and the report is in the status of the Certificate in the same
write that begins the revocation. A Certificate whose Secret holds such a key writes it into its own status as well, so
the record outlives the one that was reported first.

What statuses have said is remembered while the process lives, whatever becomes of them: deleted with their objects,
set back with a backup, or changed by a tenant. It counts in its own namespace only, so whoever may write a status can
have keys of that namespace replaced, within the order budget, and of no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from certwright.certificates.observation import changed
from certwright.certificates.revocations import has_compromised_key
from certwright.certificates.store import certificate_key
from certwright.pki.keys import public_key_digest
from certwright.resources import MAX_COMPROMISED_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.certificates.observation import Observation
    from certwright.certificates.secret.facts import SecretFacts
    from certwright.certificates.store import Certificates
    from certwright.kube.store import Store
    from certwright.resources import Certificate
    from certwright.runtime.key import Key

MAX_OF_NAMESPACE: Final = 256
"""Keys that are remembered of one namespace, the latest ones."""
MAX_REMEMBERED: Final = 16384
"""Keys that are remembered of all namespaces, some 2 MB; the namespace with the most loses its oldest first."""


class CompromisedKeys:
    """What is known of all namespaces.

    Args:
        certificates: Their statuses are the record.
        secrets: Which keys are in use.
        wake: Has a Certificate looked at whose key was reported for another one.
    """

    def __init__(
        self, certificates: Certificates, secrets: Store[SecretFacts], wake: Callable[[Key], object] = lambda _key: None
    ) -> None:
        self._certificates = certificates
        self._secrets = secrets
        self._wake = wake
        self._known: dict[str, dict[str, None]] = {}
        self._count = 0
        for certificate in certificates:
            self._see(None, certificate)
        certificates.store.listen(self._see)

    def of(self, namespace: str) -> frozenset[str]:
        """Return the digests of the keys that others have, of a namespace."""
        return frozenset(self._known.get(namespace, ()))

    def _see(self, _before: Certificate | None, after: Certificate | None) -> None:
        """Take note of what a status says."""
        if after is None or not after.status.compromised_keys:
            return
        namespace = after.metadata.namespace or ""
        known = self._known.setdefault(namespace, {})
        new = frozenset(after.status.compromised_keys) - known.keys()
        if not new:
            return
        for digest in after.status.compromised_keys:
            self._count += digest not in known
            known[digest] = None
        while len(known) > MAX_OF_NAMESPACE:
            self._drop_oldest(namespace)
        while self._count > MAX_REMEMBERED:
            self._drop_oldest(max(self._known, key=lambda one: len(self._known[one])))
        self._wake_others(after, new)

    def _drop_oldest(self, namespace: str) -> None:
        known = self._known[namespace]
        del known[next(iter(known))]
        self._count -= 1

    def _wake_others(self, reported: Certificate, digests: frozenset[str]) -> None:
        namespace = reported.metadata.namespace
        for one in self._certificates:
            if one.metadata.namespace != namespace or one.metadata.uid == reported.metadata.uid:
                continue
            secret = self._secrets.get(namespace, one.spec.secret_name)
            if secret is not None and secret.key_digest in digests:
                self._wake(certificate_key(one))


def with_compromised(observation: Observation, digest: str) -> Observation:
    """Return the observation with a key that others have, in the draft of the status as well."""
    known = observation.status.compromised_keys
    kept = known if digest in known else (*known, digest)[-MAX_COMPROMISED_KEYS:]
    return changed(observation.with_status(compromised_keys=kept), compromised=observation.compromised | {digest})


def after_reports(observation: Observation) -> Observation:
    """Return the observation with what follows from the reports of its namespace.

    The key in the Secret is on the Certificate's own record, and an order whose key others have is given up: a
    certificate for it must not come to the Secret. One that has not got its key yet gets another.
    """
    if has_compromised_key(observation) and observation.secret is not None:
        digest = observation.secret.key_digest
        if digest is not None:
            observation = with_compromised(observation, digest)
    order = observation.memory.open_order
    if order is None or order.key is None or public_key_digest(order.key.public_key()) not in observation.compromised:
        return observation
    if order.finalized or order.order.status in ("processing", "valid"):
        return observation.with_order(url=None).remember(open_order=None)  # as `abandon_order`
    return observation.with_open_order(key=None)
