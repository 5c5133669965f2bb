"""The manifests of TLS Secrets, as Certwright writes them. Each is whole, for one server-side apply."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from certwright.certificates.order_request import contents_digest, digest, requested_identifiers, subject_names
from certwright.certificates.secret.annotations import (
    CONTENT_DIGEST_ANNOTATION,
    CONTENTS_ANNOTATION,
    ENTRIES,
    ISSUED_ANNOTATIONS,
    MAX_ANNOTATION,
    METADATA_FINGERPRINT_ANNOTATION,
    OUTPUTS_ANNOTATION,
    REVISION_ANNOTATION,
    ROLLED_BACK_ANNOTATION,
    SEAL_ANNOTATION,
    SERVER_ANNOTATION,
    TEMPLATE_ANNOTATION,
    RolledBack,
    content_digest,
    digest_of,
)
from certwright.certificates.secret.beside import owner_of
from certwright.certificates.secret.outputs import (
    NO_OUTPUTS,
    Outputs,
)
from certwright.kube.secrets import decoded, encoded
from certwright.resources import (
    ALT_NAMES_ANNOTATION,
    CERTIFICATE_NAME_ANNOTATION,
    COMMON_NAME_ANNOTATION,
    IP_SANS_ANNOTATION,
    ISSUER_GROUP_ANNOTATION,
    ISSUER_KIND_ANNOTATION,
    ISSUER_NAME_ANNOTATION,
    MANAGED_LABEL,
    MANAGED_VALUE,
    RESERVED_PREFIX,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.pki import CertificateChain
    from certwright.resources import Certificate, IssuerRef, SecretTemplate

TLS_TYPE: Final = "kubernetes.io/tls"
CA_ENTRY: Final = "ca.crt"


def tls_secret(
    certificate: Certificate,
    chain: CertificateChain,
    key_pem: bytes,
    *,
    server: str,
    revision: int = 1,
    issuer: IssuerRef | None = None,
    seal: str | None = None,
    outputs: Outputs = NO_OUTPUTS,
) -> dict[str, Any]:
    """Return the ``kubernetes.io/tls`` Secret for a freshly issued chain and its key.

    Args:
        certificate: The Certificate it belongs to.
        chain: Leaf first; its root, if it came along, goes to ``ca.crt``.
        key_pem: The private key.
        server: Directory URL of the CA.
        revision: Which one of the Certificate's this is, counted from 1.
        issuer: Which one of the Certificate's issuers issued it; None for the first.
        seal: What shows that the operator obtained it, see `seal.IssuanceSeals`.
        outputs: What is made from them, see `issued_sources`.
    """
    issuer = issuer or certificate.spec.issuers[0]
    data = {entry: encoded(content) for entry, content in issued_sources(chain, key_pem).items()}
    annotations = {
        **_issuer_annotations(issuer),
        SERVER_ANNOTATION: server,
        CONTENTS_ANNOTATION: contents_digest(certificate),
        REVISION_ANNOTATION: str(revision),
        **({} if seal is None else {SEAL_ANNOTATION: seal}),
    }
    return _manifest(certificate, data, annotations, outputs)


def temporary_secret(certificate: Certificate, pem: bytes, key_pem: bytes) -> dict[str, Any]:
    """Return the Secret for a certificate that no CA has issued; it names no CA, which tells it from an issued one.

    Args:
        certificate: The Certificate it belongs to.
        pem: The self-signed certificate.
        key_pem: Its private key.
    """
    return _manifest(certificate, {"tls.crt": encoded(pem), "tls.key": encoded(key_pem)}, {}, NO_OUTPUTS)


def issued_sources(chain: CertificateChain, key_pem: bytes) -> dict[str, bytes]:
    """Return the entries of a freshly issued certificate: what all others are made from."""
    root = {CA_ENTRY: chain.root_pem} if chain.root_pem is not None else {}
    return {"tls.crt": chain.pem, "tls.key": key_pem, **root}


def issued_annotations(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return what a Secret that is written says of the issuance of its certificate."""
    annotations = manifest["metadata"]["annotations"]
    return {name: annotations[name] for name in ISSUED_ANNOTATIONS if name in annotations}


def kept_secret(
    certificate: Certificate,
    sources: Mapping[str, bytes],
    issued: Mapping[str, str],
    *,
    revision: int,
    outputs: Outputs = NO_OUTPUTS,
    rolled_back: RolledBack | None = None,
) -> dict[str, Any]:
    """Return the Secret for a revision that was kept.

    Args:
        certificate: The Certificate it belongs to.
        sources: Its tls.crt, tls.key and ca.crt.
        issued: What its Secret said of its issuance.
        revision: Which one it is.
        outputs: What is made from them.
        rolled_back: That somebody asked for it.
    """
    annotations = {**issued, REVISION_ANNOTATION: str(revision)}
    if rolled_back is not None:
        annotations[ROLLED_BACK_ANNOTATION] = rolled_back.annotation
    data = {entry: encoded(content) for entry, content in sources.items()}
    return _manifest(certificate, data, annotations, outputs)


