"""The Secret with earlier revisions of a certificate and their keys, for rollbacks and restores.

A Certificate has one such Secret, so a renewal costs one more request: a merge patch that adds the new revision and
removes the oldest. The Secret is deleted with the Certificate. Anyone who may read it can also read the current key,
because both are in the same namespace. A revision passes the same checks as a new certificate before it is restored.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from certwright.certificates.order_request import digest
from certwright.certificates.secret.annotations import ISSUED_ANNOTATIONS, MAX_ANNOTATION
from certwright.certificates.secret.beside import REVISIONS, REVISIONS_PREFIX, beside
from certwright.key_file import MAX_KEY_BYTES
from certwright.kube.secrets import EntryTooLarge, decoded, encoded
from certwright.resources import RevisionStatus
from certwright.resources.keystores import MAX_REVISIONS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from certwright.certificates.need import Need
    from certwright.certificates.observation import Observation
    from certwright.certificates.secret.facts import SecretFacts
    from certwright.resources import Certificate

LOST: Final = frozenset({"DoesNotExist", "Unusable"})
"""Why a certificate is needed if its Secret is gone or spoiled, and not because something else is asked for."""
MAX_SERIAL: Final = 64
MAX_RECORD_BYTES: Final = 16 * 1024
_ENTRY: Final = re.compile(r"(?P<number>0|[1-9][0-9]{0,8})\.(?:crt|key|json)")


@dataclass(frozen=True)
class Revision:
    """A revision as it is kept.

    Attributes:
        number: Counted from 1; 0 for a certificate that was adopted.
        chain_pem: What its ``tls.crt`` was.
        key_pem: What its ``tls.key`` was.
        ca_pem: What its ``ca.crt`` was; None if there was none.
        annotations: What its Secret said of its issuance.
    """

    number: int
    chain_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)
    ca_pem: bytes | None
    annotations: Mapping[str, str]

    @property
    def entries(self) -> dict[str, str]:
        """The entries of the Secret that keep it."""
        record = {"annotations": dict(self.annotations), "ca": self.ca_pem.decode() if self.ca_pem else None}
        contents = {"crt": self.chain_pem, "key": self.key_pem, "json": json.dumps(record).encode()}
        return {f"{self.number}.{kind}": encoded(content) for kind, content in contents.items()}

    @property
    def sources(self) -> dict[str, bytes]:
        """The entries of a TLS Secret."""
        return {"tls.crt": self.chain_pem, "tls.key": self.key_pem, **({"ca.crt": self.ca_pem} if self.ca_pem else {})}


def revisions_name(certificate: Certificate) -> str:
    """Return the name of the Secret that keeps the revisions of a Certificate."""
    return f"{REVISIONS_PREFIX}{digest(certificate.metadata.uid)}"


def revisions_secret(certificate: Certificate, revision: Revision) -> dict[str, Any]:
    """Return the Secret with a first revision."""
    return beside(certificate, revisions_name(certificate), REVISIONS, revision.entries)


def revision_of(annotations: Mapping[str, str], number: int, sources: Mapping[str, bytes]) -> Revision:
    """Return what is kept of a TLS Secret.

    Args:
        annotations: The Secret's.
        number: Its revision.
        sources: Its tls.crt, tls.key and ca.crt, decoded.
    """
    return Revision(
        number=number,
        chain_pem=sources.get("tls.crt", b""),
        key_pem=sources.get("tls.key", b""),
        ca_pem=sources.get("ca.crt"),
        annotations={name: annotations[name] for name in ISSUED_ANNOTATIONS if name in annotations},
    )


def status_of(secret: SecretFacts) -> RevisionStatus | None:
    """Return what the status says of the certificate in a Secret; None if it is none to keep.

    One that others put into the Secret is not kept before it is adopted.
    """
    facts = secret.certificate
    if facts is None or not secret.is_adopted:
        return None
    return RevisionStatus(
        revision=secret.revision,
        not_before=facts.not_before,
        not_after=facts.not_after,
        serial_number=facts.serial[:MAX_SERIAL],
    )


def are_due(observation: Observation) -> bool:
    """Whether the kept revisions are not those that the spec asks for, as far as the status says.

    A status that somebody else wrote costs no more than a look at what there is.
    """
    kept, limit = observation.status.revisions, observation.certificate.spec.revision_history_limit
    if limit == 1:
        return bool(kept)
    present = status_of(observation.secret) if observation.secret is not None else None
    return len(kept) > limit or (present is not None and present not in kept)


def may_be_kept(observation: Observation, need: Need, now: dt.datetime) -> bool:
    """Whether a Secret that is gone or spoiled may come back from what is kept, without an order."""
    if need.reason not in LOST or observation.memory.unkept or observation.status.order is not None:
        return False
    kept = observation.status.revisions if observation.certificate.spec.revision_history_limit > 1 else ()
    return any(one.not_after > now for one in kept)


def chosen(kept: Iterable[RevisionStatus], present: RevisionStatus, limit: int) -> tuple[RevisionStatus, ...]:
    """Return which revisions are kept: the present one, and of the others the latest; the latest last."""
    others = {one.revision: one for one in kept if one.revision != present.revision}
    latest = sorted(others, reverse=True)[: limit - 1]
    return tuple(sorted((present, *(others[number] for number in latest)), key=lambda one: one.revision))


def taken_out(kept: Iterable[RevisionStatus], known: Iterable[RevisionStatus], newest: int) -> dict[str, None]:
    """Return the part of a merge patch that removes what is not kept.

    Args:
        kept: What stays.
        known: What the status says there was. It may have been lost: so as many before the newest ones go as well.
        newest: The latest revision.
    """
    stays = {one.revision for one in kept}
    gone = {one.revision for one in known} | set(range(max(0, newest - 2 * MAX_REVISIONS), newest + 1))
    return {f"{number}.{kind}": None for number in sorted(gone - stays) for kind in ("crt", "key", "json")}


def read_revisions(secret: Mapping[str, Any] | None) -> list[Revision]:
    """Return the revisions of a Secret that can be read, the latest first. Anybody may have written it."""
    data = (secret or {}).get("data") or {}
    numbers = {int(found["number"]) for name in data if (found := _ENTRY.fullmatch(name))}
    read = (_read(data, number) for number in sorted(numbers, reverse=True)[: 2 * MAX_REVISIONS])
    return [one for one in read if one is not None]


def _read(data: Mapping[str, str], number: int) -> Revision | None:
    try:
        chain_pem = decoded(data, f"{number}.crt")
        key_pem = decoded(data, f"{number}.key", limit=MAX_KEY_BYTES)
        record = json.loads(decoded(data, f"{number}.json", limit=MAX_RECORD_BYTES) or b"{}")
    except (EntryTooLarge, ValueError, RecursionError):
        return None
    if not (chain_pem and key_pem and isinstance(record, dict)):
        return None
    annotations, ca = record.get("annotations"), record.get("ca")
    return Revision(
        number=number,
        chain_pem=chain_pem,
        key_pem=key_pem,
        ca_pem=ca.encode() if isinstance(ca, str) and ca else None,
        annotations={
            name: text
            for name, text in (annotations if isinstance(annotations, dict) else {}).items()
            if name in ISSUED_ANNOTATIONS and isinstance(text, str) and len(text) <= MAX_ANNOTATION
        },
    )
