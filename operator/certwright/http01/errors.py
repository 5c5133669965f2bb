"""Errors of http-01 that come from the issuer's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from certwright.reasons import Http01Reason


class SolverError(Exception):
    """An http-01 solver cannot be made as the issuer asks for it.

    Attributes:
        reason: For the condition.
    """

    def __init__(self, reason: Http01Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
