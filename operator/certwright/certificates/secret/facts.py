"""The relevant facts about a TLS Secret as plain values; its content is not kept in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.acme import InvalidCertificate, certificate_identifier
from certwright.certificates.secret.annotations import (
    CONTENT_DIGEST_ANNOTATION,
    CONTENTS_ANNOTATION,
    ENTRIES,
    MAX_ANNOTATION,
    OUTPUTS_ANNOTATION,
    READ_ANNOTATIONS,
    REVISION_ANNOTATION,
    ROLLED_BACK_ANNOTATION,
    SEAL_ANNOTATION,
    SERVER_ANNOTATION,
    TEMPLATE_ANNOTATION,
    RolledBack,
    content_digest,
    digest_of,
)
from certwright.certificates.secret.beside import OWN_KINDS
from certwright.certificates.secret.origin import ChainOrigin, placeholder
from certwright.certificates.secret.outputs import (
    DERIVED,
    RecordedOutputs,
    recorded_outputs,
)
from certwright.certificates.secret.written_metadata import written_fingerprint
from certwright.key_file import MAX_KEY_BYTES
from certwright.kube.api import FIELD_MANAGER
from certwright.kube.managed_fields import other_managers
from certwright.kube.secrets import EntryTooLarge, decoded
from certwright.pki import (
    CertificateFacts,
    PkiError,
    load_private_key,
    parse_chain,
    public_key_matches,
    public_key_matches_spec,
)
from certwright.pki.keys import certified_key_digest, is_of_kind, key_encoding, public_key_digest
from certwright.resources import (
    CERTIFICATE_NAME_ANNOTATION,
    COMPONENT_LABEL,
    ISSUER_KIND_ANNOTATION,
    ISSUER_NAME_ANNOTATION,
    MANAGED_LABEL,
    MANAGED_VALUE,
)
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from certwright.pki import CertificateChain, PrivateKey
    from certwright.resources import PrivateKey as PrivateKeySpec

MAX_REVISION_DIGITS: Final = 9
MAX_OTHER_ENTRIES: Final = 10
MAX_KEPT_NAMES: Final = 128
"""Of a certificate. A Certificate may ask for 100: what has more is not what it asks for."""
MAX_TYPE: Final = 253
MAX_IDENTIFIER: Final = 256
"""Of a certificate in renewal information: its serial number and a digest of its issuer's key take 60 characters."""


MISSING: Final = "is missing"
"""The end of a problem: an entry that is not there."""
MISMATCH: Final = "its tls.key does not match its tls.crt"
"""The problem of a key that is another certificate's."""


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
        metadata_fingerprint: Of the metadata we wrote, see `manifest.metadata_fingerprint`; None if that has changed.
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
        """Whether a Certificate has issued or adopted what it holds, and nothing else has changed it since.

        What Certwright signed itself for the time being is neither.
        """
        return self.certificate_name is not None and self.is_unchanged and self.placeholder is None

    @property
    def has_key(self) -> bool:
        """Whether there is a private key that can be used, with or without its certificate."""
        return self.leaf is not None or self.lone_key is not None

    @property
    def key_digest(self) -> str | None:
        """The digest of its public key, see `public_key_digest`; None if there is no private key of use."""
        if self.leaf is not None:
            return certified_key_digest(self.leaf)
        return public_key_digest(self.lone_key) if self.lone_key is not None else None

    def has_key_for(self, spec: PrivateKeySpec) -> bool:
        """Whether there is a private key that can be used, and that is of the kind that a spec asks for."""
        if spec.is_any:
            return self.has_key
        kind = spec.effective_algorithm, spec.size
        if self.leaf is not None:
            return public_key_matches_spec(self.leaf, *kind)
        return self.lone_key is not None and is_of_kind(self.lone_key, *kind)

    def has_key_like(self, key: PrivateKey) -> bool:
        """Whether its private key is this one, as far as its public half shows."""
        if self.leaf is not None:
            return public_key_matches(self.leaf, key)
        return self.lone_key is not None and self.lone_key == key.public_key()

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
        is_unchanged = leaf is not None and written == digest_of(data)
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
            metadata_fingerprint=written_fingerprint(metadata, annotations) if managed else None,
            # What was asked for says nothing of a certificate that something else has put in the place of ours.
            contents=annotations.get(CONTENTS_ANNOTATION) if managed and is_unchanged else None,
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
            holds=OWN_KINDS.get((metadata.get("labels") or {}).get(COMPONENT_LABEL) or ""),
            controller=_controller(metadata),
            rolled_back=RolledBack.read(annotations.get(ROLLED_BACK_ANNOTATION)) if is_unchanged and managed else None,
            certificate_id=_identifier(leaf) if leaf is not None else None,
            outputs=recorded_outputs(annotations.get(OUTPUTS_ANNOTATION), data) if managed else None,
            key_encoding=_encoding(data, leaf) if leaf is not None else None,
            seal=annotations.get(SEAL_ANNOTATION),
        )


def _short(annotations: Mapping[str, str]) -> dict[str, str]:
    return {
        name: text
        for name in READ_ANNOTATIONS
        # What we write is of one line; another text would be so in a log as well.
        if len(text := annotations.get(name) or "") in range(1, MAX_ANNOTATION + 1) and text.isprintable()
    }


def _cut(facts: CertificateFacts) -> CertificateFacts:
    return replace(facts, dns_names=facts.dns_names[:MAX_KEPT_NAMES], ip_addresses=facts.ip_addresses[:MAX_KEPT_NAMES])


def _revision(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) <= MAX_REVISION_DIGITS else 0


def _chain(data: Mapping[str, str], digest: str | None) -> tuple[CertificateChain | None, str | None]:
    try:
        chain_pem, key_pem = decoded(data, "tls.crt"), decoded(data, "tls.key", limit=MAX_KEY_BYTES)
    except EntryTooLarge as error:
        return None, str(error)
    for entry, content in (("tls.crt", chain_pem), ("tls.key", key_pem)):
        if not content:
            return None, f"its {entry} {MISSING}"
    try:
        chain = parse_chain(chain_pem)
        if digest != content_digest(chain_pem, key_pem):
            # What is only compared needs no trial.
            key = load_private_key(key_pem, trusted=True)
            if not public_key_matches(chain.leaf, key):
                return None, MISMATCH
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
