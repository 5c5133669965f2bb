"""Additional Secrets of a Certificate for the operator: the key of an open order, revisions, and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.certificates.order_request import digest
from certwright.kube.secrets import encoded
from certwright.resources import (
    ACCOUNT_KEY_COMPONENT,
    API_VERSION,
    CERTIFICATE_NAME_ANNOTATION,
    COMPONENT_LABEL,
    ISSUER_KIND_ANNOTATION,
    ISSUER_NAME_ANNOTATION,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.resources import Certificate
    from certwright.runtime.key import Key

PENDING_KEY: Final = "pending-key"
HELD_CERTIFICATE: Final = "revocation"
PENDING_PREFIX: Final = "certwright-pending-"
"""Secrets of such names are deleted when the order that they were for is done."""
REVISIONS: Final = "revisions"
REVISIONS_PREFIX: Final = "certwright-revisions-"
"""Secrets of such names keep the last revisions of a Certificate."""
OWN_KINDS: Final = {
    ACCOUNT_KEY_COMPONENT: "the account key of an issuer",
    PENDING_KEY: "the key of an open order",
    HELD_CERTIFICATE: "a certificate that is to be revoked",
    REVISIONS: "earlier revisions of a certificate",
}


def pending_key_name(certificate: Certificate) -> str:
    """Return the name of the Secret that keeps the new private key until its certificate is there."""
    return f"{PENDING_PREFIX}{digest(certificate.metadata.uid)}"


def pending_key_secret(certificate: Certificate, key_pem: bytes) -> dict[str, Any]:
    """Return the Secret that keeps the new private key; it goes when the Certificate goes."""
    return beside(certificate, pending_key_name(certificate), PENDING_KEY, {"tls.key": encoded(key_pem)})


def held_name(certificate: Certificate) -> str:
    """Return the name of the Secret that keeps a certificate which is to be revoked."""
    return f"{PENDING_PREFIX}revocation-{digest(certificate.metadata.uid)}"


def held_secret(certificate: Certificate, leaf_der: bytes, key_pem: bytes, issuer: Key) -> dict[str, Any]:
    """Return the Secret that keeps a certificate and its key until it is revoked; it goes when the Certificate goes.

    It names the issuer that issued it, as the Certificate's own Secret does.
    """
    leaf = x509.load_der_x509_certificate(leaf_der).public_bytes(Encoding.PEM)
    return beside(
        certificate,
        held_name(certificate),
        HELD_CERTIFICATE,
        {"tls.crt": encoded(leaf), "tls.key": encoded(key_pem)},
        annotations={ISSUER_NAME_ANNOTATION: issuer.name, ISSUER_KIND_ANNOTATION: issuer.kind},
    )


def beside(
    certificate: Certificate,
    name: str,
    component: str,
    data: Mapping[str, str],
    *,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a Secret for the operator itself, beside the Certificate's own: it goes when the Certificate goes.

    Args:
        certificate: Whose it is.
        name: Its name.
        component: The value of the label that says what it is for.
        data: Its entries, in base64.
        annotations: Besides the one with the Certificate's name.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "namespace": certificate.metadata.namespace,
            "name": name,
            "labels": {COMPONENT_LABEL: component},
            "annotations": {CERTIFICATE_NAME_ANNOTATION: certificate.metadata.name, **(annotations or {})},
            "ownerReferences": [owner_of(certificate)],
        },
        "data": dict(data),
    }


def owner_of(certificate: Certificate) -> dict[str, Any]:
    """Return the owner reference to a Certificate."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Certificate",
        "name": certificate.metadata.name,
        "uid": certificate.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
