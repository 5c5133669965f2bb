"""Additional entries of a Secret, derived from tls.crt, tls.key and ca.crt: keystores and other formats.

Keystores have random salts, so creating one again changes its bytes, and servers would reload it. An annotation
therefore records what a keystore was made from, and it is created again only if that changes, or if something else
changed it. Annotations are visible in more places than data, so the digests are keyed with the Secret's own private
key: without it, no one can test passwords.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from certwright.kube.secrets import EntryTooLarge, decoded, encoded
from certwright.pki import PkiError, load_private_key, parse_chain
from certwright.pki.keys import key_encoding, private_key_to_der

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from cryptography import x509

    from certwright.resources import Certificate, CertificateSpec

KEY_DER: Final = "key.der"
COMBINED_PEM: Final = "tls-combined.pem"
ENTRIES_OF: Final = {
    "pkcs12": ("keystore.p12", "truststore.p12"),
    "jks": ("keystore.jks", "truststore.jks"),
    "formats": (KEY_DER, COMBINED_PEM),
}
"""The derived entries, by what in the spec asks for them."""
OUTPUT_NAMES: Final = {"pkcs12": "the PKCS #12 keystore", "jks": "the JKS keystore", "formats": "further formats"}
DERIVED: Final = frozenset(entry for entries in ENTRIES_OF.values() for entry in entries)
SOURCES: Final = ("tls.crt", "tls.key", "ca.crt")
MAX_SECRET_BYTES: Final = 1024 * 1024
"""Of the content of all entries together (the API server's limit)."""
DIGEST_BYTES: Final = 16

_ENCRYPTIONS: Final = {"LegacyRC2": "rc2", "LegacyDES": "legacy", "Modern2023": "modern"}


@dataclass(frozen=True)
class Passwords:
    """The passwords of the keystores; None for one that is not wanted, or cannot be had."""

    pkcs12: str | None = field(default=None, repr=False)
    jks: str | None = field(default=None, repr=False)

    def of(self, part: str) -> str | None:
        """Return the password of a keystore."""
        return {"pkcs12": self.pkcs12, "jks": self.jks}[part]


@dataclass(frozen=True, slots=True)
class RecordedOutputs:
    """What a Secret says of its derived entries.

    Attributes:
        parts: What each of them was made from, as keyed digests.
        entries: Their names.
        is_intact: Whether the Secret's content is as it was written together with this.
        key: What the digests are keyed with.
    """

    parts: tuple[tuple[str, str], ...]
    entries: tuple[str, ...]
    is_intact: bool
    key: bytes = field(repr=False)

    def part(self, name: str) -> str | None:
        """Return what a part was made from; empty if it was not made of what is there now, None without it."""
        return dict(self.parts).get(name)


@dataclass(frozen=True)
class Outputs:
    """Derived entries to write.

    Attributes:
        entries: Their content.
        record: The annotation that goes with them; None if there are none and nothing was asked for.
    """

    entries: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    record: str | None = None


NO_OUTPUTS: Final = Outputs()


def wanted_parts(spec: CertificateSpec) -> tuple[str, ...]:
    """Return what a spec asks for besides the certificate and its key."""
    keystores = spec.keystores
    parts = {
        "pkcs12": keystores is not None and keystores.wanted_pkcs12 is not None,
        "jks": keystores is not None and keystores.wanted_jks is not None,
        "formats": bool(spec.additional_output_formats),
    }
    return tuple(part for part, is_wanted in parts.items() if is_wanted)


def recorded_outputs(annotation: str | None, data: Mapping[str, str]) -> RecordedOutputs | None:
    """Read what a Secret records; None if it records nothing that we wrote.

    Args:
        annotation: The text, already bounded.
        data: The Secret's.
    """
    try:
        record = json.loads(annotation or "")
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("entries"), list):
        return None
    entries = tuple(sorted(entry for entry in DERIVED if entry in record["entries"]))
    parts = tuple((part, text) for part in ENTRIES_OF if isinstance(text := record.get(part), str))
    try:
        # A digest over base64 as it is there: nothing has to be decoded.
        is_intact = record.get("content") == _content_digest(data, entries)
        key = digest_key(decoded(data, "tls.key"))
    except EntryTooLarge:
        return None
    return RecordedOutputs(parts, entries, is_intact, key)


def is_due(spec: CertificateSpec, passwords: Passwords, recorded: RecordedOutputs | None) -> bool:
    """Whether derived entries are to be written or removed.

    A keystore whose password cannot be had is left as it is.
    """
    wanted = wanted_parts(spec)
    if recorded is None:
        return any(_can_be_made(part, passwords) for part in wanted)
    if any(part not in wanted for part, _ in recorded.parts):
        return True
    able = [part for part in wanted if _can_be_made(part, passwords)]
    if not recorded.is_intact:
        return True
    return any(recorded.part(part) != part_digest(spec, part, passwords, recorded.key) for part in able)


def left_out(spec: CertificateSpec, recorded: RecordedOutputs | None) -> tuple[str, ...]:
    """Return entries that were asked for and that the Secret was too small for."""
    if recorded is None:
        return ()
    asked = [part for part in wanted_parts(spec) if recorded.part(part)]
    return tuple(entry for part in asked for entry in _first_entries(spec, part) if entry not in recorded.entries)


def part_digest(spec: CertificateSpec, part: str, passwords: Passwords, key: bytes) -> str:
    """Return the keyed digest of all that decides about a part besides the certificate."""
    keystores = spec.keystores
    inputs: Any
    match part:
        case "pkcs12" if keystores is not None and keystores.pkcs12 is not None:
            inputs = [keystores.pkcs12.profile, passwords.pkcs12]
        case "jks" if keystores is not None and keystores.jks is not None:
            inputs = [keystores.jks.alias, passwords.jks]
        case _:
            inputs = sorted(one.type for one in spec.additional_output_formats)
    content = json.dumps([part, inputs]).encode()
    return hmac.digest(key, content, "sha256")[:DIGEST_BYTES].hex()


