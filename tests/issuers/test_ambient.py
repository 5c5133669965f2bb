from __future__ import annotations

import pytest

from certwright.issuers.ambient import AmbientPolicy


@pytest.mark.parametrize(
    ("policy", "issuers", "cluster_issuers"),
    [
        (AmbientPolicy(), False, True),
        (AmbientPolicy(issuers=True), True, True),
        (AmbientPolicy(cluster_issuers=False), False, False),
    ],
)
def test_only_those_who_are_let_use_what_surrounds_the_operator(
    policy: AmbientPolicy, *, issuers: bool, cluster_issuers: bool
) -> None:
    assert (policy.allows("Issuer"), policy.allows("ClusterIssuer")) == (issuers, cluster_issuers)
