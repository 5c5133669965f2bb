"""The annotations that describe the contents of a Secret."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.kube.secrets import decoded
from certwright.resources import (
    CERTIFICATE_NAME_ANNOTATION,
    ISSUER_GROUP_ANNOTATION,
    ISSUER_KIND_ANNOTATION,
    ISSUER_NAME_ANNOTATION,
    group,
)
from certwright.text import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping


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
ROLLED_BACK_ANNOTATION: Final = f"{group.GROUP}/rolled-back"
"""That the certificate was put back, see `RolledBack`: written together with it."""
OUTPUTS_ANNOTATION: Final = f"{group.GROUP}/outputs"
"""What the derived entries were made from, and a digest of the whole content as it was written then."""
ISSUED_ANNOTATIONS: Final = (
    ISSUER_NAME_ANNOTATION,
    ISSUER_KIND_ANNOTATION,
    ISSUER_GROUP_ANNOTATION,
    SERVER_ANNOTATION,
    CONTENTS_ANNOTATION,
    SEAL_ANNOTATION,
)
"""What a Secret says of the issuance of its certificate."""
READ_ANNOTATIONS: Final = (
    CERTIFICATE_NAME_ANNOTATION,
    *ISSUED_ANNOTATIONS,
    METADATA_FINGERPRINT_ANNOTATION,
    CONTENT_DIGEST_ANNOTATION,
    REVISION_ANNOTATION,
    TEMPLATE_ANNOTATION,
    OUTPUTS_ANNOTATION,
    ROLLED_BACK_ANNOTATION,
)
"""What is read again of what was written; the other annotations are for people and other programs."""
MAX_ANNOTATION: Final = 2048
"""The longest of our annotations is a URL; anybody may write longer ones, of which nothing is kept."""
MAX_REQUEST_ID: Final = 64
ENTRIES: Final = frozenset({"tls.crt", "tls.key", "ca.crt"})
"""What Certwright writes in every Secret."""


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


def content_digest(chain_pem: bytes, key_pem: bytes) -> str:
    """Return the digest that says "chain and key are as Certwright wrote them"."""
    return hashlib.sha256(chain_pem + b"\0" + key_pem).hexdigest()


def digest_of(data: Mapping[str, str]) -> str:
    """Return the same of a Secret's `data`."""
    return content_digest(decoded(data, "tls.crt"), decoded(data, "tls.key"))
