"""The two halves of the scenarios, about as long as each other, which run beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

HALVES: Final = ("own", "others")
"""Files with a release of their own and those beside them, and all others."""
BESIDE_OWN: Final = ("test_http01_issuance.py",)
"""Files without a release of their own that run in the first half, at its end, which makes the halves equally long."""
NO_TESTS: Final = 5
"""Pytest's status if the arguments choose no test, as they may in one of the halves."""


def status_of(statuses: Sequence[int]) -> int:
    """Return the status of all halves: the worst, where one without tests counts only if there are none at all."""
    run = [status for status in statuses if status != NO_TESTS]
    return max((abs(status) for status in run), default=NO_TESTS)
