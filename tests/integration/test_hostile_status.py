"""A tenant who may write the status of our objects in a namespace of his own: against the real API server, as him."""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography import x509

from certwright.dns import TsigKey, TxtRecord
from certwright.dns.providers.rfc2136 import Rfc2136Provider
from harness import Cluster, issuer, tsig_secret
from harness.cluster import refusal
from harness.mistakes import wait_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import dns.update

    from harness import Tenant
    from harness.dns_front import DnsFront
    from testbed.bed import TestBed
    from testbed.proxy import RecordingProxy

VERIFICATION = "site-verification-of-the-victim"


@dataclass(frozen=True)
class Scene:
    """A ClusterIssuer that validates a zone for each of two namespaces.

    Attributes:
        thief: The API server as the tenant sees it: he may write everything of our group in his namespace.
        tenant: His namespace.
        issuer_name: Of the ClusterIssuer.
        victim: Another namespace.
        ca: Records what the operator asks the CA for.
        front: Hides records, so that orders wait.
        updated: The names at which the operator has changed records.
    """

    thief: Cluster
    tenant: Tenant
    issuer_name: str
    victim: str
    ca: RecordingProxy
    front: DnsFront
    updated: set[str] = field(default_factory=set)

    def name_in(self, namespace: str) -> str:
        return f"www.{namespace}.{self.tenant.bed.bind.zones[0]}"

    @property
    def own_name(self) -> str:
        return self.name_in(self.tenant.namespace)

    def order(self, name: str) -> dict[str, Any]:
        """The tenant orders a certificate for his own domain; its record is in the DNS, and is not seen yet."""
        self.front.hide(f"_acme-challenge.{self.own_name}")
        self.tenant.apply(name, self.own_name, issuerRef={"name": self.issuer_name, "kind": "ClusterIssuer"})
        found: dict[str, Any] = self.tenant.under_way(name)["status"]["order"]
        return found

    def forge(self, name: str, change: Callable[[dict[str, Any]], object]) -> None:
        found = self.thief.get("Certificate", self.tenant.namespace, name)
        assert found is not None
        order = found["status"]["order"]
        change(order)
        self.thief.patch_status("Certificate", self.tenant.namespace, name, {"order": order})

    def forge_during_a_restart(self, name: str, change: Callable[[dict[str, Any]], object]) -> None:
        self.tenant.operator.stop()
        self.ca.requests.clear()
        self.updated.clear()
        self.forge(name, change)
        self.tenant.operator.start()

    def finish(self, name: str) -> None:
        """The record is seen, the certificate issued, and for nothing but the tenant's own domain."""
        self.front.show()
        self.tenant.ready(name)
        names = self.tenant.leaf(f"{name}-tls").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [self.own_name]
        assert self.updated <= {f"_acme-challenge.{self.own_name}"}


def rights(namespace: str, user: str) -> list[dict[str, Any]]:
    group = "rbac.authorization.k8s.io"
    metadata = {"name": "everything-of-certwright", "namespace": namespace}
    rules = [{"apiGroups": ["certwright.io"], "resources": ["*"], "verbs": ["*"]}]
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rules}
    return [
        role,
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": metadata["name"]},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        },
    ]


@pytest.fixture
def scene(
    bed: TestBed, tenant: Tenant, operator_namespace: str, counted_ca: RecordingProxy, dns_front: DnsFront
) -> Iterator[Scene]:
    cluster, user = tenant.cluster, f"thief-{tenant.namespace}"
    shared, victim = f"shared-{secrets.token_hex(4)}", f"victim-{secrets.token_hex(4)}"
    with ExitStack() as stack:
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": victim}})
        stack.callback(cluster.delete, "Namespace", None, victim)
        manifests = {"apiVersion": "v1", "kind": "List", "items": rights(tenant.namespace, user)}
        bed.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifests))
        cluster.wait_allowed(user, "patch", "Certificate", tenant.namespace)
        cluster.apply(tsig_secret(bed, operator_namespace, name=f"{shared}-tsig"))
        body = issuer(
            bed, None, name=shared, server=counted_ca.directory_url, dns_server=dns_front.address, tsig=f"{shared}-tsig"
        )
        acme, zone = body["spec"]["acme"], bed.bind.zones[0]
        [solver] = acme["solvers"]
        selectors = [
            {"dnsZones": [f"{tenant.namespace}.{zone}"]},
            {"dnsZones": [f"{victim}.{zone}"], "matchLabels": {"team": "victim"}},
        ]
        acme["solvers"] = [{**solver, "selector": selector} for selector in selectors]
        cluster.apply(body)
        stack.callback(cluster.delete, "ClusterIssuer", None, shared)
        cluster.wait_ready("ClusterIssuer", None, shared)
        thief = stack.enter_context(Cluster(bed, bed.authority.client(user)))
        made = Scene(thief, tenant, shared, victim, counted_ca, dns_front)

        def note(message: dns.update.UpdateMessage) -> None:
            made.updated.update(one.name.to_text(omit_final_dot=True).lower() for one in message.update)

        dns_front.on_update = note
        yield made


