"""One annotation is enough: an Ingress, a Gateway and a chart as people have them are served by HTTPS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from chart import Helm
from scenarios.pods import web_ingress
from testbed.network import HTTP_PORT, HTTPS_PORT
from testbed.parts.gateway import CLASS
from testbed.progress import reporter

if TYPE_CHECKING:
    from pathlib import Path

    from harness.cluster import Object
    from scenarios.space import Space

ANNOTATION = "certwright.io/issuer"


def annotated_ingress(shop: Space, name: str, tls: dict[str, list[str]]) -> Object:
    """Return an Ingress of Traefik's for the web server, with one annotation."""
    hosts = [host for some in tls.values() for host in some]
    made: Object = web_ingress(shop.namespace, "web", hosts[0])
    made["metadata"] |= {"name": name, "annotations": {ANNOTATION: "any-class"}}
    [rule] = made["spec"]["rules"]
    made["spec"] |= {
        "ingressClassName": CLASS,
        "rules": [{**rule, "host": host} for host in hosts],
        "tls": [{"secretName": secret, "hosts": some} for secret, some in tls.items()],
    }
    return made


def test_an_ingress_with_one_annotation_is_served_by_https_and_follows_its_hosts_and_secrets(shop: Space) -> None:
    one, two = shop.host("shim-one"), shop.host("shim-two")
    # The issuer names no class: the solver is reached as the Ingress itself is.
    shop.http01("any-class", {"ingress": {}})
    shop.cluster.apply(annotated_ingress(shop, "shim", {"shim-tls": [one]}))
    assert shop.verified(one) == {one}
    shop.cluster.apply(annotated_ingress(shop, "shim", {"shim-tls": [one, two]}))
    assert shop.verified(two) == {one, two}
    shop.cluster.apply(annotated_ingress(shop, "shim", {"moved-tls": [one, two]}))
    shop.ready("moved-tls")
    shop.cluster.wait_gone("Certificate", shop.namespace, "shim-tls")
    assert shop.verified(one) == {one, two}
    assert shop.cluster.get("Secret", shop.namespace, "shim-tls") is not None
    shop.nothing_left()


def test_a_gateway_with_one_annotation_is_served_by_https(shop: Space) -> None:
    host = shop.host("shim-gateway")
    shop.http01("any-gateway", {"gatewayHTTPRoute": {}})
    tls = {"certificateRefs": [{"name": "gateway-tls"}]}
    metadata: dict[str, Any] = {
        "name": "front",
        "namespace": shop.namespace,
        "annotations": {ANNOTATION: "any-gateway"},
    }
    listeners = [
        {"name": "http", "port": HTTP_PORT, "protocol": "HTTP"},
        {"name": "https", "port": HTTPS_PORT, "protocol": "HTTPS", "hostname": host, "tls": tls},
    ]
    group = "gateway.networking.k8s.io/v1"
    shop.cluster.apply(
        {
            "apiVersion": group,
            "kind": "Gateway",
            "metadata": metadata,
            "spec": {"gatewayClassName": CLASS, "listeners": listeners},
        }
    )
    shop.cluster.apply(
        {
            "apiVersion": group,
            "kind": "HTTPRoute",
            "metadata": {"name": "front", "namespace": shop.namespace},
            "spec": {
                "parentRefs": [{"name": "front"}],
                "hostnames": [host],
                "rules": [{"backendRefs": [{"name": "web", "port": 80}]}],
            },
        }
    )
    shop.ready("gateway-tls")
    assert shop.verified(host) == {host}
    shop.nothing_left()


def test_a_chart_as_helm_creates_it_works_with_the_annotation_that_its_users_know(shop: Space, tmp_path: Path) -> None:
    """The scaffold of `helm create` is what most charts in the wild began as, their values of `ingress` included."""
    host = shop.host("shim-chart")
    shop.http01("charted", {"ingress": {}})
    helm = Helm.find(reporter(), shop.bed.kubeconfig)
    helm.run("create", str(tmp_path / "shop"))
    values = {
        "fullnameOverride": "web",
        "ingress": {
            "enabled": True,
            "className": CLASS,
            "annotations": {"cert-manager.io/issuer": "charted"},
            "hosts": [{"host": host, "paths": [{"path": "/", "pathType": "ImplementationSpecific"}]}],
            "tls": [{"secretName": "chart-tls", "hosts": [host]}],
        },
    }
    rendered = helm.run(
        *("template", "shop", str(tmp_path / "shop"), f"--namespace={shop.namespace}", "--values=-"),
        stdin=yaml.safe_dump(values),
    )
    [ingress] = [one for one in yaml.safe_load_all(rendered) if one and one["kind"] == "Ingress"]
    ingress["metadata"] |= {"name": "chart", "namespace": shop.namespace}
    shop.cluster.apply(ingress)
    shop.ready("chart-tls")
    assert shop.verified(host) == {host}
    shop.nothing_left()
