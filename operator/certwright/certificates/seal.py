"""Seals: MACs that prove after a restart that the operator itself wrote a part of a status.

Otherwise, someone who may write a Certificate's status could name an order of another namespace, or a record to be
removed with a ClusterIssuer's credentials. Everything else in a status is only a hint, derived and checked again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes

from certwright.acme import base64url

if TYPE_CHECKING:
    from cryptography import x509

    from certwright.acme import AccountKey
    from certwright.certificates.secret.facts import SecretFacts
    from certwright.resources import OrderStatus

PURPOSE: Final = "certwright.io/v1 seal of status.order"
ISSUED_PURPOSE: Final = "certwright.io/v1 seal of an issued certificate"


def seal_of(order: OrderStatus, uid: str, key: AccountKey) -> str:
    """Return the MAC over what is obeyed of an order after a restart: its URL, and the records that are to be removed.

    Files and the objects that serve them need none: they are found by their labels.

    Args:
        order: As it is to be written, or was read.
        uid: Of the Certificate, so that a seal is of no use in another one.
        key: The account key: what it seals, nobody else can.
    """
    records = sorted([one.record.name, one.record.value] for one in order.authorizations if one.record is not None)
    parts: list[object] = [uid, order.server, order.account_url, order.url, order.spec_hash, records]
    if order.issuer is not None:
        parts.append([order.issuer.kind, order.issuer.name])
    content = json.dumps(parts)
    return base64url.encode(hmac.digest(key.derived_secret(PURPOSE), content.encode(), hashlib.sha256))


def is_sealed(order: OrderStatus, uid: str, key: AccountKey) -> bool:
    """Return whether the operator wrote this order, for this Certificate and with this account key."""
    return order.seal is not None and hmac.compare_digest(order.seal, seal_of(order, uid, key))


class IssuanceSeals:
    """Seals of issued certificates: "this account obtained this certificate". A copy says no more and no less.

    What is exempt from a CA's limits, and what has used them up, is decided by it: anybody can write a certificate that
    looks issued into a Secret.

    Args:
        key: The account key.
    """

    def __init__(self, key: AccountKey) -> None:
        self._key = key
        self._secret: bytes | None = None

    def of(self, leaf: x509.Certificate, server: str) -> str:
        """Return the seal of a certificate.

        Args:
            leaf: The certificate.
            server: Directory URL of the CA.
        """
        if self._secret is None:
            self._secret = self._key.derived_secret(ISSUED_PURPOSE)
        content = json.dumps([server, leaf.fingerprint(hashes.SHA256()).hex()])
        return base64url.encode(hmac.digest(self._secret, content.encode(), hashlib.sha256))

    def holds_for(self, secret: SecretFacts) -> bool:
        """Return whether this account obtained the certificate that a Secret holds."""
        if secret.seal is None or secret.leaf is None or secret.server is None:
            return False
        return hmac.compare_digest(secret.seal.encode(), self.of(secret.leaf, secret.server).encode())


def names_something(order: OrderStatus) -> bool:
    """Return whether anything would be continued or removed because of this order, so that its seal matters."""
    return order.url is not None or any(one.presented and one.record is not None for one in order.authorizations)


def disowned(order: OrderStatus) -> OrderStatus:
    """Return an order without what only its seal could vouch for: it is not continued, and cleaned up by labels."""
    entries = tuple(
        one.replace(record=None, presented=one.presented and one.resource is not None) for one in order.authorizations
    )
    return order.replace(url=None, seal=None, authorizations=entries)
