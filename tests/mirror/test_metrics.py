"""cert-manager's own metrics, of the objects that are served: values, and when there are none."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from certwright.mirror.metrics import CertManagerMetrics
from certwright.mirror.objects import THEIR_CERTIFICATES, THEIR_CLUSTER_ISSUERS, THEIR_ISSUERS
from tests.mirror.world import World, their_issuer, theirs

WEB = 'issuer_group="",issuer_kind="",issuer_name="ca",name="web",namespace="team"'


class Scraped:
    """What a scrape of a mirror shows."""

    def __init__(self, world: World) -> None:
        self.mirror = world.reconciler()
        self.registry = CollectorRegistry()
        self.registry.register(CertManagerMetrics(self.mirror.served))

    def samples(self, prefix: str = "") -> dict[str, float]:
        lines = generate_latest(self.registry).decode().splitlines()
        wanted = (line.rpartition(" ") for line in lines if line.startswith(f"certmanager_{prefix}"))
        return {name.removeprefix("certmanager_"): float(value) for name, _, value in wanted}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def scraped(world: World) -> Scraped:
    return Scraped(world)


def with_status(body: dict[str, Any], ready: str | None, **times: str) -> dict[str, Any]:
    conditions = [] if ready is None else [{"type": "Ready", "status": ready, "reason": "R", "message": "m"}]
    return {**body, "status": {"conditions": conditions, **times}}


async def test_a_certificate_has_the_series_that_cert_manager_gives_it_and_loses_them_with_the_object(
    world: World, scraped: Scraped
) -> None:
    times = {"notBefore": "1970-01-01T00:01:00Z", "notAfter": "2999-01-01T00:00:00Z"}
    body = with_status(theirs(), "True", **times)
    key = world.see(scraped.mirror, THEIR_CERTIFICATES, body)
    assert scraped.samples() == {}, "it has not been looked at"
    await scraped.mirror.reconcile(key)
    ready = {
        state: f"certificate_ready_status{{condition={state!r},{WEB}}}".replace("'", '"')
        for state in ("True", "False", "Unknown")
    }
    assert scraped.samples() == {
        ready["True"]: 1,
        ready["False"]: 0,
        ready["Unknown"]: 0,
        f"certificate_not_before_timestamp_seconds{{{WEB}}}": 60,
        f"certificate_not_after_timestamp_seconds{{{WEB}}}": 32472144000,
        f"certificate_expiration_timestamp_seconds{{{WEB}}}": 32472144000,
        f"certificate_renewal_timestamp_seconds{{{WEB}}}": 0,
    }
    world.see(scraped.mirror, THEIR_CERTIFICATES, with_status(theirs(), "False"))
    assert scraped.samples("certificate_ready") == {ready["True"]: 0, ready["False"]: 1, ready["Unknown"]: 0}
    gone = {"name": "web", "namespace": "team", "uid": "uid-web", "resourceVersion": str(world.version + 1)}
    scraped.mirror.stores[key.kind].remove(gone)
    assert scraped.samples() == {}
    await scraped.mirror.reconcile(key)
    world.see(scraped.mirror, THEIR_CERTIFICATES, {**body, "metadata": {**body["metadata"], "uid": "another"}})
    assert scraped.samples() == {}


async def test_issuers_have_theirs_and_a_state_that_nobody_wrote_is_unknown(world: World, scraped: Scraped) -> None:
    for resource, namespace in ((THEIR_ISSUERS, "team"), (THEIR_CLUSTER_ISSUERS, None)):
        body = with_status(their_issuer(namespace=namespace), "True")
        await scraped.mirror.reconcile(world.see(scraped.mirror, resource, body))
    assert scraped.samples()["issuer_ready_status{" + 'condition="True",name="ca",namespace="team"}'] == 1
    assert scraped.samples()["clusterissuer_ready_status{" + 'condition="True",name="ca"}'] == 1
    world.see(scraped.mirror, THEIR_ISSUERS, with_status(their_issuer(), None))
    assert scraped.samples("issuer_ready_status{" + 'condition="Unknown"') == {
        'issuer_ready_status{condition="Unknown",name="ca",namespace="team"}': 1
    }
    assert len(scraped.samples()) == 6


async def test_what_is_left_to_cert_manager_is_not_shown_twice(world: World, scraped: Scraped) -> None:
    world.is_live = True
    key = world.see(scraped.mirror, THEIR_CERTIFICATES, theirs())
    await scraped.mirror.reconcile(key)
    assert scraped.samples() == {}
    world.is_live = False
    await scraped.mirror.reconcile(key)
    assert len(scraped.samples()) == 7
    world.is_live = True
    await scraped.mirror.reconcile(key)
    assert scraped.samples() == {}


async def test_whatever_a_tenant_writes_the_series_are_as_many_and_their_labels_short(
    world: World, scraped: Scraped
) -> None:
    reference: dict[str, Any] = {"name": "n" * 100_000, "kind": ["x"], "group": 'g"\n\\'}
    statuses: list[Any] = [{"notAfter": "soon", "notBefore": 7}, {"notAfter": "0001-01-01T00:00:00Z"}, None, []]
    for status in statuses:
        body = {**theirs(issuerRef=reference), "status": status}
        await scraped.mirror.reconcile(world.see(scraped.mirror, THEIR_CERTIFICATES, body))
        found = scraped.samples()
        assert len(found) == 7
        assert max(map(len, found)) < 600
