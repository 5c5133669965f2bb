from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .bench import Bench

if TYPE_CHECKING:
    import datetime as dt

    from tests.fakes.operator import Build, FakeKubeApi


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    """The reconciler, and a Certificate that nothing was done for yet."""
    bench = Bench(build, kube_api, now)
    bench.write()
    return bench
