"""The watched Certificates, with indexes by Secret, by issuer and by managing object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.issuers.registry import issuer_keys
from certwright.kube.store import Store
from certwright.resources import Certificate
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from certwright.resources.object import OwnerReference

_TARGET: Final = "secret"
_ISSUER: Final = "issuer"
_CONTROLLER: Final = "controller"


class Certificates:
    """Certificates by name, by Secret, by issuer and by what manages them.

    Attributes:
        store: Where they are kept.
    """

    def __init__(self) -> None:
        self.store: Store[Certificate] = Store({_TARGET: _secret_of}, {_ISSUER: issuer_keys, _CONTROLLER: _controllers})

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

    def controlled_by(self, key: Key) -> list[Certificate]:
        """Return the Certificates that an object of another kind manages, whichever object of its name."""
        return self.store.indexed(_CONTROLLER, key)

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


def controller_key(certificate: Certificate) -> Key | None:
    """Return the key of the object that manages a Certificate, or None."""
    found: OwnerReference | None = certificate.metadata.controller
    return None if found is None else Key(found.kind, certificate.metadata.namespace or "", found.name)


def _controllers(certificate: Certificate) -> list[Key]:
    key = controller_key(certificate)
    return [] if key is None else [key]


def _secret_of(certificate: Certificate) -> tuple[str, str]:
    return (certificate.metadata.namespace or "", certificate.spec.secret_name)
