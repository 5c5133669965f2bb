"""Errors of solvers. Each is an `AcmeError`, like every error that stops an issuance."""

from __future__ import annotations

from certwright.acme import AcmeError


class NotVisible(AcmeError):
    """A challenge response was presented but is not visible. The CA was not asked to validate."""


class CannotListen(AcmeError):
    """A challenge server cannot listen at its address: the port is in use or requires privileges."""


class CannotWrite(AcmeError):
    """A file for a challenge cannot be written."""


class PersistentRecordMissing(AcmeError):
    """A permanent record of dns-persist-01 is missing; the message says which. The CA was not asked to validate."""
