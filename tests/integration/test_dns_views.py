"""Where DNS-01 records are looked for: authoritative servers, resolvers, DNS over HTTPS; split horizon; CAA records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.dns import DnsView, TxtRecord
from certwright.http.transport import HttpxTransport
from harness.manifests import issuer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness import Tenant
    from harness.dns_front import DnsFront
    from testbed.bed import TestBed

ZONE = "example.test"


@pytest.fixture
async def transport(bed: TestBed) -> AsyncIterator[HttpxTransport]:
    async with HttpxTransport(ca_bundle=bed.authority.pem.decode(), http2=True) as transport:
        yield transport


async def test_a_real_server_is_asked_over_https(bed: TestBed, transport: HttpxTransport) -> None:
    """BIND speaks HTTP/2 only, as large public resolvers do."""
    name = f"_acme-challenge.doh.{ZONE}"
    bed.bind.change(ZONE, "replace", f"{name}.", 1, "TXT", '"wanted"')
    view = DnsView(resolvers=[bed.bind.https_url], views=["recursive"], transport=lambda: transport)
    found, missing = await view.check([TxtRecord(name, "wanted"), TxtRecord(f"x.{name}", "wanted")])
    assert found.complete
    assert found.describe() == f"the resolver {bed.bind.https_url.removesuffix('/dns-query')} has it"
    assert not missing.complete
    assert (await view.find_zone(name)).name == ZONE
    bed.bind.change(ZONE, "delete", f"{name}.")


async def test_a_resolver_over_https_that_is_not_trusted_is_not_believed(bed: TestBed) -> None:
    async with HttpxTransport(http2=True) as strangers:
        view = DnsView(resolvers=[bed.bind.https_url], views=["recursive"], transport=lambda: strangers)
        (seen,) = await view.check([TxtRecord(f"doh.{ZONE}", "wanted")])
    assert not seen.complete
    assert "certificate" in seen.describe()


def dns01(tenant: Tenant, **settings: Any) -> dict[str, Any]:
    """The solver of the bed's issuers, with other settings."""
    spec = issuer(tenant.bed, tenant.namespace)["spec"]["acme"]["solvers"][0]["dns01"]
    return {"solvers": [{"dns01": {**spec, **settings}}]}


def test_split_horizon_is_seen_through_by_resolvers(tenant: Tenant, dns_front: DnsFront) -> None:
    """The zone's servers, as the cluster reaches them, are not those that the world and the CA ask."""
    name = "split.example.test"
    dns_front.hide(f"_acme-challenge.{name}")
    inside = {"authoritativeNameservers": [dns_front.address], "propagationTimeout": "2s"}
    tenant.add_issuer("inside", **dns01(tenant, **inside))
    tenant.add_issuer("public", **dns01(tenant, **inside, selfCheckViews=["recursive"], propagationWait="1s"))
    tenant.apply("inside", name, issuerRef={"name": "inside"})
    tenant.apply("web", name, issuerRef={"name": "public"})
    tenant.ready("web")
    found = tenant.cluster.wait_for(
        "the authoritative view of the wrong server is satisfied",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, "inside"),
        lambda seen: any(one["reason"] == "RecordNotVisible" for one in seen.get("status", {}).get("conditions", ())),
    )
    assert found["status"]["order"]["state"] == "pending", "the order was given up"


def test_an_advisory_check_and_objecting_caa_records_are_told_and_stop_nothing(
    tenant: Tenant, dns_front: DnsFront
) -> None:
    name = "advisory.example.test"
    dns_front.hide(f"_acme-challenge.{name}")
    tenant.bed.bind.change(ZONE, "replace", f"{name}.", 1, "CAA", '0 issue "other.example"')
    lax = {"authoritativeNameservers": [dns_front.address], "selfCheck": "advisory", "propagationTimeout": "1s"}
    tenant.add_issuer("lax", **dns01(tenant, **lax))
    tenant.apply("web", name, issuerRef={"name": "lax"})
    tenant.ready("web")
    events = {one["reason"]: one["message"] for one in tenant.cluster.events(tenant.namespace, "web")}
    assert "Asking the CA anyway (selfCheck: advisory)" in events["SelfCheckSkipped"]
    assert f"the CAA records of {name} let other.example issue, not pebble.test" in events["CAAWarning"]
    assert f'{name}. CAA 0 issue "pebble.test"' in events["CAAWarning"]
    tenant.bed.bind.change(ZONE, "delete", f"{name}.", "CAA")


def test_without_a_check_the_ca_is_asked_at_once(tenant: Tenant, dns_front: DnsFront) -> None:
    name = "unchecked.example.test"
    dns_front.hide(f"_acme-challenge.{name}")
    tenant.add_issuer("off", **dns01(tenant, authoritativeNameservers=[dns_front.address], selfCheck="off"))
    tenant.apply("web", name, issuerRef={"name": "off"})
    tenant.ready("web")
    assert "SelfCheckSkipped" not in {one["reason"] for one in tenant.cluster.events(tenant.namespace, "web")}
