"""An issuer's account at a CA that registers its customers only, that forgets all of them, and that is closed."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from certwright.acme import AccountKey, AcmeServer, Client, HttpxTransport, Unauthorized
from harness import Tenant, certificate, issuer
from harness.forward_proxy import ForwardProxy
from harness.mistakes import message_of
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed.parts.pebble import Pebble

MAC = base64.urlsafe_b64encode(bytes(range(100, 132))).decode().rstrip("=")


def test_accounts_are_bound_and_bound_again_when_the_ca_has_forgotten_them(
    tenant: Tenant, make_pebble: Callable[..., Pebble], name: str
) -> None:
    pebble = make_pebble(eab_required=True, eab_keys={"kid-1": MAC}, nonce_reject_percent=0)
    cluster, namespace = tenant.cluster, tenant.namespace

    def write_key(text: str) -> None:
        metadata = {"name": "eab", "namespace": namespace}
        cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"mac": text}})

    def condition(body: dict[str, Any]) -> str:
        return str(body["status"]["conditions"][0]["reason"]) if body["status"].get("conditions") else ""

    def wait_reason(reason: str) -> dict[str, Any]:
        return cluster.wait_for(
            f"the issuer does not say {reason}",
            lambda: cluster.get("Issuer", namespace, "bound"),
            lambda body: condition(body) == reason,
        )

    cluster.apply(issuer(tenant.bed, namespace, name="bound", pebble=pebble))
    wait_reason("ExternalAccountRequired")
    wrong = base64.b64encode(b"the key of another customer").decode()
    write_key(wrong)
    binding = {"keyID": "kid-1", "keySecretRef": {"name": "eab", "key": "mac"}}
    cluster.apply(issuer(tenant.bed, namespace, name="bound", pebble=pebble, externalAccountBinding=binding))
    refused = wait_reason("ExternalAccountRefused")
    assert wrong not in str(refused["status"])
    write_key(f"{MAC}=\n")
    first = cluster.wait_ready("Issuer", namespace, "bound")
    assert first["status"]["acme"]["offers"]["externalAccountRequired"] is True
    cluster.apply(certificate(namespace, "before", [f"before.{name}"], issuerRef={"name": "bound"}))
    tenant.ready("before")

    pebble.stop()
    pebble.start()
    cluster.apply(certificate(namespace, "after", [f"after.{name}"], issuerRef={"name": "bound"}))
    after = tenant.ready("after")
    assert after["status"].get("failedAttempts", 0) == 0
    again = cluster.wait_ready("Issuer", namespace, "bound")
    assert again["status"]["acme"]["keyThumbprint"] == first["status"]["acme"]["keyThumbprint"]


def test_an_account_is_closed_though_its_secret_went_first(tenant: Tenant) -> None:
    """As in a namespace that is deleted: Kubernetes deletes its Secrets while the issuer is held."""
    cluster, namespace, pebble = tenant.cluster, tenant.namespace, tenant.bed.pebble
    cluster.apply(issuer(tenant.bed, namespace, name="leaving", deactivateOnDelete=True))
    url = cluster.wait_ready("Issuer", namespace, "leaving")["status"]["acme"]["uri"]
    key = AccountKey.from_pem(cluster.secret_data(namespace, "leaving-account")["tls.key"])
    assert asyncio.run(account_state(pebble, key, url)) == "valid"
    cluster.delete("Secret", namespace, "leaving-account")
    cluster.delete("Issuer", namespace, "leaving")
    cluster.wait_gone("Issuer", namespace, "leaving")
    assert asyncio.run(account_state(pebble, key, url)) == "closed"


def test_an_issuer_that_cannot_go_yet_says_why_and_goes_when_its_owner_wants_it(
    tenant: Tenant, make_pebble: Callable[..., Pebble]
) -> None:
    cluster, namespace, ca = tenant.cluster, tenant.namespace, make_pebble()
    manifest = issuer(tenant.bed, namespace, name="leaving", pebble=ca, deactivateOnDelete=True)
    cluster.apply(manifest)
    cluster.wait_ready("Issuer", namespace, "leaving")
    ca.stop()
    tenant.apply("ordering", f"ordering.{namespace}.example.test", issuerRef={"name": "leaving"})
    cluster.delete("Issuer", namespace, "leaving")
    said = message_of(cluster.wait_condition("Issuer", namespace, "leaving", "Ready", "False"))
    assert "Connection refused" in said
    assert "deactivateOnDelete to false" in said
    assert tenant.not_ready("ordering", "IssuerNotReady")
    cluster.patch("Issuer", namespace, "leaving", {"spec": {"acme": {"deactivateOnDelete": False}}})
    cluster.wait_gone("Issuer", namespace, "leaving")
    assert tenant.not_ready("ordering", "IssuerNotFound")


async def account_state(pebble: Pebble, key: AccountKey, url: str) -> str:
    async with HttpxTransport(ca_bundle=pebble.ca_bundle.read_text()) as transport:
        client = Client(AcmeServer(pebble.directory_url, transport), key, account_url=url)
        try:
            return (await client.fetch_account()).status.value
        except Unauthorized:
            return "closed"


def test_a_proxy_that_wants_another_password_is_told_without_it_and_used_once_it_is_right(
    tenant: Tenant, operator_log: Path
) -> None:
    cluster, namespace = tenant.cluster, tenant.namespace

    def login(password: str) -> None:
        entries = {"username": "user", "password": password}
        metadata = {"name": "login", "namespace": namespace}
        cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": entries})

    with ForwardProxy("user", "the-right-one") as proxy:
        login("the-wrong-one")
        settings = {"url": proxy.url, "credentialsSecretRef": {"name": "login"}}
        cluster.apply(issuer(tenant.bed, namespace, name="behind", proxy=settings))
        found = cluster.wait_condition("Issuer", namespace, "behind", "Ready", "False", reason="CAUnreachable")
        said = message_of(found)
        assert "the proxy wants another user name or password (407)" in said
        assert "spec.acme.proxy.credentialsSecretRef" in said
        login("the-right-one")
        cluster.wait_ready("Issuer", namespace, "behind")
        tenant.apply("behind", f"behind.{namespace}.example.test", issuerRef={"name": "behind"})
        tenant.ready("behind")
        assert set(proxy.tunnels) == {urlsplit(tenant.bed.pebble.directory_url).netloc}
        shown = str([found, cluster.events(namespace, "behind")]) + operator_log.read_text()
        for password in ("the-wrong-one", "the-right-one"):
            assert password not in shown
            assert base64.b64encode(f"user:{password}".encode()).decode() not in shown
        cluster.delete("Issuer", namespace, "behind")
        cluster.wait_gone("Issuer", namespace, "behind")


def test_two_issuers_with_one_key_and_two_requests_come_to_rest(
    tenant: Tenant, make_pebble: Callable[..., Pebble]
) -> None:
    cluster, namespace, ca = tenant.cluster, tenant.namespace, make_pebble(nonce_reject_percent=0)
    with RecordingProxy.for_pebble(ca) as proxy:
        for name in ("one", "two"):
            manifest = issuer(tenant.bed, namespace, name=name, pebble=ca, server=proxy.directory_url)
            manifest["spec"]["acme"]["privateKeySecretRef"] = {"name": "shared"}
            cluster.apply(manifest)
            cluster.wait_ready("Issuer", namespace, name)
        first = cluster.wait_ready("Issuer", namespace, "one")["status"]["acme"]
        for name, request in (("one", "incident-7"), ("two", "incident-8")):
            change = {"spec": {"acme": {"accountKeyRotation": {"request": request}}}}
            cluster.patch("Issuer", namespace, name, change)
        wanted = {"certwright.io/account-key-request", "certwright.io/account-key-former-requests"}
        done = cluster.wait_for(
            "both requests are not carried out",
            lambda: cluster.get("Secret", namespace, "shared"),
            lambda found: wanted <= found["metadata"].get("annotations", {}).keys(),
        )
        notes = done["metadata"]["annotations"]
        assert {notes[name] for name in wanted} == {"incident-7", "incident-8"}
        for name in ("one", "two"):
            tenant.apply(name, f"{name}.{namespace}.example.test", issuerRef={"name": name})
            tenant.ready(name)
            account = cluster.wait_ready("Issuer", namespace, name)["status"]["acme"]
            assert account["uri"] == first["uri"]
            assert account["keyThumbprint"] != first["keyThumbprint"]
        assert proxy.counts()["POST", "/rollover-account-key"] == 2
