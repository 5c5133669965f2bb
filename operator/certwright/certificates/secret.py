"""TLS Secrets: what matters about one, as plain values, and the manifests that Certwright writes.

Nothing of a Secret's content is kept in memory. Every manifest is whole, for one server-side apply.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.acme import InvalidCertificate, certificate_identifier
from certwright.certificates.order_request import contents_digest, digest, requested_identifiers, subject_names
from certwright.certificates.origin import ChainOrigin, placeholder
from certwright.certificates.outputs import (
    DERIVED,
    NO_OUTPUTS,
    OUTPUTS_ANNOTATION,
    Outputs,
    RecordedOutputs,
    recorded_outputs,
)
from certwright.key_file import MAX_KEY_BYTES
from certwright.kube.api import FIELD_MANAGER
from certwright.kube.managed_fields import other_managers
from certwright.kube.secrets import EntryTooLarge, decoded, encoded
from certwright.pki import (
    CertificateFacts,
    PkiError,
    load_private_key,
    parse_chain,
    public_key_matches,
    public_key_matches_spec,
)
from certwright.pki.keys import is_of_kind, key_encoding
from certwright.resources import (
    ACCOUNT_KEY_COMPONENT,
    ALT_NAMES_ANNOTATION,
    API_VERSION,
    CERTIFICATE_NAME_ANNOTATION,
    COMMON_NAME_ANNOTATION,
    COMPONENT_LABEL,
    IP_SANS_ANNOTATION,
    ISSUER_GROUP_ANNOTATION,
    ISSUER_KIND_ANNOTATION,
    ISSUER_NAME_ANNOTATION,
    MANAGED_LABEL,
    MANAGED_VALUE,
    RESERVED_PREFIX,
    group,
)
from certwright.text import printable, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from certwright.pki import CertificateChain
    from certwright.resources import Certificate, IssuerRef, SecretTemplate
    from certwright.resources import PrivateKey as PrivateKeySpec
    from certwright.runtime.key import Key

TLS_TYPE: Final = "kubernetes.io/tls"
METADATA_FINGERPRINT_ANNOTATION: Final = f"{group.GROUP}/metadata-fingerprint"
CONTENT_DIGEST_ANNOTATION: Final = f"{group.GROUP}/content-digest"
"""SHA-256 over chain and key as we wrote them: equal means that key and leaf need not be compared."""
CONTENTS_ANNOTATION: Final = f"{group.GROUP}/contents-requested"
"""A digest of what was requested besides names, see `contents_digest`: what the CA left out is not asked for again."""
SERVER_ANNOTATION: Final = f"{group.GROUP}/acme-server"
SEAL_ANNOTATION: Final = f"{group.GROUP}/issuance-seal"
"""Shows that the operator obtained the certificate, see `seal.IssuanceSeals`."""
REVISION_ANNOTATION: Final = f"{group.GROUP}/revision"
"""Written with the certificate in one write: a crash before the status is written cannot lose count."""
TEMPLATE_ANNOTATION: Final = f"{group.GROUP}/secret-template"
"""Which labels and annotations are from the template: what it has no more can be told from what others put there."""
CA_ENTRY: Final = "ca.crt"
MAX_REVISION_DIGITS: Final = 9
ENTRIES: Final = frozenset({"tls.crt", "tls.key", "ca.crt"})
"""What Certwright writes in every Secret."""
MAX_OTHER_ENTRIES: Final = 10
MAX_ANNOTATION: Final = 2048
"""The longest of our annotations is a URL; anybody may write longer ones, of which nothing is kept."""
MAX_KEPT_NAMES: Final = 128
"""Of a certificate. A Certificate may ask for 100: what has more is not what it asks for."""
MAX_TYPE: Final = 253
MAX_REQUEST_ID: Final = 64
MAX_IDENTIFIER: Final = 256
"""Of a certificate in renewal information: its serial number and a digest of its issuer's key take 60 characters."""
PENDING_KEY: Final = "pending-key"
HELD_CERTIFICATE: Final = "revocation"
PENDING_PREFIX: Final = "certwright-pending-"
"""Secrets of such names are deleted when the order that they were for is done."""
REVISIONS: Final = "revisions"
REVISIONS_PREFIX: Final = "certwright-revisions-"
"""Secrets of such names keep the last revisions of a Certificate."""
ROLLED_BACK_ANNOTATION: Final = f"{group.GROUP}/rolled-back"
"""That the certificate was put back, see `RolledBack`: written together with it."""
ISSUED_ANNOTATIONS: Final = (
    ISSUER_NAME_ANNOTATION,
    ISSUER_KIND_ANNOTATION,
    ISSUER_GROUP_ANNOTATION,
    SERVER_ANNOTATION,
    CONTENTS_ANNOTATION,
    SEAL_ANNOTATION,
)
"""What a Secret says of the issuance of its certificate."""
_OWN_KINDS: Final = {
    ACCOUNT_KEY_COMPONENT: "the account key of an issuer",
    PENDING_KEY: "the key of an open order",
    HELD_CERTIFICATE: "a certificate that is to be revoked",
    REVISIONS: "earlier revisions of a certificate",
}


