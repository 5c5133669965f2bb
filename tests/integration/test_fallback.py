"""A Certificate with two issuers: the first CA goes away during an order, and comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Tenant
    from harness.dns_front import DnsFront
    from testbed.parts.pebble import Pebble

NAME = "shop.fallback.example.test"
PLACE = f"_acme-challenge.{NAME}"


def test_the_second_issuer_issues_when_the_first_ca_is_gone_and_the_first_renews_once_it_is_back(
    tenant: Tenant, make_pebble: Callable[..., Pebble], dns_front: DnsFront
) -> None:
    first = make_pebble()
    tenant.add_issuer("first", pebble=first, dns_server=dns_front.address)
    tenant.add_issuer("second", dns_server=dns_front.address)
    dns_front.hide(PLACE)
    tenant.apply("shop", NAME, issuerRefs=[{"name": "first"}, {"name": "second"}])
    waiting = tenant.under_way("shop")
    assert waiting["status"]["order"]["issuer"] == {"kind": "Issuer", "name": "first"}
    before = tenant.challenge_values(PLACE)

    tenant.operator.kill()
    first.stop()
    tenant.operator.start()
    gone = tenant.cluster.wait_condition("Issuer", tenant.namespace, "first", "Ready", "False")
    assert gone["status"]["conditions"][0]["reason"] == "CAUnreachable"
    tenant.cluster.wait_for(
        "the record of the order at the CA that is gone stays",
        lambda: {"status": {"values": tenant.challenge_values(PLACE)}},
        lambda seen: before[0] not in seen["status"]["values"],
    )
    dns_front.show()
    found = tenant.ready("shop")
    assert issuer_of(tenant) == ("second", tenant.bed.pebble.directory_url)
    assert found["status"]["issuer"] == {
        "kind": "Issuer",
        "name": "second",
        "server": tenant.bed.pebble.directory_url,
    }
    reasons = {event["reason"] for event in tenant.cluster.events(tenant.namespace, "shop")}
    assert "FallingBack" in reasons
    assert not reasons & {"OrderNotOurs", "LeftBehind"}
    assert tenant.challenge_values(PLACE) == []

    first.start()
    change: dict[str, Any] = {"spec": {"acme": {"email": "healed@example.test"}}}  # has it looked at at once
    tenant.cluster.patch("Issuer", tenant.namespace, "first", change)
    tenant.cluster.wait_ready("Issuer", tenant.namespace, "first")
    # Its Certificates are looked at before this other one.
    tenant.apply("later", "later.fallback.example.test", issuerRefs=[{"name": "first"}, {"name": "second"}])
    tenant.ready("later")
    assert tenant.ready("shop")["status"]["revision"] == 1
    assert issuer_of(tenant)[0] == "second"

    request = {"id": "r-1", "action": "Renew"}
    tenant.cluster.patch("Certificate", tenant.namespace, "shop", {"spec": {"request": request}})
    tenant.cluster.wait_for(
        "the renewal did not come",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, "shop"),
        lambda found: found["status"]["revision"] == 2,
    )
    assert issuer_of(tenant) == ("first", first.directory_url)


def issuer_of(tenant: Tenant) -> tuple[str, str]:
    """Name and CA of the issuer of the certificate, as the Secret says."""
    secret = tenant.cluster.get("Secret", tenant.namespace, "shop-tls")
    assert secret is not None
    annotations = secret["metadata"]["annotations"]
    return annotations["certwright.io/issuer-name"], annotations["certwright.io/acme-server"]
