"""The scenarios on a node run in two halves: what both have said counts."""

from __future__ import annotations

import pytest

from scenarios.halves import NO_TESTS, status_of


@pytest.mark.parametrize(
    ("statuses", "whole"),
    [
        ((0, 0), 0),
        ((0, 1), 1),
        ((2, 0), 2),
        ((0, NO_TESTS), 0),
        ((1, NO_TESTS), 1),
        ((NO_TESTS, NO_TESTS), NO_TESTS),
        ((0, -15), 15),
    ],
)
def test_a_half_that_failed_fails_the_whole_and_one_without_tests_does_not(
    statuses: tuple[int, int], whole: int
) -> None:
    assert status_of(statuses) == whole