@dataclass(frozen=True, slots=True)
class RolledBack:
    """That an earlier certificate was put back.

    Attributes:
        at: When.
        request_id: The request that asked for it.
        from_revision: The revision that it replaced.
    """

    at: dt.datetime
    request_id: str
    from_revision: int

    @property
    def annotation(self) -> str:
        """The text of the annotation."""
        record = {"at": rfc3339(self.at), "request": self.request_id, "from": self.from_revision}
        return json.dumps(record, separators=(",", ":"))

    @classmethod
    def read(cls, annotation: str | None) -> RolledBack | None:
        """Read an annotation; None without one, or if somebody else wrote something else."""
        try:
            record = json.loads(annotation or "")
            at = dt.datetime.fromisoformat(record["at"])
            read = cls(at, str(record["request"])[:MAX_REQUEST_ID], int(record["from"]))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None
        return read if at.tzinfo is not None else None


@dataclass(frozen=True)
class SecretFacts:
    """A Secret as far as issuing is concerned.

    Attributes:
        certificate_name: The Certificate that wrote it, or None if Certwright did not.
        server: Directory URL of the CA that its certificate is from, as far as we know.
        empty: Whether it holds no data at all.
        certificate: The leaf's facts, or None with `problem` set.
            Of more than 128 names it has the first ones.
        leaf: The leaf itself, for comparisons of its public key.
        problem: Why chain and key are of no use, for people; None if they are.
        metadata_fingerprint: Of the metadata we wrote, see `secret_manifest.metadata_fingerprint`.
        immutable: Whether its data can never be changed.
        contents: Digest of what was requested besides names when its certificate was issued or adopted; None if that
            is not known.
        revision: Which one of the Certificate's it holds, counted from 1; 0 if Certwright did not write it.
        template: Which labels and annotations are from the Certificate's template, see `template_keys`.
        lone_key: The public half of ``tls.key`` if there is no certificate for it; None if it cannot be used either.
        is_unchanged: Whether its chain and key are as Certwright left them when it issued or adopted them.
        is_ours: Whether they are as Certwright wrote them when it had issued them.
        origin: Which CA its chain is from; None without a certificate.
        placeholder: Why its certificate, if it is not ours, is from no CA, see `origin.placeholder`.
        other_entries: What it holds besides what Certwright writes, as far as people need to know.
        holds: What else Certwright keeps in it, for people; None if it is not one of Certwright's other Secrets.
        seal: What shows that the operator obtained its certificate, see `seal.IssuanceSeals`; to be checked.
        controller: Kind, name and UID of the object that controls it; None if there is none.
        rolled_back: That its certificate was put back; None if it was not.
        certificate_id: The identifier of its certificate in renewal information (RFC 9773 section 4.1), if it has one.
        outputs: What it records of the entries that are made from certificate and key; None if there are none of ours.
        key_encoding: Of ``tls.key``: PKCS1 or PKCS8; None if it has only one, or cannot be used.
        other_managers: The field managers that also write it, see `certwright.kube.managed_fields`.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    type: str
    certificate_name: str | None
    issuer_name: str | None
    issuer_kind: str | None
    server: str | None
    empty: bool
    certificate: CertificateFacts | None
    leaf: x509.Certificate | None
    problem: str | None
    metadata_fingerprint: str | None
    immutable: bool = False
    contents: str | None = None
    revision: int = 0
    template: str | None = None
    lone_key: CertificatePublicKeyTypes | None = field(default=None, repr=False)
    is_unchanged: bool = False
    is_ours: bool = False
    origin: ChainOrigin | None = None
    placeholder: str | None = None
    other_entries: tuple[str, ...] = ()
    other_managers: tuple[str, ...] = ()
    holds: str | None = None
    seal: str | None = field(default=None, repr=False)
    controller: tuple[str, str, str] | None = None
    rolled_back: RolledBack | None = None
    certificate_id: str | None = None
    outputs: RecordedOutputs | None = None
    key_encoding: str | None = None

    @property
    def is_adopted(self) -> bool:
        """Whether a Certificate has issued or adopted what it holds, and nothing else has changed it since."""
        return self.certificate_name is not None and self.is_unchanged

    @property
    def has_key(self) -> bool:
        """Whether there is a private key that can be used, with or without its certificate."""
        return self.leaf is not None or self.lone_key is not None

    def has_key_for(self, spec: PrivateKeySpec) -> bool:
        """Whether there is a private key that can be used, and that is of the kind that a spec asks for."""
        if spec.is_any:
            return self.has_key
        kind = spec.effective_algorithm, spec.size
        if self.leaf is not None:
            return public_key_matches_spec(self.leaf, *kind)
        return self.lone_key is not None and is_of_kind(self.lone_key, *kind)

    @classmethod
    def of(cls, secret: Mapping[str, Any]) -> SecretFacts:
        """Read a ``v1`` Secret, whoever wrote it. The worst there can be takes 0.1 s: call it in a thread."""
        metadata = secret["metadata"]
        annotations = _short(metadata.get("annotations") or {})
        managed = (metadata.get("labels") or {}).get(MANAGED_LABEL) == MANAGED_VALUE
        data = secret.get("data") or {}
        written = annotations.get(CONTENT_DIGEST_ANNOTATION)
        chain, problem = _chain(data, written)
        leaf = chain.leaf if chain is not None else None
        is_unchanged = leaf is not None and written == _digest_of(data)
        is_ours = is_unchanged and SERVER_ANNOTATION in annotations
        lone_key = _public_key(data) if leaf is None else None
        facts = None
        if leaf is not None:
            try:
                facts = _cut(CertificateFacts.of(leaf))
            except PkiError as error:
                leaf, problem = None, str(error)
            else:
                # What was parsed of the first one stays with it, thirty times its size.
                leaf = x509.load_der_x509_certificate(leaf.public_bytes(Encoding.DER))
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata.get("uid", ""),
            resource_version=metadata.get("resourceVersion", ""),
            type=printable(secret.get("type") or "Opaque", MAX_TYPE),
            certificate_name=annotations.get(CERTIFICATE_NAME_ANNOTATION) if managed else None,
            issuer_name=annotations.get(ISSUER_NAME_ANNOTATION),
            issuer_kind=annotations.get(ISSUER_KIND_ANNOTATION),
            server=annotations.get(SERVER_ANNOTATION),
            empty=not any(data.values()),
            certificate=facts,
            leaf=leaf,
            problem=problem,
            metadata_fingerprint=annotations.get(METADATA_FINGERPRINT_ANNOTATION) if managed else None,
            contents=annotations.get(CONTENTS_ANNOTATION) if managed else None,
            immutable=secret.get("immutable") is True,
            revision=_revision(annotations.get(REVISION_ANNOTATION)) if managed else 0,
            template=annotations.get(TEMPLATE_ANNOTATION) if managed else None,
            lone_key=lone_key,
            is_unchanged=is_unchanged,
            is_ours=is_ours,
            origin=ChainOrigin.of(chain) if chain is not None and leaf is not None else None,
            placeholder=placeholder(leaf) if leaf is not None and not is_ours else None,
            other_entries=_other_entries(secret),
            other_managers=other_managers(metadata, field="data"),
            holds=_OWN_KINDS.get((metadata.get("labels") or {}).get(COMPONENT_LABEL) or ""),
            controller=_controller(metadata),
            rolled_back=RolledBack.read(annotations.get(ROLLED_BACK_ANNOTATION)) if is_unchanged and managed else None,
            certificate_id=_identifier(leaf) if leaf is not None else None,
            outputs=recorded_outputs(annotations.get(OUTPUTS_ANNOTATION), data) if managed else None,
            key_encoding=_encoding(data, leaf) if leaf is not None else None,
            seal=annotations.get(SEAL_ANNOTATION),
        )


def content_digest(chain_pem: bytes, key_pem: bytes) -> str:
    """Return the digest that says "chain and key are as Certwright wrote them"."""
    return hashlib.sha256(chain_pem + b"\0" + key_pem).hexdigest()


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
        ISSUER_NAME_ANNOTATION: issuer.name,
        ISSUER_KIND_ANNOTATION: issuer.kind,
        ISSUER_GROUP_ANNOTATION: issuer.group,
        SERVER_ANNOTATION: server,
        CONTENTS_ANNOTATION: contents_digest(certificate),
        REVISION_ANNOTATION: str(revision),
        **({} if seal is None else {SEAL_ANNOTATION: seal}),
    }
    return _manifest(certificate, data, annotations, outputs)


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
) -> dict[str, Any]:
    """Return the Secret that is there, certificate and key unchanged, with our labels, annotations and owner.

    It carries the resourceVersion it was read at: if someone changes it meanwhile, the write is refused.

    Args:
        certificate: The Certificate it belongs to.
        existing: The Secret.
        key_pem: The same key in another encoding, if it is to be written so.
        outputs: What is made from certificate and key.
    """
    data = {entry: content for entry, content in (existing.get("data") or {}).items() if entry in ENTRIES}
    known = existing["metadata"].get("annotations") or {}
    mine = known.get(CERTIFICATE_NAME_ANNOTATION) is not None
    # What others put in the place of what was issued is from who knows which CA.
    issued = mine and known.get(CONTENT_DIGEST_ANNOTATION) == _digest_of(data)
    kept = {
        name: known[name]
        for name in (*ISSUED_ANNOTATIONS, REVISION_ANNOTATION, ROLLED_BACK_ANNOTATION)
        if name in known and (issued if name == SERVER_ANNOTATION else mine)
    }
    if key_pem is not None:
        data["tls.key"] = encoded(key_pem)
    if not mine:
        # Taken as it is, until the spec asks for something else.
        kept[CONTENTS_ANNOTATION] = contents_digest(certificate)
    manifest = _manifest(certificate, data, kept, outputs)
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


def template_keys(recorded: str | None) -> dict[str, tuple[str, ...]]:
    """Return the keys of labels and annotations that a Secret records as its template's; none of our own."""
    try:
        record = json.loads(recorded or "{}")
    except ValueError:
        record = None
    fields = record if isinstance(record, dict) else {}
    return {
        field: tuple(key for key in _texts(fields.get(field)) if not key.startswith(RESERVED_PREFIX))
        for field in ("labels", "annotations")
    }


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _template_record(template: SecretTemplate | None) -> dict[str, str]:
    """Return the annotation that says what is from the template; none without one, or with one that is too long."""
    if template is None or not (template.labels or template.annotations):
        return {}
    record = {"labels": sorted(template.labels), "annotations": sorted(template.annotations)}
    text = json.dumps(record, separators=(",", ":"))
    return {TEMPLATE_ANNOTATION: text} if len(text) <= MAX_ANNOTATION else {}


