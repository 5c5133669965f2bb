"""Records that are late, and an issuer whose DNS provider is changed meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.rdatatype
import dns.update

from harness.dns_front import DnsFront

if TYPE_CHECKING:
    from harness import Tenant

LATE, MOVING = "late.example.test", "moving.example.test"


def test_a_record_that_is_late_is_told_long_before_it_is_given_up(tenant: Tenant, dns_front: DnsFront) -> None:
    place = f"_acme-challenge.{LATE}"
    dns_front.hide(place)
    tenant.add_issuer("slow", dns_server=dns_front.address)
    tenant.apply("web", LATE, issuerRef={"name": "slow"})
    found = tenant.cluster.wait_for(
        "no Event says that the record is late",
        lambda: {"items": tenant.cluster.events(tenant.namespace, "web")},
        lambda seen: any(one["reason"] == "WaitingForDNS" for one in seen["items"]),
    )
    event = next(one for one in found["items"] if one["reason"] == "WaitingForDNS")
    assert event["type"] == "Warning"
    assert f"{place} TXT " in event["message"]
    assert f"for {LATE} is not visible" in event["message"]
    found = tenant.cluster.get("Certificate", tenant.namespace, "web") or {}
    assert found["status"]["order"]["state"] == "pending"
    dns_front.show()
    tenant.ready("web")
    told = [event["reason"] for event in tenant.cluster.events(tenant.namespace, "web")]
    assert (told[0], told[-1]) == ("Issuing", "Issued")


def test_a_record_is_taken_away_at_the_provider_that_the_issuer_names_no_more(
    tenant: Tenant, dns_front: DnsFront
) -> None:
    place = f"_acme-challenge.{MOVING}"
    dns_front.hide(place)
    tenant.add_issuer("moving", dns_server=dns_front.address)
    tenant.apply("web", MOVING, issuerRef={"name": "moving"})
    before = tenant.under_way("web")
    removed: list[str] = []

    def on_update(message: dns.update.UpdateMessage) -> None:
        removed.extend(
            record.name.to_text(omit_final_dot=True)
            for record in message.update
            if record.rdtype == dns.rdatatype.TXT and record.deleting is not None
        )

    dns_front.on_update = on_update
    with DnsFront(tenant.bed.bind) as other:
        tenant.add_issuer("moving", dns_server=other.address)
        found = tenant.ready("web")
    assert set(removed) == {place}
    assert found["metadata"]["uid"] == before["metadata"]["uid"]
    assert tenant.challenge_values(place) == []
    told = [event["reason"] for event in tenant.cluster.events(tenant.namespace, "web")]
    assert told.count("Issuing") == 1
    assert "LeftBehind" not in told


def test_one_record_that_nobody_sees_holds_up_none_of_forty_nine_others(tenant: Tenant, dns_front: DnsFront) -> None:
    dns_front.hide("_acme-challenge.stuck.many.example.test")
    tenant.add_issuer("front", dns_server=dns_front.address)
    tenant.apply("stuck", "stuck.many.example.test", issuerRef={"name": "front"})
    tenant.under_way("stuck")
    names = [f"web{number}" for number in range(49)]
    for name in names:
        tenant.apply(name, f"{name}.many.example.test", issuerRef={"name": "front"})
    tenant.cluster.wait_all_ready("Certificate", tenant.namespace, names)
    assert tenant.not_ready("stuck", "WaitingForDNS")
    dns_front.show()
    tenant.ready("stuck")
