"""Revocation reasons as users write them, for the CRDs and for the command line, which loads no models."""

from __future__ import annotations

from typing import Literal

RevocationReasonName = Literal[
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "removeFromCRL",
    "privilegeWithdrawn",
    "aACompromise",
]
"""The reasons of RFC 5280 section 5.3.1, in its spelling."""