def pending_key_name(certificate: Certificate) -> str:
    """Return the name of the Secret that keeps the new private key until its certificate is there."""
    return f"{PENDING_PREFIX}{digest(certificate.metadata.uid)}"


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


def pending_key_secret(certificate: Certificate, key_pem: bytes) -> dict[str, Any]:
    """Return the Secret that keeps the new private key; it goes when the Certificate goes."""
    return beside(certificate, pending_key_name(certificate), PENDING_KEY, {"tls.key": encoded(key_pem)})


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


def _short(annotations: Mapping[str, str]) -> dict[str, str]:
    return {
        name: text
        for name in (
            CERTIFICATE_NAME_ANNOTATION,
            ISSUER_NAME_ANNOTATION,
            ISSUER_KIND_ANNOTATION,
            SERVER_ANNOTATION,
            CONTENTS_ANNOTATION,
            METADATA_FINGERPRINT_ANNOTATION,
            CONTENT_DIGEST_ANNOTATION,
            REVISION_ANNOTATION,
            SEAL_ANNOTATION,
            TEMPLATE_ANNOTATION,
            OUTPUTS_ANNOTATION,
            ROLLED_BACK_ANNOTATION,
        )
        # What we write is of one line; another text would be so in a log as well.
        if len(text := annotations.get(name) or "") in range(1, MAX_ANNOTATION + 1) and text.isprintable()
    }


