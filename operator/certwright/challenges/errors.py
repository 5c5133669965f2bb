"""Errors of solvers: each an `AcmeError`, like everything that stops an issuance."""

from __future__ import annotations

from certwright.acme import AcmeError


class NotVisible(AcmeError):
    """A challenge response is in place as far as the solver knows, but not visible; the CA was not asked."""


class CannotListen(AcmeError):
    """A server for a challenge cannot listen at its address: the port is taken, or only for the administrator."""


class CannotWrite(AcmeError):
    """A file for a challenge cannot be written."""


class PersistentRecordMissing(AcmeError):
    """A permanent record of dns-persist-01 is not in the DNS; the message says which. The CA was not asked."""
