"""Reads the annotations of an Ingress, Gateway or ListenerSet: the issuer, and fields of the Certificates.

Pure, and safe for any input: invalid annotations are refusals, never exceptions.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager import api as theirs
from certwright.cert_manager.spec import go_duration
from certwright.resources import GROUP
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

OURS: Final = f"{GROUP}/"
THEIRS: Final = (f"{theirs.GROUP}/", f"{theirs.ACME_GROUP}/")
TLS_ACME: Final = "kubernetes.io/tls-acme"
"""On Ingresses since before there were issuers: a certificate by the operator's default issuer."""
TRIGGERS: Final = ("issuer", "cluster-issuer")
ISSUER_SUFFIXES: Final = (*TRIGGERS, "issuer-kind", "issuer-group")

MAX_VALUE: Final = 32 * 1024
"""Characters of one annotation that are read: a hundred names have room in it."""
MAX_SHOWN: Final = 80
"""Characters of a value that a message shows."""
MAX_WHAT: Final = 300
"""Characters of the place that it shows: a Secret's name has 253."""
MAX_ITEMS: Final = 256
"""Of a list; its field in the Certificate takes fewer."""

_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
"""As Go's `strconv.ParseBool` has them, by which tls-acme is read everywhere."""


@dataclass(frozen=True)
class Refusal:
    """Something that is asked for and cannot be done.

    Attributes:
        what: The annotation or the field, as people write it.
        value: What it says, made harmless.
        why: A predicate: what is wrong with it.
    """

    what: str
    value: str
    why: str

    @classmethod
    def of(cls, what: str, value: str, why: str) -> Refusal:
        """Return a refusal of a value as it was written, whatever is in it."""
        return cls(printable(what, MAX_WHAT), printable(value, MAX_SHOWN), why)

    def __str__(self) -> str:
        said = f" {self.value!r}" if self.value else ""
        return f"{self.what}{said} {self.why}"


@dataclass(frozen=True)
class Wishes:
    """What the annotations of an object ask for.

    Attributes:
        issuer: For `issuerRef`; None if nothing is asked for.
        by: The annotation that names the issuer.
        spec: Fields of the Certificates' spec, as in a manifest.
        names: The annotation of each field, by its path.
        alt_names: Added to the names of each Certificate.
        alt_names_by: The annotation that has them.
        ignored_listeners: Names of listeners without a Certificate.
        edit_in_place: Whether the solver's rules are added to the Ingress itself.
        ingress: Another class for the solver's Ingress, as in `spec.http01.ingress`.
        parent_fallback: Whether the solver's route attaches to the Gateway of a ListenerSet.
        names_from_routes: Whether a listener's names are those of the HTTPRoutes attached to it.
        refusals: What cannot be done. With any, nothing is changed.
    """

    issuer: Mapping[str, str] | None = None
    by: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    alt_names: tuple[str, ...] = ()
    alt_names_by: str = ""
    ignored_listeners: frozenset[str] = frozenset()
    edit_in_place: bool = False
    ingress: Mapping[str, str] | None = None
    parent_fallback: bool = False
    names_from_routes: bool = False
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True)
class Defaults:
    """The operator's options.

    Attributes:
        cert_manager: Whether cert-manager's annotations count.
        issuer: For ``kubernetes.io/tls-acme``; None if that one does not count.
        issuer_kind: Its kind.
    """

    cert_manager: bool = False
    issuer: str | None = None
    issuer_kind: str = "ClusterIssuer"


class _Unreadable(ValueError):
    """A value cannot be read; its text is a predicate."""


def _text(value: str) -> str:
    return value.strip()


def _commas(value: str) -> list[str]:
    items = [item for part in value.split(",", MAX_ITEMS) if (item := part.strip())]
    if len(items) > MAX_ITEMS:
        raise _Unreadable(f"has more than {MAX_ITEMS} entries")
    return items


def _csv(value: str) -> list[str]:
    """Read one line of CSV (RFC 4180), in which a quoted entry may have a comma."""
    try:
        rows = list(csv.reader([value], skipinitialspace=True, strict=True))
    except csv.Error:
        raise _Unreadable('is not one line of CSV, such as: Example Inc,"Example, GmbH"') from None
    return [item.strip() for item in rows[0][:MAX_ITEMS]] if rows else []


