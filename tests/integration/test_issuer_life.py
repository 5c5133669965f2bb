"""An issuer's account at a CA that registers its customers only, and that forgets all of them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from harness import Tenant, certificate, issuer

if TYPE_CHECKING:
    from collections.abc import Callable

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
