"""Keeps the last issued certificate in memory for a while, in case something else damages its Secret."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.certificates.secret.facts import SecretFacts
    from certwright.pki import CertificateChain

KEPT_AFTER_WRITE: Final = dt.timedelta(minutes=10)
"""So long after it was last written a certificate can be written again: longer than the longest pause in between.

Who deletes a Secret later than that wants another certificate, with another key, and gets it.
"""
KEPT_AFTER_ISSUE: Final = dt.timedelta(days=1)
MAX_KEPT: Final = 64
"""Of all Certificates together, the latest ones: some 10 KB each."""


@dataclass(frozen=True)
class Issued:
    """A certificate as it was written to its Secret.

    Attributes:
        facts: The Secret as it was then.
        chain: What the CA delivered.
        key_pem: The private key.
        server: Directory URL of the CA.
        at: When it was issued.
        annotations: What its Secret says of its issuance.
    """

    facts: SecretFacts
    chain: CertificateChain = field(repr=False)
    key_pem: bytes = field(repr=False)
    server: str
    at: dt.datetime
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """When this process last wrote the Secret, and for which metadata; see `metadata_fingerprint`."""

    at: dt.datetime
    fingerprint: str
