"""How long a Lease is honoured, by the clock of whoever looks."""

from __future__ import annotations

import pytest

from certwright.kube.lease import LeaseRecord, Sighting

HELD = LeaseRecord("pod", 60, renewed="1")


def test_a_record_that_is_not_renewed_counts_from_when_it_was_first_seen() -> None:
    seen = Sighting(LeaseRecord(), 0.0).then(HELD, 10.0).then(HELD, 40.0)
    assert seen.over_at(least=1, most=600) == 70.0
    assert seen.then(LeaseRecord("pod", 60, renewed="2"), 45.0).over_at(least=1, most=600) == 105.0


def test_another_holder_is_another_record() -> None:
    assert Sighting(HELD, 0.0).then(LeaseRecord("other", 60, renewed="1"), 5.0).since == 5.0


@pytest.mark.parametrize(("duration", "over"), [(0, 15.0), (-7, 15.0), (60, 60.0), (10**9, 600.0)])
def test_whatever_the_lease_says_of_itself_there_is_a_least_and_a_most(duration: int, over: float) -> None:
    assert Sighting(LeaseRecord("pod", duration), 0.0).over_at(least=15, most=600) == over