def _number(value: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", value.strip()):
        raise _Unreadable("is not a number")
    return int(value)


def _duration(value: str) -> str:
    """Write a duration as our models take it; what is none is for them to refuse."""
    return go_duration(value.strip()) or value.strip()


def _template(value: str) -> dict[str, Any]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        raise _Unreadable("is not JSON") from None
    if not isinstance(found, dict) or not found.keys() <= {"annotations", "labels"}:
        raise _Unreadable('is not a JSON object of "annotations" and "labels"')
    for texts in found.values():
        if not isinstance(texts, dict) or not all(isinstance(one, str) for one in texts.values()):
            raise _Unreadable("has a value that is no text")
    return found


def _truth(value: str) -> bool:
    if value.strip() in _TRUE:
        return True
    if value.strip() in _FALSE:
        return False
    raise _Unreadable("is neither true nor false")


@dataclass(frozen=True)
class Field:
    """An annotation for a field of the Certificates.

    Attributes:
        path: The field in the spec.
        read: Reads the value.
        there: Whether cert-manager has an annotation of this suffix with the same meaning.
    """

    path: tuple[str, ...]
    read: Callable[[str], Any]
    there: bool = True


FIELDS: Final[Mapping[str, Field]] = {
    "common-name": Field(("commonName",), _text),
    "ip-sans": Field(("ipAddresses",), _commas),
    "email-sans": Field(("emailAddresses",), _commas),
    "uri-sans": Field(("uris",), _commas),
    "subject-organizations": Field(("subject", "organizations"), _csv),
    "subject-organizationalunits": Field(("subject", "organizationalUnits"), _csv),
    "subject-countries": Field(("subject", "countries"), _csv),
    "subject-provinces": Field(("subject", "provinces"), _csv),
    "subject-localities": Field(("subject", "localities"), _csv),
    "subject-postalcodes": Field(("subject", "postalCodes"), _csv),
    "subject-streetaddresses": Field(("subject", "streetAddresses"), _csv),
    "subject-serialnumber": Field(("subject", "serialNumber"), _text),
    "duration": Field(("duration",), _duration),
    "renew-before": Field(("renewBefore",), _duration),
    "renew-before-percentage": Field(("renewBeforePercentage",), _number),
    "usages": Field(("usages",), _commas),
    "issue-temporary-certificate": Field(("temporaryCertificate",), _truth),
    # There it says how many requests are kept; here how many certificates with their keys, which nobody asked for.
    "revision-history-limit": Field(("revisionHistoryLimit",), _number, there=False),
    "private-key-algorithm": Field(("privateKey", "algorithm"), _text),
    "private-key-encoding": Field(("privateKey", "encoding"), _text),
    "private-key-size": Field(("privateKey", "size"), _number),
    "private-key-rotation-policy": Field(("privateKey", "rotationPolicy"), _text),
    "secret-template": Field(("secretTemplate",), _template),
}
"""The annotations that are fields, by the end of their names."""

OTHERS: Final = (
    *TRIGGERS,
    "issuer-kind",
    "issuer-group",
    "alt-names",
    "ignore-tls-listeners",
    "http01-edit-in-place",
    "http01-ingress-class",
    "http01-ingress-ingressclassname",
    "http01-parentreffallback",
    "names-from-routes",
)
"""The other annotations, by the end of their names."""
ONLY_OURS: Final = frozenset({"names-from-routes", *(suffix for suffix, one in FIELDS.items() if not one.there)})
OF_ACME_GROUP: Final = frozenset(suffix for suffix in OTHERS if suffix.startswith("http01-"))
"""Which cert-manager has under ``acme.cert-manager.io``."""
_KNOWN: Final = frozenset({*FIELDS, *OTHERS})


def their_name(suffix: str) -> str:
    """Return the name of cert-manager's annotation of a suffix."""
    return f"{theirs.ACME_GROUP if suffix in OF_ACME_GROUP else theirs.GROUP}/{suffix}"


def asks(annotations: Mapping[str, Any], defaults: Defaults) -> bool:
    """Whether annotations ask for anything at all."""
    triggers = [OURS + suffix for suffix in TRIGGERS]
    if defaults.cert_manager:
        triggers += [their_name(suffix) for suffix in TRIGGERS]
    return any(name in annotations for name in triggers) or (defaults.issuer is not None and TLS_ACME in annotations)


def is_annotated(defaults: Defaults, body: Mapping[str, Any]) -> bool:
    """Whether the annotations of an object ask for anything at all."""
    annotations = body["metadata"].get("annotations")
    return isinstance(annotations, dict) and asks(annotations, defaults)


def with_issuer_of(annotations: Mapping[str, Any], parent: Mapping[str, Any], defaults: Defaults) -> Mapping[str, Any]:
    """Return the annotations of a ListenerSet with those of its Gateway that name the issuer, if it names none itself.

    Args:
        annotations: Of the ListenerSet.
        parent: Of its Gateway.
        defaults: The operator's options.
    """
    if asks(annotations, defaults):
        return annotations
    names = [name for suffix in ISSUER_SUFFIXES for name in (OURS + suffix, their_name(suffix))]
    return {**annotations, **{name: parent[name] for name in names if name in parent}}


def known_annotations(annotations: Mapping[str, Any]) -> dict[str, str]:
    """Return those annotations that could mean anything, whatever the options are."""
    return {
        name: value
        for name, value in annotations.items()
        if isinstance(value, str)
        and (name == TLS_ACME or (name.startswith((OURS, *THEIRS)) and name.partition("/")[2] in _KNOWN))
    }


def read_annotations(annotations: Mapping[str, Any], defaults: Defaults) -> Wishes:
    """Return what annotations ask for; of both groups, those of ours count where both say something.

    Args:
        annotations: Of an Ingress, Gateway or ListenerSet.
        defaults: The operator's options.
    """
    given, names = _given(annotations, defaults)
    refusals: list[Refusal] = []
    too_long = [suffix for suffix, value in given.items() if len(value) > MAX_VALUE]
    why = f"is longer than {MAX_VALUE} characters"
    refusals += [Refusal.of(names[suffix], given.pop(suffix), why) for suffix in too_long]
    reader = _Reader(given, names, refusals)
    issuer, by = _issuer(reader, annotations, defaults)
    if issuer is None and not refusals:
        return Wishes()
    spec, paths = _spec(reader)
    return Wishes(
        issuer=issuer,
        by=by,
        spec=spec,
        names=paths,
        alt_names=tuple(reader.read("alt-names", _commas, [])),
        alt_names_by=names.get("alt-names", ""),
        ignored_listeners=frozenset(reader.read("ignore-tls-listeners", _commas, [])),
        edit_in_place=reader.truth("http01-edit-in-place"),
        ingress=_ingress(reader),
        parent_fallback=reader.truth("http01-parentreffallback"),
        names_from_routes=reader.truth("names-from-routes"),
        refusals=tuple(refusals),
    )


@dataclass
class _Reader:
    given: Mapping[str, str]
    names: Mapping[str, str]
    refusals: list[Refusal]

    def read(self, suffix: str, read: Callable[[str], Any], default: Any) -> Any:
        if suffix not in self.given:
            return default
        try:
            return read(self.given[suffix])
        except _Unreadable as error:
            self.refuse(suffix, str(error))
            return default

    def truth(self, suffix: str) -> bool:
        return bool(self.read(suffix, _truth, None))

    def refuse(self, suffix: str, why: str) -> None:
        self.refusals.append(Refusal.of(self.names[suffix], self.given[suffix], why))


def _given(annotations: Mapping[str, Any], defaults: Defaults) -> tuple[dict[str, str], dict[str, str]]:
    """Return the value and the whole name of each annotation that counts, by its suffix."""
    given: dict[str, str] = {}
    names: dict[str, str] = {}
    for suffix in _KNOWN:
        candidates = [OURS + suffix]
        if defaults.cert_manager and suffix not in ONLY_OURS:
            candidates.append(their_name(suffix))
        for name in candidates:
            value = annotations.get(name)
            if isinstance(value, str):
                given[suffix], names[suffix] = value, name
                break
    # An issuer of ours, of either kind, is not contradicted by one of theirs.
    ours = [suffix for suffix in TRIGGERS if names.get(suffix, "").startswith(OURS)]
    if ours:
        for suffix in ISSUER_SUFFIXES:
            if not names.get(suffix, OURS).startswith(OURS):
                del given[suffix], names[suffix]
    return given, names


def _issuer(reader: _Reader, annotations: Mapping[str, Any], defaults: Defaults) -> tuple[dict[str, str] | None, str]:
    """Return the issuer and the annotation that names it."""
    given = [suffix for suffix in TRIGGERS if suffix in reader.given]
    if not given:
        return _default_issuer(reader, annotations, defaults)
    if len(given) > 1:
        reader.refuse("issuer", f"contradicts {reader.names['cluster-issuer']}: remove one of them")
        return None, ""
    suffix = given[0]
    name = reader.given[suffix].strip()
    if not name:
        reader.refuse(suffix, "is empty: name the issuer")
        return None, ""
    if suffix == "cluster-issuer":
        for more in ("issuer-kind", "issuer-group"):
            if more in reader.given and reader.given[more].strip() not in {
                "",
                "ClusterIssuer",
                *_groups(reader, suffix),
            }:
                reader.refuse(more, f"does not go with {reader.names[suffix]}: use {OURS}issuer with it")
        return {"kind": "ClusterIssuer", "name": name}, reader.names[suffix]
    kind = reader.given.get("issuer-kind", "").strip() or "Issuer"
    if kind not in {"Issuer", "ClusterIssuer"}:
        reader.refuse("issuer-kind", "is neither Issuer nor ClusterIssuer")
    group = reader.given.get("issuer-group", "").strip()
    if group and group not in _groups(reader, suffix):
        reader.refuse("issuer-group", f"is not {GROUP}: Certwright has no other issuers")
    return {"kind": kind, "name": name}, reader.names[suffix]


def _groups(reader: _Reader, suffix: str) -> tuple[str, ...]:
    return (GROUP,) if reader.names[suffix].startswith(OURS) else (GROUP, theirs.GROUP)


def _default_issuer(
    reader: _Reader, annotations: Mapping[str, Any], defaults: Defaults
) -> tuple[dict[str, str] | None, str]:
    value = annotations.get(TLS_ACME)
    if defaults.issuer is None or not isinstance(value, str):
        return None, ""
    if value.strip() in _TRUE:
        return {"kind": defaults.issuer_kind, "name": defaults.issuer}, TLS_ACME
    if value.strip() not in _FALSE:
        reader.refusals.append(Refusal.of(TLS_ACME, value, "is neither true nor false"))
    return None, ""


def _spec(reader: _Reader) -> tuple[dict[str, Any], dict[tuple[str, ...], str]]:
    spec: dict[str, Any] = {}
    paths: dict[tuple[str, ...], str] = {}
    for suffix, one in FIELDS.items():
        if suffix not in reader.given or not reader.given[suffix].strip():
            continue
        value = reader.read(suffix, one.read, None)
        if value is None:
            continue
        place = spec
        for part in one.path[:-1]:
            place = place.setdefault(part, {})
        place[one.path[-1]] = value
        paths[one.path] = reader.names[suffix]
    return spec, paths


def _ingress(reader: _Reader) -> dict[str, str] | None:
    both = {"http01-ingress-class": "class", "http01-ingress-ingressclassname": "ingressClassName"}
    given = {field: value for suffix, field in both.items() if (value := reader.read(suffix, _text, ""))}
    if len(given) > 1:
        reader.refuse("http01-ingress-class", f"contradicts {reader.names['http01-ingress-ingressclassname']}")
        return None
    return given or None


def refuse_field(wishes: Wishes, path: Iterable[str], why: str) -> Refusal | None:
    """Return a refusal that names the annotation which a field of the spec comes from; None if it comes from none."""
    place = tuple(path)
    for length in range(len(place), 0, -1):
        if (name := wishes.names.get(place[:length])) is not None:
            return Refusal.of(name, _shown(wishes.spec, place[:length]), why)
    return None


def _shown(spec: Mapping[str, Any], path: tuple[str, ...]) -> str:
    found: Any = spec
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return ", ".join(map(str, found[:MAX_ITEMS])) if isinstance(found, list) else str(found)