def _cut(facts: CertificateFacts) -> CertificateFacts:
    return replace(facts, dns_names=facts.dns_names[:MAX_KEPT_NAMES], ip_addresses=facts.ip_addresses[:MAX_KEPT_NAMES])


def _digest_of(data: Mapping[str, str]) -> str:
    return content_digest(decoded(data, "tls.crt"), decoded(data, "tls.key"))


def _revision(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) <= MAX_REVISION_DIGITS else 0


def _chain(data: Mapping[str, str], digest: str | None) -> tuple[CertificateChain | None, str | None]:
    try:
        chain_pem, key_pem = decoded(data, "tls.crt"), decoded(data, "tls.key", limit=MAX_KEY_BYTES)
    except EntryTooLarge as error:
        return None, str(error)
    for entry, content in (("tls.crt", chain_pem), ("tls.key", key_pem)):
        if not content:
            return None, f"its {entry} is missing"
    try:
        chain = parse_chain(chain_pem)
        if digest != content_digest(chain_pem, key_pem):
            # What is only compared needs no trial.
            key = load_private_key(key_pem, trusted=True)
            if not public_key_matches(chain.leaf, key):
                return None, "its tls.key does not match its tls.crt"
    except PkiError as error:
        return None, str(error)
    return chain, None


def _identifier(leaf: x509.Certificate) -> str | None:
    try:
        found = certificate_identifier(leaf.public_bytes(Encoding.DER))
    except InvalidCertificate:
        return None
    return found if len(found) <= MAX_IDENTIFIER else None


