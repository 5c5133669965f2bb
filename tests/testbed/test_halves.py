"""The scenarios on a node run in two halves: what both have said counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.halves import BESIDE_OWN, NO_TESTS, status_of

SCENARIOS = Path(__file__).parents[2] / "e2e/scenarios"


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


def test_the_files_that_run_in_the_first_half_exist() -> None:
    assert [name for name in BESIDE_OWN if not (SCENARIOS / name).is_file()] == []
