"""Errors that end the operator."""

from __future__ import annotations


class OperatorFailed(Exception):
    """A part that must not end has ended, or could not be started; the cause is chained. Start the operator again."""
