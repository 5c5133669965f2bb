"""The watched Certificates, with the two look-ups that reconciling needs: by Secret and by issuer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.issuers.registry import issuer_keys
from certwright.kube.store import Store
from certwright.resources import Certificate
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TARGET: Final = "secret"
_ISSUER: Final = "issuer"


class Certificates:
    """Certificates by name, by Secret and by issuer.

    Attributes:
        store: Where they are kept.
    """

    def __init__(self) -> None:
        self.store: Store[Certificate] = Store({_TARGET: _secret_of}, {_ISSUER: issuer_keys})

    def put(self, body: Mapping[str, Any]) -> bool:
        """Keep an object as the API server gave it; tell whether it was news.

        Raises:
            InvalidResource: It does not follow this version's schema.
        """
        return self.store.put(body["metadata"], Certificate.parse(body))

    def remove(self, metadata: Mapping[str, Any]) -> None:
        """Forget an object that is gone."""
        self.store.remove(metadata)

    def get(self, key: Key) -> Certificate | None:
        """Return a Certificate, or None if it is not known."""
        return self.store.get(key.namespace, key.name)

    def of_secret(self, namespace: str, name: str) -> list[Certificate]:
        """Return the Certificates that name a Secret."""
        return self.store.indexed(_TARGET, (namespace, name))

    def keys_of_secret(self, namespace: str, name: str) -> list[Key]:
        """Return the keys of the Certificates that name a Secret."""
        return [certificate_key(certificate) for certificate in self.of_secret(namespace, name)]

    def of_issuer(self, issuer: Key) -> list[Key]:
        """Return the keys of the Certificates that list an issuer."""
        return [certificate_key(certificate) for certificate in self.store.indexed(_ISSUER, issuer)]

    def with_alternatives_to(self, issuer: Key) -> list[Key]:
        """Return the keys of the Certificates that list an issuer and others."""
        listing = self.store.indexed(_ISSUER, issuer)
        return [certificate_key(certificate) for certificate in listing if len(certificate.spec.issuers) > 1]

    def __iter__(self) -> Iterator[Certificate]:
        return iter(self.store)

    def __len__(self) -> int:
        return len(self.store)


def certificate_key(certificate: Certificate) -> Key:
    """Return the key of a Certificate."""
    return Key("Certificate", certificate.metadata.namespace or "", certificate.metadata.name)


def _secret_of(certificate: Certificate) -> tuple[str, str]:
    return (certificate.metadata.namespace or "", certificate.spec.secret_name)
