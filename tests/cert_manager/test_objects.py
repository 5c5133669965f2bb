"""The verdict for each of fifty objects of cert-manager."""

from __future__ import annotations

from collections import Counter

from certwright.migration.assessment import assess
from certwright.migration.inventory import of_manifests
from tests.fakes.cert_manager import CHANGES, MOVES, OBJECTS, STAYS


def test_each_object_has_the_verdict_that_people_can_count_on() -> None:
    found = assess(of_manifests([one for one, _ in OBJECTS]))
    verdicts = {
        (one.translation.kind, one.translation.name): (str(one.translation.verdict), one.translation.refusals)
        for one in (*found.issuers, *found.certificates)
    }
    wrong = {
        one["metadata"]["name"]: verdicts[one["kind"], one["metadata"]["name"]]
        for one, verdict in OBJECTS
        if verdicts[one["kind"], one["metadata"]["name"]][0] != verdict
    }
    assert wrong == {}
    assert len(verdicts) == len(OBJECTS) >= 50
    assert min(Counter(verdict for _, verdict in OBJECTS)[one] for one in (MOVES, CHANGES, STAYS)) >= 5