def present_sources(existing: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the same entries of a Secret that is there.

    Raises:
        EntryTooLarge: One of them is longer than any that is written.
    """
    data = existing.get("data") or {}
    return {entry: decoded(data, entry) for entry in sorted(ENTRIES) if data.get(entry)}


def adopted_secret(
    certificate: Certificate,
    existing: Mapping[str, Any],
    *,
    key_pem: bytes | None = None,
    outputs: Outputs = NO_OUTPUTS,
    issuer: IssuerRef | None = None,
) -> dict[str, Any]:
    """Return the Secret that is there, certificate and key unchanged, with our labels, annotations and owner.

    It carries the resourceVersion it was read at: if someone changes it meanwhile, the write is refused.

    Args:
        certificate: The Certificate it belongs to.
        existing: The Secret.
        key_pem: The same key in another encoding, if it is to be written so.
        outputs: What is made from certificate and key.
        issuer: The issuer that it is to name, if that is another one than it names.
    """
    data = {entry: content for entry, content in (existing.get("data") or {}).items() if entry in ENTRIES}
    known = existing["metadata"].get("annotations") or {}
    mine = known.get(CERTIFICATE_NAME_ANNOTATION) is not None
    # What others put in the place of what was issued is from who knows which CA.
    issued = mine and known.get(CONTENT_DIGEST_ANNOTATION) == digest_of(data)
    kept = {
        name: known[name]
        for name in (*ISSUED_ANNOTATIONS, REVISION_ANNOTATION, ROLLED_BACK_ANNOTATION)
        if name in known and (issued if name == SERVER_ANNOTATION else mine)
    }
    if key_pem is not None:
        data["tls.key"] = encoded(key_pem)
    if issuer is not None:
        kept |= _issuer_annotations(issuer)
    if not mine:
        # Taken as it is, until the spec asks for something else.
        kept[CONTENTS_ANNOTATION] = contents_digest(certificate)
    manifest = _manifest(certificate, data, kept, outputs)
    manifest["metadata"]["resourceVersion"] = existing["metadata"]["resourceVersion"]
    return manifest


LONG_TEMPLATE: Final = '{"tooLong":true}'
"""In the place of the record of a template that has more keys than an annotation of ours may name."""


def metadata_fingerprint(certificate: Certificate) -> str:
    """Return a digest of all that the Certificate's spec says about its Secret's metadata."""
    template = certificate.spec.secret_template
    return fingerprint_of(
        certificate.metadata.name,
        certificate.metadata.uid if certificate.spec.secret_owner_reference else None,
        template.to_json() if template else None,
    )


def fingerprint_of(name: str, owner: str | None, template: Mapping[str, Any] | None) -> str:
    """Return that digest.

    Args:
        name: Of the Certificate.
        owner: Its UID if it owns the Secret.
        template: Its `secretTemplate`, as JSON.
    """
    return digest({"name": name, "owner": owner, "template": template})


def template_keys(recorded: str | None) -> dict[str, tuple[str, ...]]:
    """Return the keys of labels and annotations that a Secret records as its template's; none of our own."""
    try:
        record = json.loads(recorded or "{}")
    except (ValueError, RecursionError):
        record = None
    fields = record if isinstance(record, dict) else {}
    return {
        field: tuple(key for key in _texts(fields.get(field)) if not key.startswith(RESERVED_PREFIX))
        for field in ("labels", "annotations")
    }


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _template_record(template: SecretTemplate | None) -> dict[str, str]:
    """Return the annotation that says what is from the template, or that this is too long to say; none without one."""
    if template is None or not (template.labels or template.annotations):
        return {}
    record = {"labels": sorted(template.labels), "annotations": sorted(template.annotations)}
    text = json.dumps(record, separators=(",", ":"))
    return {TEMPLATE_ANNOTATION: text if len(text) <= MAX_ANNOTATION else LONG_TEMPLATE}


def _manifest(
    certificate: Certificate, data: dict[str, str], annotations: dict[str, str], outputs: Outputs
) -> dict[str, Any]:
    template = certificate.spec.secret_template
    data = {**data, **{entry: encoded(content) for entry, content in outputs.entries.items()}}
    if outputs.record is not None:
        annotations = {**annotations, OUTPUTS_ANNOTATION: outputs.record}
    metadata: dict[str, Any] = {
        "namespace": certificate.metadata.namespace,
        "name": certificate.spec.secret_name,
        "labels": {**(template.labels if template else {}), MANAGED_LABEL: MANAGED_VALUE},
        "annotations": {
            **(template.annotations if template else {}),
            **annotations,
            **_template_record(template),
            CERTIFICATE_NAME_ANNOTATION: certificate.metadata.name,
            **_names(certificate),
            METADATA_FINGERPRINT_ANNOTATION: metadata_fingerprint(certificate),
            CONTENT_DIGEST_ANNOTATION: content_digest(decoded(data, "tls.crt"), decoded(data, "tls.key")),
        },
    }
    if certificate.spec.secret_owner_reference:
        metadata["ownerReferences"] = [owner_of(certificate)]
    return {"apiVersion": "v1", "kind": "Secret", "type": TLS_TYPE, "metadata": metadata, "data": data}


def _issuer_annotations(issuer: IssuerRef) -> dict[str, str]:
    return {
        ISSUER_NAME_ANNOTATION: issuer.name,
        ISSUER_KIND_ANNOTATION: issuer.kind,
        ISSUER_GROUP_ANNOTATION: issuer.group,
    }


def _names(certificate: Certificate) -> dict[str, str]:
    """Return the annotations that say for people and other programs what the certificate is for."""
    names, common_name = subject_names(requested_identifiers(certificate)), certificate.spec.effective_common_name
    annotations = {ALT_NAMES_ANNOTATION: ",".join(names.dns_names)}
    if names.ip_addresses:
        annotations[IP_SANS_ANNOTATION] = ",".join(names.ip_addresses)
    if common_name is not None:
        annotations[COMMON_NAME_ANNOTATION] = common_name
    return annotations
