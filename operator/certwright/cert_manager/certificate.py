"""Translates a Certificate of cert-manager into one of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from certwright.cert_manager import api
from certwright.cert_manager.controller_flags import ControllerFlags
from certwright.cert_manager.issuer import issuer_type
from certwright.cert_manager.manifest import Built, Source, finished, moved_metadata, told_unknown
from certwright.cert_manager.overrides import move_overrides
from certwright.cert_manager.spec import go_duration, mapping, without_empty
from certwright.cert_manager.translation import Notes, Translation
from certwright.resources import Certificate, CertificateSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KIND: Final = "Certificate"
_SAME: Final = frozenset(
    {
        "subject",
        "literalSubject",
        "commonName",
        "renewBeforePercentage",
        "dnsNames",
        "ipAddresses",
        "uris",
        "emailAddresses",
        "secretName",
        "secretTemplate",
        "additionalOutputFormats",
    }
)
"""Fields of the same name and meaning."""
_STAYS: Final = "it stays with cert-manager"
_REFUSED: Final = {
    "isCA": ("ACME CAs issue no certificates for CAs", _STAYS),
    "nameConstraints": ("are for the certificates of CAs, which no ACME CA issues", _STAYS),
    "otherNames": ("ACME CAs certify DNS names and IP addresses only", _STAYS),
}
"""Fields that keep a Certificate there if they say anything: why, and what to do."""
_LEFT_OUT: Final = {
    "signatureAlgorithm": (
        "the signature algorithm of the CSR",
        "follows from the key; the CA chooses that of the certificate, as with cert-manager",
    ),
    "revisionHistoryLimit": (
        "how many CertificateRequests are kept",
        "not carried over: it is how many certificates are kept with their keys here; set it if you want that",
    ),
}
"""Fields that are not carried over: what they mean there, and what is done here."""
_TOGETHER: Final = frozenset({"issuerRef", "usages", "encodeUsagesInRequest", "privateKey"})
"""Fields that are read with others."""
_ACME_ELSEWHERE: Final = "it stays with cert-manager, or its issuer becomes an ACME CA in the cluster, such as step-ca"


def translate_certificate(
    manifest: Mapping[str, Any],
    *,
    issuer: Mapping[str, Any] | None = None,
    flags: ControllerFlags | None = None,
) -> Translation:
    """Return a Certificate of cert-manager in our terms.

    Args:
        manifest: The object, of ``cert-manager.io/v1``, as the API server or a file has it.
        issuer: The Issuer or ClusterIssuer that it refers to, if it is known: one without ACME keeps it there.
        flags: Of cert-manager's controller; None for the defaults.
    """
    source = Source.of(manifest, KIND)
    notes = Notes()
    if not source.is_readable(notes):
        return finished(source, None, notes)
    spec = without_empty(mapping(manifest.get("spec")))
    ours: dict[str, Any] = {name: value for name, value in spec.items() if name in _SAME}
    for name, value in spec.items():
        _move(name, value, _Draft(ours, notes))
    _private_key(mapping(spec.get("privateKey")), ours)
    _issuer(mapping(spec.get("issuerRef")), issuer, ours, notes)
    if "secretName" not in spec:
        notes.refuse("spec.secretName", "is not set")
    _usages(spec, ours, notes)
    if (flags or ControllerFlags()).enable_certificate_owner_ref:
        ours["secretOwnerReference"] = True
    annotations = mapping(mapping(manifest.get("metadata")).get("annotations"))
    if (route := move_overrides(annotations, notes)) is not None:
        ours["http01"] = route
    if annotations.get(api.TEMPORARY_CERTIFICATE) == "true":
        ours["temporaryCertificate"] = True
    metadata = moved_metadata(manifest, source)
    return finished(source, Built(Certificate, CertificateSpec, metadata, ours), notes)


class _Draft(NamedTuple):
    """Our spec as far as it is written, and what is said of it."""

    spec: dict[str, Any]
    notes: Notes


def _move(name: str, value: Any, draft: _Draft) -> None:
    if name in _MOVED:
        _MOVED[name](value, draft)
    elif name in _REFUSED and value:
        draft.notes.refuse(f"spec.{name}", *_REFUSED[name])
    elif name in _LEFT_OUT and value != 1:
        draft.notes.change(f"spec.{name}", *_LEFT_OUT[name])
    elif name not in _SAME | _TOGETHER | _REFUSED.keys() | _LEFT_OUT.keys():
        told_unknown(f"spec.{name}", draft.notes)


def _issuer(reference: Mapping[str, Any], found: Mapping[str, Any] | None, ours: dict[str, Any], notes: Notes) -> None:
    group, kind = reference.get("group", api.GROUP), reference.get("kind", "Issuer")
    name = reference.get("name", "")
    if group != api.GROUP or kind not in ("Issuer", "ClusterIssuer"):
        notes.refuse(
            "spec.issuerRef",
            f"{kind} of {group} is no issuer of cert-manager's own: it has no ACME",
            _ACME_ELSEWHERE,
        )
        return
    if found is not None and (held := issuer_type(found)) != "acme":
        what = f"is of type {held}, which is not an ACME issuer" if held else "has no type"
        notes.refuse("spec.issuerRef", f"{kind} {name} {what}", _ACME_ELSEWHERE)
        return
    ours["issuerRef"] = {"name": name, "kind": kind}


def _private_key(given: Mapping[str, Any], ours: dict[str, Any]) -> None:
    """Write out cert-manager's defaults: ours are others, and a key of another kind would be replaced."""
    algorithm = given.get("algorithm", "RSA")
    key = {
        "algorithm": algorithm,
        "encoding": "PKCS8" if algorithm == "Ed25519" else given.get("encoding", "PKCS1"),
        "rotationPolicy": given.get("rotationPolicy", "Always"),
    }
    sizes = {"RSA": 2048, "ECDSA": 256}
    if isinstance(algorithm, str) and algorithm in sizes:
        key["size"] = given.get("size") or sizes[algorithm]
    ours["privateKey"] = key