def _controller(metadata: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Return kind, name and UID of the object that controls a Secret: the API server allows one."""
    for one in metadata.get("ownerReferences") or ():
        if one.get("controller") is True:
            return printable(one["kind"], MAX_TYPE), printable(one["name"], MAX_TYPE), one["uid"]
    return None


def _other_entries(secret: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of entries that hold something and that we do not own (``ca.crt`` may be another's)."""
    data, owned = secret.get("data") or {}, ENTRIES
    if OUTPUTS_ANNOTATION in (secret["metadata"].get("annotations") or {}):
        owned |= DERIVED
    for entry in secret["metadata"].get("managedFields") or ():
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply":
            owned = frozenset({"tls.crt", "tls.key"}) | {
                name.removeprefix("f:") for name in (entry.get("fieldsV1") or {}).get("f:data") or ()
            }
    return tuple(sorted(name for name, content in data.items() if content and name not in owned))[:MAX_OTHER_ENTRIES]


def _public_key(data: Mapping[str, str]) -> CertificatePublicKeyTypes | None:
    try:
        return load_private_key(decoded(data, "tls.key", limit=MAX_KEY_BYTES)).public_key()
    except (PkiError, EntryTooLarge):
        return None


def _encoding(data: Mapping[str, str], leaf: x509.Certificate) -> str | None:
    """Return how the key is encoded, if it could be encoded otherwise."""
    is_fixed = public_key_matches_spec(leaf, "Ed25519")
    return None if is_fixed else key_encoding(decoded(data, "tls.key", limit=MAX_KEY_BYTES))


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


def _names(certificate: Certificate) -> dict[str, str]:
    """Return the annotations that say for people and other programs what the certificate is for."""
    names, common_name = subject_names(requested_identifiers(certificate)), certificate.spec.effective_common_name
    annotations = {ALT_NAMES_ANNOTATION: ",".join(names.dns_names)}
    if names.ip_addresses:
        annotations[IP_SANS_ANNOTATION] = ",".join(names.ip_addresses)
    if common_name is not None:
        annotations[COMMON_NAME_ANNOTATION] = common_name
    return annotations


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
