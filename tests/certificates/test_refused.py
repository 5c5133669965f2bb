"""A Certificate that is refused: it is looked at again only if what stands in its way may go without an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.runtime.result import Result
from tests.certificates.bench import Bench

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from tests.fakes.operator import Build, FakeKubeApi


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    made = Bench(build, kube_api, now)
    made.write()
    return made


def foreign_secret(bench: Bench) -> None:
    bench.cluster.secrets.secrets["team", "web-tls"] = {
        "metadata": {"namespace": "team", "name": "web-tls", "uid": "uid-of-others", "resourceVersion": "1"},
        "type": "Opaque",
        "data": {"password": "aHVudGVyMg=="},
    }


async def test_one_whose_secret_is_of_others_is_looked_at_often_at_first_as_it_is_not_watched(bench: Bench) -> None:
    foreign_secret(bench)
    pauses = [await bench.look() for _ in range(6)]
    assert bench.condition().reason == "SecretNotOurs"
    assert pauses == [Result.again_in(seconds) for seconds in (5, 10, 20, 40, 60, 60)]
    del bench.cluster.secrets.secrets["team", "web-tls"]
    await bench.run(120)
    assert bench.condition().status == "True"


async def test_one_whose_secret_another_certificate_claims_waits_for_that_ones_events(bench: Bench) -> None:
    bench.write(metadata={"creationTimestamp": "2026-01-01T00:00:00Z"})
    older = {"name": "aa", "uid": "uid-aa", "creationTimestamp": "2020-01-01T00:00:00Z"}
    other = bench.build.certificate(metadata=older)
    body: Mapping[str, Any] = other.model_dump(mode="json", by_alias=True, exclude_none=True)
    bench.certificates.put({**body, "metadata": {**body["metadata"], "resourceVersion": "1"}})
    await bench.look()  # its key is being made
    assert await bench.look() == Result.ON_EVENT
    assert bench.condition().reason == "SecretClaimed"


async def test_one_that_may_not_have_its_key_replaced_waits_for_its_owner(bench: Bench) -> None:
    await bench.run(60)
    before = len(bench.ca.orders)
    bench.write(metadata={"generation": 2}, privateKey={"algorithm": "RSA", "size": 3072, "rotationPolicy": "Never"})
    result = await bench.look()
    assert bench.condition("Issuing").reason == "PrivateKeyMismatch"
    assert len(bench.ca.orders) == before
    # Nothing before the certificate's end, from which it is not Ready.
    assert bench.status.not_after is not None
    assert result == Result.again_at(bench.status.not_after, bench.now)