def _usages(spec: Mapping[str, Any], ours: dict[str, Any], notes: Notes) -> None:
    """Carry what is requested there, too: `encodeUsagesInRequest: false` keeps usages out of the CSR."""
    usages = spec.get("usages")
    if not usages:
        return
    if spec.get("encodeUsagesInRequest") is False:
        notes.change(
            "spec.encodeUsagesInRequest", "usages are kept out of the request", "usages is left out, which is the same"
        )
        return
    ours["usages"] = usages


def _duration(name: str) -> Callable[[Any, _Draft], None]:
    def move(value: Any, draft: _Draft) -> None:
        if (text := go_duration(value)) is None:
            draft.notes.refuse(f"spec.{name}", "is not a duration such as 2160h")
        else:
            draft.spec[name] = text

    return move


def _keystores(value: Any, draft: _Draft) -> None:
    wanted = {}
    for name, keystore in mapping(value).items():
        if name not in {"jks", "pkcs12"}:
            told_unknown(f"spec.keystores.{name}", draft.notes)
        elif mapping(keystore).get("create"):
            wanted[name] = _keystore(name, mapping(keystore), draft.notes)
    if wanted:
        draft.spec["keystores"] = wanted


def _keystore(name: str, keystore: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    moved = dict(keystore)
    if mapping(moved.get("passwordSecretRef")).get("name") == "":
        del moved["passwordSecretRef"]
    if name == "pkcs12":
        moved.setdefault("profile", "LegacyRC2")
        if moved["profile"] == "Modern2026":
            notes.change(
                "spec.keystores.pkcs12.profile", "Modern2026, which checks integrity by PBMAC1", "Modern2023, by HMAC"
            )
            moved["profile"] = "Modern2023"
    return moved


def _renewal(value: Any, draft: _Draft) -> None:
    given = mapping(value)
    moved: dict[str, Any] = {}
    if given.get("policy") == "Disabled":
        moved["policy"] = "Disabled"
    elif given.get("policy", "RenewBefore") != "RenewBefore":
        draft.notes.refuse("spec.renewal.policy", "is neither RenewBefore nor Disabled")
    windows = given.get("windows") or []
    if not isinstance(windows, list):
        draft.notes.refuse("spec.renewal.windows", "is not a list")
        return
    if windows:
        moved["windows"] = [
            _window(mapping(one), f"spec.renewal.windows[{at}]", draft.notes) for at, one in enumerate(windows)
        ]
    for name in given.keys() - {"policy", "windows"}:
        told_unknown(f"spec.renewal.{name}", draft.notes)
    if moved:
        draft.spec["renewal"] = moved


def _window(given: Mapping[str, Any], path: str, notes: Notes) -> dict[str, Any]:
    duration = go_duration(given.get("windowDuration"))
    if duration is None:
        notes.refuse(f"{path}.windowDuration", "is not a duration such as 4h")
    moved = {"schedule": given.get("cron"), "duration": duration, "timeZone": given.get("timezone", "Etc/UTC")}
    if moved["timeZone"] == "UTC":
        moved["timeZone"] = "Etc/UTC"
    return moved


_MOVED: Final[Mapping[str, Callable[[Any, _Draft], None]]] = {
    "duration": _duration("duration"),
    "renewBefore": _duration("renewBefore"),
    "renewal": _renewal,
    "keystores": _keystores,
}
