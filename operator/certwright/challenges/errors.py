"""What can go wrong where challenges are answered: each an `AcmeError`, like everything that stops an issuance."""

from __future__ import annotations

from certwright.acme import AcmeError


class NotVisible(AcmeError):
    """A proof is in place as far as the solver knows, and the CA would not see it: nothing was asked of the CA."""


class CannotListen(AcmeError):
    """A server for a challenge cannot listen at its address: the port is taken, or only for the administrator."""


class CannotWrite(AcmeError):
    """A file for a challenge cannot be written."""
