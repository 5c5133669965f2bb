"""TLS-ALPN-01 as users have it: a domain that serves HTTPS, a route by server name, a CA that comes over port 443."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.cluster import conditions
from scenarios.pods import web_ingress
from testbed.network import HTTPS_PORT
from testbed.parts.gateway import NAME as GATEWAY
from testbed.parts.gateway import NAMESPACE as GATEWAY_NAMESPACE
from testbed.parts.gateway import PASSTHROUGH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.space import Space

PARENT: dict[str, Any] = {"name": GATEWAY, "namespace": GATEWAY_NAMESPACE, "sectionName": PASSTHROUGH}
KINDS = ("Pod", "Service", "EndpointSlice", "TLSRoute", "Ingress", "HTTPRoute")
RENEWED = 2


@contextmanager
def served_whatever_the_host(shop: Space, name: str, host: str) -> Iterator[None]:
    """Serve HTTPS by an Ingress without a host: Traefik prefers those with one to a route by server name."""
    manifest = web_ingress(shop.namespace, "web", host)
    manifest["metadata"]["name"] = name
    del manifest["spec"]["rules"][0]["host"]
    manifest["spec"]["tls"] = [{"hosts": [host], "secretName": f"{name}-tls"}]
    shop.cluster.apply(manifest)
    try:
        yield
    finally:
        shop.cluster.delete("Ingress", shop.namespace, name)


def by_handshake(shop: Space, name: str, responder: str = "pod") -> str:
    """Return the name of an Issuer for a certificate by TLS-ALPN-01."""
    issuer_name = f"{name}-by-handshake"
    route = {"gatewayTLSRoute": {"parentRefs": [PARENT]}}
    shop.add_issuer(issuer_name, {"tlsAlpn01": {**route, "responder": responder}})
    return issuer_name


def first_certificate(shop: Space, name: str) -> None:
    """Get one by HTTP-01, so that the domain has HTTPS before."""
    shop.http01()
    shop.apply(name, shop.host(name))
    shop.ready(name)
    shop.nothing_left()


def made_since(shop: Space, before: dict[str, int]) -> dict[str, int]:
    """How many objects of each kind the operator has made since, those of which there are none left out."""
    made = {kind: len(shop.made(kind)) - count for kind, count in before.items()}
    return {kind: count for kind, count in made.items() if count}


def renewed(shop: Space, name: str) -> None:
    """Wait until the second certificate is there and Ready."""
    shop.cluster.wait_for(
        f"{name} has no certificate by TLS-ALPN-01",
        lambda: shop.cluster.get("Certificate", shop.namespace, name),
        lambda found: bool(found["status"].get("revision") == RENEWED),
    )
    shop.ready(name)


def test_a_domain_is_validated_on_port_443_and_then_serves_its_own_https_again(shop: Space) -> None:
    assert shop.bed.traefik.https_port == HTTPS_PORT
    assert shop.bed.pebble.options.tls_port is None, "Pebble asks the port of Traefik"
    name = "alpn-pod"
    host, issuer_name = shop.host(name), by_handshake(shop, name)
    first_certificate(shop, name)
    first = shop.cluster.secret_data(shop.namespace, f"{name}-tls")["tls.crt"]
    before = {kind: len(shop.made(kind)) for kind in KINDS}
    with served_whatever_the_host(shop, name, host):
        assert shop.verified(host) == {host}
        shop.apply(name, host, issuer_name=issuer_name)
        renewed(shop, name)
        shop.nothing_left()
        assert shop.cluster.secret_data(shop.namespace, f"{name}-tls")["tls.crt"] != first
        assert shop.verified(host) == {host}, "the domain's own HTTPS is served again"
    assert made_since(shop, before) == {"Pod": 1, "Service": 1, "TLSRoute": 1}


def test_the_operator_itself_answers_handshakes_and_there_is_no_pod(shop: Space) -> None:
    name = "alpn-shared"
    before = {kind: len(shop.made(kind)) for kind in KINDS}
    shop.apply(name, shop.host(name), issuer_name=by_handshake(shop, name, "shared"))
    shop.ready(name)
    shop.nothing_left()
    assert made_since(shop, before) == {"EndpointSlice": 1, "Service": 1, "TLSRoute": 1}


def test_traefik_keeps_a_domain_that_an_ingress_names_and_the_certificate_says_so(shop: Space) -> None:
    """docs/tls-alpn01.md says it: the route is accepted, but of the two the router with the host is asked."""
    name = "alpn-kept"
    host, issuer_name = shop.host(name), by_handshake(shop, name)
    first_certificate(shop, name)
    shop.serve(name, host)
    assert shop.verified(host) == {host}
    shop.apply(name, host, issuer_name=issuer_name)
    shop.cluster.wait_for(
        "the condition does not say what port 443 presents",
        lambda: shop.cluster.get("Certificate", shop.namespace, name),
        lambda found: (
            "no TLS handshake (tlsv1 unrecognized name)" in conditions(found).get("Issuing", {}).get("message", "")
        ),
    )
    [route] = shop.solver_objects(["TLSRoute"])
    [parent] = route["status"]["parents"]
    assert {one["type"]: one["status"] for one in parent["conditions"]}["Accepted"] == "True"
    assert shop.verified(host) == {host}, "nobody notices that the validation waits"
    shop.cluster.delete("Certificate", shop.namespace, name)
    shop.nothing_left()