def digest_key(key_pem: bytes) -> bytes:
    """Return the key of the digests of a Secret: it tells nothing of the private key that it is made from."""
    return hmac.digest(key_pem, b"certwright outputs", "sha256")[:DIGEST_BYTES]


def make_outputs(
    certificate: Certificate,
    sources: Mapping[str, bytes],
    passwords: Passwords,
    *,
    now: dt.datetime,
    kept: Mapping[str, bytes],
) -> Outputs:
    """Make all derived entries. Up to 0.2 s of CPU time: call it in a thread.

    Args:
        certificate: What asks for them.
        sources: tls.crt, tls.key and ca.crt as they are written together with them.
        passwords: Of the keystores.
        now: What keystores say of their age.
        kept: Entries of earlier keystores, which stay while a password cannot be had.

    Raises:
        PkiError: The sources cannot be read.
    """
    spec = certificate.spec
    wanted = wanted_parts(spec)
    if not wanted:
        return NO_OUTPUTS
    key = digest_key(sources["tls.key"])
    entries: dict[str, bytes] = {}
    record: dict[str, Any] = {}
    room = MAX_SECRET_BYTES - sum(map(len, sources.values()))
    for part in wanted:
        if _can_be_made(part, passwords):
            made, record[part] = _made(part, spec, sources, passwords, now), part_digest(spec, part, passwords, key)
        else:
            made, record[part] = {entry: kept[entry] for entry in ENTRIES_OF[part] if entry in kept}, ""
        size = sum(map(len, made.values()))
        if size <= room:
            entries |= made
            room -= size
    data = {name: encoded(content) for name, content in {**sources, **entries}.items()}
    record |= {"entries": sorted(entries), "content": _content_digest(data, tuple(sorted(entries)))}
    return Outputs(entries, json.dumps(record, separators=(",", ":")))


def _made(
    part: str, spec: CertificateSpec, sources: Mapping[str, bytes], passwords: Passwords, now: dt.datetime
) -> dict[str, bytes]:
    match part:
        case "pkcs12":
            return _pkcs12(spec, sources, passwords.pkcs12 or "")
        case "jks":
            return _jks(spec, sources, passwords.jks or "", now)
        case _:
            return _formats(spec, sources)


def _pkcs12(spec: CertificateSpec, sources: Mapping[str, bytes], password: str) -> dict[str, bytes]:
    from certwright.pki.pkcs12 import to_pkcs12, to_pkcs12_truststore  # noqa: PLC0415 - few Certificates ask for it

    settings = spec.keystores.pkcs12 if spec.keystores is not None else None
    if settings is None:
        raise AssertionError("no PKCS #12 keystore is asked for")
    encryption: Any = _ENCRYPTIONS[settings.profile]
    chain, key = parse_chain(sources["tls.crt"]), load_private_key(sources["tls.key"], trusted=True)
    trusted = _authorities(sources)
    made = {"keystore.p12": to_pkcs12(key, chain, password=password, encryption=encryption)}
    if trusted:
        made["truststore.p12"] = to_pkcs12_truststore(trusted, password=password, encryption=encryption)
    return made


def _jks(spec: CertificateSpec, sources: Mapping[str, bytes], password: str, now: dt.datetime) -> dict[str, bytes]:
    from certwright.pki.jks import to_jks, to_jks_truststore  # noqa: PLC0415 - few Certificates ask for it

    settings = spec.keystores.jks if spec.keystores is not None else None
    if settings is None:
        raise AssertionError("no JKS keystore is asked for")
    chain, key = parse_chain(sources["tls.crt"]), load_private_key(sources["tls.key"], trusted=True)
    trusted = _authorities(sources)
    content = to_jks(key, chain, password=password, alias=settings.alias, created=now, trusted=trusted)
    made = {"keystore.jks": content}
    if trusted:
        made["truststore.jks"] = to_jks_truststore(trusted, password=password, created=now)
    return made


def _formats(spec: CertificateSpec, sources: Mapping[str, bytes]) -> dict[str, bytes]:
    made = {}
    for one in spec.additional_output_formats:
        if one.type == "DER":
            made[KEY_DER] = _key_der(sources["tls.key"])
        else:
            made[COMBINED_PEM] = sources["tls.key"] + b"\n" + sources["tls.crt"]
    return made


def _key_der(pem: bytes) -> bytes:
    """Return the key in DER, in the encoding that tls.key has."""
    return private_key_to_der(load_private_key(pem, trusted=True), key_encoding(pem) or "PKCS8")


def _authorities(sources: Mapping[str, bytes]) -> tuple[x509.Certificate, ...]:
    """Return the certificates of ca.crt; none without it. What others put there may be no certificate."""
    try:
        found = parse_chain(sources["ca.crt"]) if sources.get("ca.crt") else None
    except PkiError:
        return ()
    return (found.leaf, *found.issuers) if found is not None else ()


def _first_entries(spec: CertificateSpec, part: str) -> tuple[str, ...]:
    if part != "formats":
        return ENTRIES_OF[part][:1]
    return tuple(KEY_DER if one.type == "DER" else COMBINED_PEM for one in spec.additional_output_formats)


def _can_be_made(part: str, passwords: Passwords) -> bool:
    return part == "formats" or passwords.of(part) is not None


def _content_digest(data: Mapping[str, str], entries: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in (*SOURCES, *entries):
        content = (data.get(name) or "").encode()
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()[: 2 * DIGEST_BYTES]
