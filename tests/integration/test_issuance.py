"""From a Certificate to a Secret, on real parts: the names and keys that can be had, the forms a CA may answer in."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from harness import certificate, issuer, tsig_secret
from harness.dns_front import DnsFront
from testbed.exchanges import Action, Forward, Request, Respond, Response
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from harness import Tenant
    from testbed.bed import TestBed
    from testbed.parts.pebble import Pebble


def names_of(leaf: x509.Certificate) -> list[str]:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return sorted(names.get_values_for_type(x509.DNSName))


def test_one_name_ends_in_a_secret_that_servers_can_use(tenant: Tenant) -> None:
    tenant.apply("web", "web.example.test")
    found = tenant.ready("web")
    data = tenant.cluster.secret_data(tenant.namespace, "web-tls")
    leaf = tenant.leaf("web-tls")
    assert set(data) == {"tls.crt", "tls.key"}
    assert names_of(leaf) == ["web.example.test"]
    assert load_pem_private_key(data["tls.key"], None).public_key() == leaf.public_key()
    status = found["status"]
    assert status["revision"] == 1
    assert int(status["serialNumber"], 16) == leaf.serial_number
    assert "order" not in status
    assert "finalizers" not in found["metadata"]
    assert tenant.challenge_values("_acme-challenge.web.example.test") == []


def test_fifty_names_are_one_order(tenant: Tenant) -> None:
    names = sorted(f"n{number}.fifty.example.test" for number in range(50))
    tenant.apply("fifty", *names)
    tenant.ready("fifty")
    assert names_of(tenant.leaf("fifty-tls")) == names
    left = [name for name in tenant.bed.bind.txt_records("example.test") if name.endswith(".fifty.example.test")]
    assert left == []


def test_a_wildcard_and_its_apex_are_two_values_at_one_name(tenant: Tenant, dns_front: DnsFront) -> None:
    place = "_acme-challenge.apex.example.test"
    dns_front.hide(place)
    tenant.add_issuer("slow", dns_server=dns_front.address)
    tenant.apply("apex", "apex.example.test", "*.apex.example.test", issuerRef={"name": "slow"})
    tenant.under_way("apex")
    assert len(tenant.challenge_values(place)) == 2
    dns_front.show()
    tenant.ready("apex")
    assert names_of(tenant.leaf("apex-tls")) == ["*.apex.example.test", "apex.example.test"]
    assert tenant.challenge_values(place) == []


def test_a_delegated_name_is_proved_where_the_cname_leads(
    tenant: Tenant, dns_front: DnsFront, make_pebble: Callable[..., Pebble]
) -> None:
    place = "shop.delegated.test"
    tenant.bed.bind.change("example.test", "add", "_acme-challenge.shop", 1, "CNAME", f"{place}.")
    dns_front.hide(place)
    with DnsFront(tenant.bed.bind, follow_cnames=True) as resolver:
        ca = make_pebble(dns_server=resolver.address)
        tenant.add_issuer("slow", pebble=ca, dns_server=dns_front.address)
        tenant.apply("shop", "shop.example.test", issuerRef={"name": "slow"})
        tenant.under_way("shop")
        assert len(tenant.challenge_values(place)) == 1
        dns_front.show()
        tenant.ready("shop")
    assert names_of(tenant.leaf("shop-tls")) == ["shop.example.test"]
    assert tenant.challenge_values(place) == []
    tenant.bed.bind.change("example.test", "delete", "_acme-challenge.shop")


def is_rsa(key: PrivateKeyTypes) -> bool:
    return isinstance(key, rsa.RSAPrivateKey) and key.key_size == 2048


def is_p256(key: PrivateKeyTypes) -> bool:
    return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)


def is_p384(key: PrivateKeyTypes) -> bool:
    return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP384R1)


@pytest.mark.parametrize(
    ("private_key", "header", "is_right"),
    [
        ({}, b"-----BEGIN PRIVATE KEY-----", is_p256),
        ({"algorithm": "ECDSA", "size": 384}, b"-----BEGIN PRIVATE KEY-----", is_p384),
        ({"algorithm": "ECDSA", "encoding": "PKCS1"}, b"-----BEGIN EC PRIVATE KEY-----", is_p256),
        ({"algorithm": "RSA"}, b"-----BEGIN PRIVATE KEY-----", is_rsa),
        ({"algorithm": "RSA", "size": 2048, "encoding": "PKCS1"}, b"-----BEGIN RSA PRIVATE KEY-----", is_rsa),
    ],
    ids=["default", "P-384", "P-256-PKCS1", "RSA", "RSA-PKCS1"],
)
def test_the_private_key_is_what_was_asked_for(
    tenant: Tenant, private_key: dict[str, Any], header: bytes, is_right: Callable[[PrivateKeyTypes], bool]
) -> None:
    tenant.apply("key", "key.example.test", privateKey=private_key)
    tenant.ready("key")
    pem = tenant.cluster.secret_data(tenant.namespace, "key-tls")["tls.key"]
    key = load_pem_private_key(pem, None)
    assert pem.startswith(header)
    assert is_right(key), key
    assert key.public_key() == tenant.leaf("key-tls").public_key()


def test_a_key_that_the_ca_does_not_take_is_said_and_not_tried_again_at_once(
    tenant: Tenant, counted_ca: RecordingProxy
) -> None:
    tenant.add_issuer("counted", server=counted_ca.directory_url)
    tenant.apply("key", "key.example.test", privateKey={"algorithm": "Ed25519"}, issuerRef={"name": "counted"})
    condition = tenant.not_ready("key", "BadCSR")
    assert "Ed25519 is not supported" in condition["message"]
    tenant.apply("key", "key.example.test", issuerRef={"name": "counted"})  # the default is taken again
    tenant.ready("key")
    assert counted_ca.counts()["POST", "/order-plz"] == 2


def test_a_root_that_comes_with_the_chain_goes_to_ca_crt(tenant: Tenant, make_pebble: Callable[..., Pebble]) -> None:
    ca = make_pebble()
    root = ca.root_pem()

    def add_root(_: Request, response: Response) -> Action:
        if not response.headers.get("Content-Type", "").startswith("application/pem-certificate-chain"):
            return Forward()
        return Respond(response.status, response.body + root, dict(response.headers))

    with RecordingProxy.for_pebble(ca) as proxy:
        proxy.on_response = add_root
        tenant.add_issuer("with-root", server=proxy.directory_url)
        tenant.apply("web", "root.example.test", issuerRef={"name": "with-root"})
        tenant.ready("web")
    assert tenant.cluster.secret_data(tenant.namespace, "web-tls")["ca.crt"].strip() == root.strip()


def test_a_cluster_issuer_uses_the_secrets_of_the_operators_namespace(tenant: Tenant) -> None:
    name = f"shared-{secrets.token_hex(4)}"
    tenant.cluster.apply(tsig_secret(tenant.bed, "certwright", name=f"{name}-tsig"))
    tenant.cluster.apply(issuer(tenant.bed, None, name=name, tsig=f"{name}-tsig"))
    try:
        tenant.cluster.wait_ready("ClusterIssuer", None, name)
        tenant.apply("web", "shared.example.test", issuerRef={"name": name, "kind": "ClusterIssuer"})
        tenant.ready("web")
        assert names_of(tenant.leaf("web-tls")) == ["shared.example.test"]
        assert tenant.cluster.get("Secret", "certwright", f"{name}-account") is not None
        assert tenant.cluster.get("Secret", tenant.namespace, f"{name}-account") is None
    finally:
        tenant.cluster.delete("ClusterIssuer", None, name)
        tenant.cluster.delete("Secret", "certwright", f"{name}-tsig")
        tenant.cluster.delete("Secret", "certwright", f"{name}-account")


@pytest.mark.parametrize("percent", [0, 50, 100])
def test_authorizations_may_or_may_not_be_valid_already(
    tenant: Tenant, make_pebble: Callable[..., Pebble], percent: int
) -> None:
    ca = make_pebble(authz_reuse_percent=percent, nonce_reject_percent=30)
    tenant.add_issuer("ca", pebble=ca)
    names = [f"n{number}.reuse.example.test" for number in range(6)]
    tenant.apply("first", *names, issuerRef={"name": "ca"})
    tenant.ready("first")
    for name in ("second", "third"):
        tenant.apply(name, *names, issuerRef={"name": "ca"})
    for name in ("second", "third"):
        found = tenant.ready(name)
        assert found["status"]["revision"] == 1


@pytest.mark.parametrize("form", ["seconds", "HTTP date"])
def test_the_ca_says_when_to_ask_again(tenant: Tenant, counted_ca: RecordingProxy, form: str) -> None:
    seconds = 3
    asked: list[float] = []

    def come_back_later(request: Request, response: Response) -> Action:
        if request.path.startswith("/my-order/") and asked:
            asked.append(time.monotonic())
        if not request.path.startswith("/finalize-order/"):
            return Forward()
        asked.append(time.monotonic())
        later = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds), usegmt=True)
        wait = {"Retry-After": str(seconds) if form == "seconds" else later}
        return Respond(response.status, response.body, {**response.headers, **wait})

    counted_ca.on_response = come_back_later
    tenant.add_issuer("ca", server=counted_ca.directory_url)
    tenant.apply("web", "later.example.test", issuerRef={"name": "ca"})
    tenant.ready("web")
    finalized, first_look = asked[:2]
    # An HTTP date has whole seconds. Unasked, the operator looks after a quarter of one.
    assert first_look - finalized >= seconds - 1


def test_two_certificates_for_one_name_leave_each_others_record_alone(
    tenant: Tenant, make_pebble: Callable[..., Pebble], dns_front: DnsFront
) -> None:
    place = "_acme-challenge.both.example.test"
    dns_front.hide(place)
    tenant.add_issuer("slow", pebble=make_pebble(authz_reuse_percent=0), dns_server=dns_front.address)
    tenant.add_issuer("fast", pebble=make_pebble(authz_reuse_percent=0))
    tenant.apply("slow", "both.example.test", issuerRef={"name": "slow"})
    slow = tenant.under_way("slow")["status"]["order"]["authorizations"][0]["record"]["value"]
    tenant.apply("fast", "both.example.test", issuerRef={"name": "fast"})
    tenant.ready("fast")
    assert tenant.challenge_values(place) == [slow]
    dns_front.show()
    tenant.ready("slow")
    assert tenant.challenge_values(place) == []


def test_certificates_for_one_name_in_many_places_at_once_are_all_issued(
    tenant: Tenant, make_pebble: Callable[..., Pebble]
) -> None:
    tenant.add_issuer("ca", pebble=make_pebble(authz_reuse_percent=50))
    wanted = [f"copy{number}" for number in range(8)]
    for name in wanted:
        tenant.apply(name, "copies.example.test", "*.copies.example.test", issuerRef={"name": "ca"})
    for name in wanted:
        found = tenant.ready(name)
        assert "failedAttempts" not in found["status"] or found["status"]["failedAttempts"] == 0
    assert tenant.challenge_values("_acme-challenge.copies.example.test") == []


def test_the_same_name_in_two_namespaces(tenant: Tenant, bed: TestBed) -> None:
    other = f"{tenant.namespace}-2"
    cluster = tenant.cluster
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
    try:
        cluster.apply(tsig_secret(bed, other))
        cluster.apply(issuer(bed, other))
        cluster.apply(certificate(other, "web", ["spaces.example.test"]))
        tenant.apply("web", "spaces.example.test")
        tenant.ready("web")
        cluster.wait_ready("Certificate", other, "web")
    finally:
        cluster.delete("Namespace", None, other)
