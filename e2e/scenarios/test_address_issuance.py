"""Certificates for IP addresses (RFC 8738): routes have no field for an address, so they serve every host meanwhile."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from scenarios.pods import web_ingress
from scenarios.space import INGRESS
from testbed.parts.gateway import NAME as GATEWAY
from testbed.parts.gateway import NAMESPACE as GATEWAY_NAMESPACE
from testbed.parts.gateway import PASSTHROUGH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.space import Space

PARENT: dict[str, Any] = {"name": GATEWAY, "namespace": GATEWAY_NAMESPACE}
ROUTES: dict[str, dict[str, Any]] = {"Ingress": INGRESS, "HTTPRoute": {"gatewayHTTPRoute": {"parentRefs": [PARENT]}}}
ALL = "every-host"


@contextmanager
def served_at_every_host(shop: Space, secret: str) -> Iterator[None]:
    """Put the web server behind Traefik whatever the host, with a Secret that clients without a server name may get."""
    manifest = web_ingress(shop.namespace, "web", "")
    manifest["metadata"]["name"] = ALL
    del manifest["spec"]["rules"][0]["host"]
    manifest["spec"]["tls"] = [{"secretName": secret}]
    shop.cluster.apply(manifest)
    try:
        yield
    finally:
        shop.cluster.delete("Ingress", shop.namespace, ALL)


@pytest.mark.parametrize(("responder", "route"), [("pod", "Ingress"), ("shared", "HTTPRoute")])
def test_an_address_and_a_domain_are_validated_by_http01_and_https_is_served_at_both(
    shop: Space, responder: str, route: str
) -> None:
    name, address = f"address-{responder}", shop.bed.node.address
    host = shop.host(name)
    before = len(shop.made(route))
    shop.http01(name, ROUTES[route], responder=responder)
    with served_at_every_host(shop, f"{name}-tls"):
        shop.apply(name, host, issuer_name=name, ipAddresses=[address])
        found = shop.ready(name)
        assert found["status"]["revision"] == 1
        shop.nothing_left()
        assert shop.verified(address) == {host, address}
        assert shop.verified(host) == {host, address}
    # An HTTPRoute has either hosts or none; an Ingress may have a rule of each kind.
    assert len(shop.made(route)) - before == {"Ingress": 1, "HTTPRoute": 2}[route]


def test_the_rule_for_an_address_is_added_to_an_ingress_and_taken_out_again(shop: Space) -> None:
    name = "address-edited"
    shop.http01(name, {"ingress": {"name": ALL}})
    with served_at_every_host(shop, f"{name}-tls"):
        rules = (shop.cluster.get("Ingress", shop.namespace, ALL) or {})["spec"]["rules"]
        shop.apply(name, issuer_name=name, ipAddresses=[shop.bed.node.address])
        shop.ready(name)
        shop.nothing_left()
        assert (shop.cluster.get("Ingress", shop.namespace, ALL) or {})["spec"]["rules"] == rules
        assert shop.verified(shop.bed.node.address) == {shop.bed.node.address}


def test_an_address_is_validated_by_a_handshake_for_its_name_in_the_reverse_zone(shop: Space) -> None:
    name = "address-handshake"
    route = {"gatewayTLSRoute": {"parentRefs": [{**PARENT, "sectionName": PASSTHROUGH}]}}
    shop.add_issuer(name, {"tlsAlpn01": route})
    shop.apply(name, issuer_name=name, ipAddresses=[shop.bed.node.address])
    shop.ready(name)
    shop.nothing_left()
    with served_at_every_host(shop, f"{name}-tls"):
        assert shop.verified(shop.bed.node.address) == {shop.bed.node.address}


def test_an_address_that_is_another_servers_is_told_and_costs_no_validation(shop: Space) -> None:
    name = "address-elsewhere"
    elsewhere = (shop.cluster.get("Service", shop.namespace, "web") or {})["spec"]["clusterIP"]
    shop.http01(name)
    shop.apply(name, issuer_name=name, ipAddresses=[elsewhere])
    told = shop.told(name, f"http://{elsewhere}/.well-known/acme-challenge/", "HTTP 200 with other content")
    assert (told["status"]["order"]["state"], told["status"]["failedAttempts"]) == ("pending", 0)
    shop.apply(name, issuer_name=name, ipAddresses=[shop.bed.node.address])
    shop.ready(name)
    shop.nothing_left()
