"""Two hundred Certificates in five zones of one DNS provider, whose API does not answer for one of the zones."""

from __future__ import annotations

import pytest

from tests.simulation.zones import APPLIED, EACH, HANGING, HEALED, ZONES, FiveZones, lived


@pytest.fixture(scope="module")
def alone() -> float:
    """After how many seconds the Certificates of four zones are ready if there are no others."""
    return lived(lambda loop: FiveZones(loop, ZONES, 1)).last(ZONES)


@pytest.mark.parametrize("issuers", [1, 2])
def test_a_zone_whose_api_does_not_answer_holds_up_no_certificate_of_another_zone(alone: float, issuers: int) -> None:
    found = lived(lambda loop: FiveZones(loop, [*ZONES, HANGING], issuers))
    # The 40 orders of the fifth zone take their turns at the CA, and its first requests theirs at the API.
    assert found.last(ZONES) < alone * 5 / 4
    assert found.last([HANGING]) > HEALED - APPLIED
    assert len(found.ca.placed_at) == 5 * EACH, "each once: whoever waited for the zone went on with his order"
    assert found.aside >= EACH, "those who wait for the zone hold no workers"
