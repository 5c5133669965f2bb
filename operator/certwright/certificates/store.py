"""The watched Certificates, with the two look-ups that reconciling needs: by Secret and by issuer."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeVar

from certwright.issuers.registry import issuer_key
from certwright.kube.store import Store
from certwright.resources import Certificate
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

T = TypeVar("T")


class Certificates:
    """Certificates by name, by Secret and by issuer."""

    def __init__(self) -> None:
        self._store: Store[Certificate] = Store()
        self._by_secret: defaultdict[tuple[str, str], set[Key]] = defaultdict(set)
        self._by_issuer: defaultdict[Key, set[Key]] = defaultdict(set)

    def put(self, body: Mapping[str, Any]) -> bool:
        """Keep an object as the API server gave it; tell whether it was news.

        Raises:
            InvalidResource: It does not follow this version's schema.
        """
        certificate = Certificate.parse(body)
        before = self.get(certificate_key(certificate))
        if not self._store.put(body["metadata"], certificate):
            return False
        self._unlink(before)
        key = certificate_key(certificate)
        self._by_secret[_secret_of(certificate)].add(key)
        self._by_issuer[issuer_key(certificate)].add(key)
        return True

    def remove(self, metadata: Mapping[str, Any]) -> None:
        """Forget an object that is gone."""
        key = Key("Certificate", metadata["namespace"], metadata["name"])
        before = self.get(key)
        self._store.remove(metadata)
        if self.get(key) is None:
            self._unlink(before)

    def unlisted(self, namespace: str | None, uids: Collection[str], version: int) -> list[dict[str, Any]]:
        """Return what a complete list shows to be gone; see `Store.unlisted`."""
        return self._store.unlisted(namespace, uids, version)

    def get(self, key: Key) -> Certificate | None:
        """Return a Certificate, or None if it is not known."""
        return self._store.get(key.namespace, key.name)

    def of_secret(self, namespace: str, name: str) -> list[Certificate]:
        """Return the Certificates that name a Secret."""
        found = (self.get(key) for key in self.keys_of_secret(namespace, name))
        return [certificate for certificate in found if certificate is not None]

    def keys_of_secret(self, namespace: str, name: str) -> list[Key]:
        """Return the keys of the Certificates that name a Secret."""
        return sorted(self._by_secret.get((namespace, name), ()))

    def of_issuer(self, issuer: Key) -> list[Key]:
        """Return the keys of the Certificates that refer to an issuer."""
        return sorted(self._by_issuer.get(issuer, ()))

    def __iter__(self) -> Iterator[Certificate]:
        return iter(self._store)

    def __len__(self) -> int:
        return len(self._store)

    def _unlink(self, certificate: Certificate | None) -> None:
        if certificate is None:
            return
        key = certificate_key(certificate)
        _discard(self._by_secret, _secret_of(certificate), key)
        _discard(self._by_issuer, issuer_key(certificate), key)


def certificate_key(certificate: Certificate) -> Key:
    """Return the key of a Certificate."""
    return Key("Certificate", certificate.metadata.namespace or "", certificate.metadata.name)


def _secret_of(certificate: Certificate) -> tuple[str, str]:
    return (certificate.metadata.namespace or "", certificate.spec.secret_name)


def _discard(index: defaultdict[T, set[Key]], place: T, key: Key) -> None:
    index[place].discard(key)
    if not index[place]:
        del index[place]
