"""A `status.renewal` that somebody else wrote: it neither holds a renewal up until it is too late nor causes many."""

from __future__ import annotations

import copy
import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import pytest

from certwright.certificates.secret.facts import SecretFacts
from certwright.resources import Certificate, InvalidResource
from tests.certificates.bench import Bench

if TYPE_CHECKING:
    from tests.fakes.operator import Build, FakeKubeApi

DAY: Final = dt.timedelta(days=1)
PAST, FUTURE = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"


class Forged(Bench):
    """A Certificate that is Ready, and a process that begins with a status that was changed."""

    def __init__(self, build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> None:
        super().__init__(build, kube_api, now)
        self.write()

    @property
    def secret(self) -> Any:
        return self.cluster.secrets.secrets["team", "web-tls"]

    async def forge(self, renewal: dict[str, Any], **status: Any) -> None:
        """Somebody writes the status while the operator is down."""
        body = copy.deepcopy(self.cluster.body)
        identifier = body["status"].get("renewal", {}).get("certificate")
        known = SecretFacts.of(self.secret)
        body["status"] |= status
        body["status"]["renewal"] = {"certificate": identifier or known.certificate_id, **renewal}
        self.cluster.take(body)
        self.restart()
        self.take_secret(known)

    async def live(self, days: float, *, daily: dict[str, Any] | None = None) -> float:
        """Live on, with the same forgery and a restart each day if so; return the longest time without a certificate.

        A certificate that has ended counts as none.
        """
        lacking = 0.0
        for _ in range(int(days)):
            await self.run(86_400)
            if self.status.not_after is None or self.status.not_after <= self.now:
                lacking += 1
            if daily is not None:
                await self.forge(daily)
        return lacking


@pytest.fixture
async def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Forged:
    made = Forged(build, kube_api, now)
    await made.run(60)
    assert (made.condition().status, len(made.ca.orders)) == ("True", 1)
    return made


WINDOWS: Final[dict[str, dict[str, Any]]] = {
    "in the past": {"basis": "ARI", "windowStart": PAST, "windowEnd": PAST, "time": PAST},
    "in the future": {"basis": "ARI", "windowStart": FUTURE, "windowEnd": FUTURE, "time": FUTURE},
    "first seen at the end of time": {"firstSeenTime": FUTURE},
    "early renewals without number": {"earlyRenewals": 999_999_999, "windowStart": PAST, "windowEnd": PAST},
    "disabled": {"basis": "Disabled"},
}
ONCE: Final = ("in the future", "early renewals without number", "disabled")
DAILY: Final = ("in the past", "first seen at the end of time")


@pytest.mark.parametrize("name", ONCE)
async def test_once_it_costs_an_order_at_most_and_the_certificate_is_renewed_in_time(bench: Forged, name: str) -> None:
    await bench.run(86_400)
    await bench.forge(WINDOWS[name], renewalTime=FUTURE if name == "in the future" else PAST)
    assert await bench.live(5) == 0
    assert len(bench.ca.orders) <= 2
    assert await bench.live(95) == 0
    assert 2 <= len(bench.ca.orders) <= 3
    assert bench.condition().status == "True"


@pytest.mark.parametrize("name", DAILY)
async def test_written_again_each_day_before_a_restart_it_neither_stops_renewals_nor_makes_them_daily(
    bench: Forged, name: str
) -> None:
    assert await bench.live(100, daily=WINDOWS[name]) == 0
    assert 2 <= len(bench.ca.orders) <= 12


@pytest.mark.parametrize(
    "renewal",
    [
        {"windowStart": "soon"},
        {"explanationURL": "javascript:alert(1)"},
        {"explanationURL": "https://x/" + "a" * 10_000},
        {"earlyRenewals": 10**30},
        ["a", "list"],
    ],
    ids=lambda renewal: str(renewal)[:40],
)
async def test_what_the_schema_does_not_allow_is_refused_and_named(build: Build, renewal: Any) -> None:
    """The API server refuses it too; it may come from a backup of an older schema."""
    body = build.certificate().model_dump(mode="json", by_alias=True, exclude_none=True)
    body["status"] = {"renewal": renewal}
    with pytest.raises(InvalidResource, match=r"status\.renewal"):
        Certificate.parse(body)
