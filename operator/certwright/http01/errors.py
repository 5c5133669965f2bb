"""What http-01 cannot do as the issuer asks for it."""

from __future__ import annotations


class SolverError(Exception):
    """An http-01 solver cannot be made as the issuer asks for it.

    Attributes:
        reason: One word, CamelCase.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
