"""Revocation at a real CA: what it says of a certificate afterwards."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from certwright.certificates.secret.annotations import CONTENT_DIGEST_ANNOTATION, content_digest
from certwright.pki import load_private_key
from certwright.pki.keys import public_key_digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Tenant


def status_of(tenant: Tenant, serial: int) -> object:
    return tenant.bed.pebble.certificate_status(serial)["Status"]


def ask(
    tenant: Tenant, name: str, request_id: str, spec: dict[str, Any] | None = None, **request: Any
) -> dict[str, Any]:
    """Ask for a revocation, and return the entry of the request once it is finished."""
    change = {"spec": {**(spec or {}), "request": {"id": request_id, "action": "Revoke", **request}}}
    tenant.cluster.patch("Certificate", tenant.namespace, name, change)

    def entry(found: dict[str, Any]) -> dict[str, Any]:
        entries = found.get("status", {}).get("requests", ())
        return next((one for one in entries if one["id"] == request_id), {})

    found = tenant.cluster.wait_for(
        f"request {request_id} was not finished",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, name),
        lambda found: entry(found).get("state") not in {None, "Running"},
    )
    return entry(found)


def test_a_compromised_key_is_revoked_and_replaced(tenant: Tenant) -> None:
    tenant.apply("web", "leaked.revoke.example.test", privateKey={"rotationPolicy": "Never"})
    tenant.ready("web")
    old = tenant.leaf("web-tls")
    assert ask(tenant, "web", "leak", reason="keyCompromise")["state"] == "Succeeded"
    assert status_of(tenant, old.serial_number) == "Revoked"
    found = tenant.cluster.wait_for(
        "the certificate was not replaced",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, "web"),
        lambda found: found["status"]["revision"] == 2 and "order" not in found["status"],
    )
    new = tenant.leaf("web-tls")
    assert new.public_key() != old.public_key()
    assert status_of(tenant, new.serial_number) == "Valid"
    revocation = found["status"]["revocations"][0]
    assert (revocation["state"], revocation["reason"]) == ("Revoked", "keyCompromise")
    assert int(revocation["serialNumber"], 16) == old.serial_number
    kept = {one["metadata"]["name"] for one in tenant.cluster.find_all("Secret", tenant.namespace)}
    assert not [name for name in kept if name.startswith("certwright-pending-")]


def with_key_of(tenant: Tenant, other: str, name: str) -> None:
    """Have a Certificate take up the key of another one, as if people had copied it."""
    key = tenant.cluster.secret_data(tenant.namespace, f"{other}-tls")["tls.key"]
    tenant.operator.stop()  # which would write again what it has just issued
    data = {"tls.key": base64.b64encode(key).decode(), "tls.crt": ""}
    tenant.cluster.patch("Secret", tenant.namespace, f"{name}-tls", {"data": data})
    tenant.operator.start()
    wait_for_key(tenant, name, lambda found: found == key)


def wait_for_key(tenant: Tenant, name: str, is_right: Callable[[bytes], bool]) -> bytes:
    """Wait until a Secret holds a certificate with such a key, and is left at that; return the key."""

    def settled(found: dict[str, Any]) -> bool:
        secret = tenant.cluster.secret_data(tenant.namespace, f"{name}-tls")
        if not secret.get("tls.crt") or not is_right(secret["tls.key"]):
            return False
        leaf, key = tenant.leaf(f"{name}-tls"), load_private_key(secret["tls.key"])
        ready: dict[str, Any] = next((one for one in found["status"]["conditions"] if one["type"] == "Ready"), {})
        return (
            leaf.public_key() == key.public_key() and ready.get("status") == "True" and "order" not in found["status"]
        )

    tenant.cluster.wait_for(
        f"Secret {name}-tls has no certificate with such a key",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, name),
        settled,
    )
    return tenant.cluster.secret_data(tenant.namespace, f"{name}-tls")["tls.key"]


def test_a_compromised_key_comes_back_to_no_certificate_of_the_namespace(tenant: Tenant) -> None:
    never: dict[str, Any] = {"privateKey": {"rotationPolicy": "Never"}}
    for name in ("web", "api"):
        tenant.apply(name, f"{name}.shared.revoke.example.test", **never)
        tenant.ready(name)
    with_key_of(tenant, "web", "api")
    backups = {name: tenant.cluster.get("Secret", tenant.namespace, f"{name}-tls") for name in ("web", "api")}
    bad = tenant.cluster.secret_data(tenant.namespace, "web-tls")["tls.key"]
    assert ask(tenant, "web", "leak", reason="keyCompromise")["state"] == "Succeeded"
    for name in ("web", "api"):
        wait_for_key(tenant, name, lambda found: found != bad)
    known = {
        name: tenant.cluster.get("Certificate", tenant.namespace, name)["status"]["compromisedKeys"]  # type: ignore[index]
        for name in backups
    }
    assert known["web"] == known["api"] == [public_key_digest(load_private_key(bad).public_key())]
    told = [
        one["message"] for one in tenant.cluster.events(tenant.namespace, "api") if one["reason"] == "KeyCompromised"
    ]
    assert any("reported as compromised" in one for one in told), told
    # The one that was reported first goes, and the operator knows it no more; the other one's old Secret comes back.
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    tenant.operator.stop()
    tenant.operator.start()
    backup = backups["api"]
    assert backup is not None
    annotations = backup["metadata"]["annotations"]
    tenant.cluster.patch(
        "Secret", tenant.namespace, "api-tls", {"data": backup["data"], "metadata": {"annotations": annotations}}
    )
    assert tenant.cluster.secret_data(tenant.namespace, "api-tls")["tls.key"] == bad
    wait_for_key(tenant, "api", lambda found: found != bad)


def test_a_compromised_key_is_revoked_though_the_account_is_lost(tenant: Tenant) -> None:
    tenant.apply("web", "lost.revoke.example.test")
    tenant.ready("web")
    serial = tenant.leaf("web-tls").serial_number
    garbage = {"data": {"tls.key": base64.b64encode(b"lost").decode()}}
    tenant.cluster.patch("Secret", tenant.namespace, "pebble-account", garbage)
    tenant.operator.stop()
    tenant.operator.start()
    tenant.cluster.wait_condition("Issuer", tenant.namespace, "pebble", "Ready", "False")
    ended = ask(tenant, "web", "leak", reason="keyCompromise")
    assert ended["state"] == "Succeeded", ended["message"]
    assert status_of(tenant, serial) == "Revoked"


def test_deleting_a_certificate_revokes_what_its_secret_holds(tenant: Tenant) -> None:
    tenant.apply("web", "deleted.revoke.example.test", revokeOnDelete=True, secretOwnerReference=True)
    tenant.ready("web")
    serial = tenant.leaf("web-tls").serial_number
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    assert status_of(tenant, serial) == "Revoked"


def test_a_namespace_whose_certificates_are_to_be_revoked_can_be_deleted(tenant: Tenant) -> None:
    tenant.apply("web", "namespace.revoke.example.test", revokeOnDelete=True)
    tenant.ready("web")
    tenant.cluster.delete("Namespace", None, tenant.namespace)
    tenant.cluster.wait_gone("Namespace", None, tenant.namespace)


def test_another_tenants_certificate_is_not_revoked(tenant: Tenant) -> None:
    tenant.apply("victim", "victim.revoke.example.test")
    tenant.ready("victim")
    tenant.apply("thief", "thief.revoke.example.test")
    tenant.ready("thief")
    chain = tenant.cluster.secret_data(tenant.namespace, "victim-tls")["tls.crt"]  # as every TLS client gets it
    key = tenant.cluster.secret_data(tenant.namespace, "thief-tls")["tls.key"]
    names = {"dnsNames": ["victim.revoke.example.test"]}
    tenant.cluster.patch("Certificate", tenant.namespace, "thief", {"spec": {**names, "paused": True}})
    stolen = {
        "metadata": {"annotations": {CONTENT_DIGEST_ANNOTATION: content_digest(chain, key)}},
        "data": {"tls.crt": base64.b64encode(chain).decode()},
    }
    tenant.cluster.patch("Secret", tenant.namespace, "thief-tls", stolen)
    ended = ask(tenant, "thief", "theft", {"paused": False}, reason="keyCompromise")
    assert ended["state"] == "Failed"
    assert "its tls.key does not match its tls.crt" in ended["message"]
    assert status_of(tenant, tenant.leaf("victim-tls").serial_number) == "Valid"