def test_a_record_of_the_tenants_choice_is_neither_published_nor_removed(scene: Scene) -> None:
    bind = scene.tenant.bed.bind
    key_name, key = bind.main_key
    place = f"_acme-challenge.{scene.name_in(scene.victim)}"
    provider = Rfc2136Provider(bind.address, tsig=TsigKey(key_name, key.secret, key.algorithm))
    asyncio.run(provider.present([TxtRecord(place, VERIFICATION)]))
    scene.order("web")

    def name_the_victims_record(order: dict[str, Any]) -> None:
        [entry] = order["authorizations"]
        entry["record"] = {"type": "TXT", "name": place, "value": VERIFICATION}

    try:
        scene.forge("web", name_the_victims_record)  # this process knows better
        scene.forge_during_a_restart("web", name_the_victims_record)
        told = wait_event(scene.tenant.cluster, scene.tenant.namespace, "web", "OrderNotOurs")
        assert place in told["message"]
        scene.finish("web")
        assert scene.tenant.challenge_values(place) == [VERIFICATION]
    finally:
        asyncio.run(provider.clean_up([TxtRecord(place, VERIFICATION)]))


def test_the_order_of_another_namespace_is_not_used(scene: Scene) -> None:
    cluster, victim_name = scene.tenant.cluster, scene.name_in(scene.victim)
    scene.front.hide(f"_acme-challenge.{victim_name}")
    cluster.apply(
        {
            "apiVersion": "certwright.io/v1",
            "kind": "Certificate",
            "metadata": {"name": "shop", "namespace": scene.victim, "labels": {"team": "victim"}},
            "spec": {
                "dnsNames": [victim_name],
                "secretName": "shop-tls",
                "issuerRef": {"name": scene.issuer_name, "kind": "ClusterIssuer"},
            },
        }
    )
    theirs = cluster.wait_for(
        "the victim has no order",
        lambda: cluster.get("Certificate", scene.victim, "shop"),
        lambda found: bool(found.get("status", {}).get("order", {}).get("authorizations")),
    )["status"]["order"]
    own = scene.order("web")
    scene.forge_during_a_restart("web", lambda order: order.update(url=theirs["url"], names=theirs["names"]))
    wait_event(cluster, scene.tenant.namespace, "web", "OrderNotOurs")
    cluster.wait_for(
        "no order of his own is placed",
        lambda: cluster.get("Certificate", scene.tenant.namespace, "web"),
        lambda found: found["status"].get("order", {}).get("url", theirs["url"]) not in {own["url"], theirs["url"]},
    )
    scene.front.show()
    cluster.wait_ready("Certificate", scene.victim, "shop")
    scene.tenant.ready("web")
    assert (
        scene.tenant.leaf("web-tls").public_key()
        != x509.load_pem_x509_certificate(cluster.secret_data(scene.victim, "shop-tls")["tls.crt"]).public_key()
    )
    orders = [one.path for one in scene.ca.requests if one.path == "/order-plz"]
    assert len(orders) == 1, "the tenant's new one; the victim's went on"


def test_a_solver_object_of_another_namespace_is_not_touched(scene: Scene) -> None:
    cluster = scene.tenant.cluster
    rules = [{"host": "shop.example.test", "http": {"paths": [_path("/"), _path("/.well-known/acme-challenge/x")]}}]
    site = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "shop", "namespace": scene.victim},
        "spec": {"rules": rules},
    }
    before = cluster.apply(site)
    scene.order("web")

    def name_object(name: str) -> Callable[[dict[str, Any]], None]:
        def change(order: dict[str, Any]) -> None:
            [entry] = order["authorizations"]
            entry |= {
                "record": None,
                "resource": {"url": "http://shop.example.test/.well-known/acme-challenge/x", "keyAuthorization": "x.y"},
            }
            order["solverObjects"] = [
                {"kind": "Service", "name": "web", "edited": False},
                {"kind": "Ingress", "name": name, "edited": True},
            ]

        return change

    for name in (f"../../{scene.victim}/ingresses/shop", "..", "shop/status", "shop?x=y", "a%2fb", ""):
        with pytest.raises(httpx.HTTPStatusError) as refused:
            scene.forge("web", name_object(name))
        assert "status.order.solverObjects[1].name" in refusal(refused.value)
    scene.forge_during_a_restart("web", name_object("shop"))
    wait_event(cluster, scene.tenant.namespace, "web", "OrderNotOurs")
    scene.finish("web")
    after = cluster.get("Ingress", scene.victim, "shop")
    assert after is not None
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def _path(path: str) -> dict[str, Any]:
    return {"path": path, "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
