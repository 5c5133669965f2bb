"""The Secrets that Certwright writes, as whole manifests for one server-side apply each."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from certwright.certificates.order_request import digest
from certwright.certificates.secret_facts import (
    CONTENT_DIGEST_ANNOTATION,
    METADATA_FINGERPRINT_ANNOTATION,
    REVISION_ANNOTATION,
    SERVER_ANNOTATION,
    TLS_TYPE,
    content_digest,
    decoded,
)
from certwright.resources import (
    ALT_NAMES_ANNOTATION,
    API_VERSION,
    CERTIFICATE_NAME_ANNOTATION,
    ISSUER_GROUP_ANNOTATION,
    ISSUER_KIND_ANNOTATION,
    ISSUER_NAME_ANNOTATION,
    MANAGED_LABEL,
    MANAGED_VALUE,
    group,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.pki import CertificateChain
    from certwright.resources import Certificate

COMPONENT_LABEL: Final = f"{group.GROUP}/component"
PENDING_KEY: Final = "pending-key"
ACCOUNT_KEY: Final = "account-key"


def tls_secret(
    certificate: Certificate, chain: CertificateChain, key_pem: bytes, *, server: str, revision: int = 1
) -> dict[str, Any]:
    """Return the ``kubernetes.io/tls`` Secret for a freshly issued chain and its key.

    Args:
        certificate: The Certificate it belongs to.
        chain: Leaf first; its root, if it came along, goes to ``ca.crt``.
        key_pem: The private key.
        server: Directory URL of the CA.
        revision: Which one of the Certificate's this is, counted from 1.
    """
    data = {"tls.crt": _encoded(chain.pem), "tls.key": _encoded(key_pem)}
    if chain.root_pem is not None:
        data["ca.crt"] = _encoded(chain.root_pem)
    annotations = {
        ISSUER_NAME_ANNOTATION: certificate.spec.issuer_ref.name,
        ISSUER_KIND_ANNOTATION: certificate.spec.issuer_ref.kind,
        ISSUER_GROUP_ANNOTATION: certificate.spec.issuer_ref.group,
        SERVER_ANNOTATION: server,
        REVISION_ANNOTATION: str(revision),
    }
    return _manifest(certificate, data, annotations)


def adopted_secret(certificate: Certificate, existing: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Secret that is there, content unchanged, with our labels, annotations and owner.

    It carries the resourceVersion it was read at: if somebody changes it meanwhile, the write is refused.
    """
    data = {
        entry: content
        for entry, content in (existing.get("data") or {}).items()
        if entry in {"tls.crt", "tls.key", "ca.crt"}
    }
    known = existing["metadata"].get("annotations") or {}
    mine = known.get(CERTIFICATE_NAME_ANNOTATION) is not None
    kept = {
        name: known[name]
        for name in (
            ISSUER_NAME_ANNOTATION,
            ISSUER_KIND_ANNOTATION,
            ISSUER_GROUP_ANNOTATION,
            SERVER_ANNOTATION,
            REVISION_ANNOTATION,
        )
        if mine and name in known
    }
    manifest = _manifest(certificate, data, kept)
    manifest["metadata"]["resourceVersion"] = existing["metadata"]["resourceVersion"]
    return manifest


def metadata_fingerprint(certificate: Certificate) -> str:
    """Return a digest of all that the Certificate's spec says about its Secret's metadata."""
    template = certificate.spec.secret_template
    return digest(
        {
            "name": certificate.metadata.name,
            "owner": certificate.metadata.uid if certificate.spec.secret_owner_reference else None,
            "template": template.to_json() if template else None,
        }
    )


def pending_key_name(certificate: Certificate) -> str:
    """Return the name of the Secret that keeps the new private key until its certificate is there."""
    return f"certwright-pending-{digest(certificate.metadata.uid)}"


def pending_key_secret(certificate: Certificate, key_pem: bytes) -> dict[str, Any]:
    """Return the Secret that keeps the new private key; it goes when the Certificate goes."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "namespace": certificate.metadata.namespace,
            "name": pending_key_name(certificate),
            "labels": {COMPONENT_LABEL: PENDING_KEY},
            "annotations": {CERTIFICATE_NAME_ANNOTATION: certificate.metadata.name},
            "ownerReferences": [_owner(certificate)],
        },
        "data": {"tls.key": _encoded(key_pem)},
    }


def account_key_secret(namespace: str, name: str, entry: str, key_pem: bytes) -> dict[str, Any]:
    """Return the Secret that keeps an issuer's account key. Nobody owns it: a deleted Issuer may come back."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"namespace": namespace, "name": name, "labels": {COMPONENT_LABEL: ACCOUNT_KEY}},
        "data": {entry: _encoded(key_pem)},
    }


def _manifest(certificate: Certificate, data: dict[str, str], annotations: dict[str, str]) -> dict[str, Any]:
    template = certificate.spec.secret_template
    metadata: dict[str, Any] = {
        "namespace": certificate.metadata.namespace,
        "name": certificate.spec.secret_name,
        "labels": {**(template.labels if template else {}), MANAGED_LABEL: MANAGED_VALUE},
        "annotations": {
            **(template.annotations if template else {}),
            **annotations,
            CERTIFICATE_NAME_ANNOTATION: certificate.metadata.name,
            ALT_NAMES_ANNOTATION: ",".join(sorted(certificate.spec.dns_names)),
            METADATA_FINGERPRINT_ANNOTATION: metadata_fingerprint(certificate),
            CONTENT_DIGEST_ANNOTATION: content_digest(decoded(data, "tls.crt"), decoded(data, "tls.key")),
        },
    }
    if certificate.spec.secret_owner_reference:
        metadata["ownerReferences"] = [_owner(certificate)]
    return {"apiVersion": "v1", "kind": "Secret", "type": TLS_TYPE, "metadata": metadata, "data": data}


def _owner(certificate: Certificate) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Certificate",
        "name": certificate.metadata.name,
        "uid": certificate.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
