"""Keystores and further formats in a real Secret, read by Java's keytool; and what a Secret comes back from."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key, pkcs12

from harness.keytool import Entry, entries_of, key_of
from harness.manifests import certificate
from testbed.parts.pebble import NEW_ORDER

if TYPE_CHECKING:
    from pathlib import Path

    from harness import Tenant
    from testbed.proxy import RecordingProxy

DERIVED = {"keystore.p12", "keystore.jks", "key.der", "tls-combined.pem"}
REFERENCE = {"name": "keystore-password", "key": "password"}
OUTPUTS: dict[str, Any] = {
    "keystores": {
        "pkcs12": {"create": True, "passwordSecretRef": REFERENCE},
        "jks": {"create": True, "passwordSecretRef": REFERENCE},
    },
    "additionalOutputFormats": [{"type": "DER"}, {"type": "CombinedPEM"}],
}


def password_secret(tenant: Tenant, password: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "keystore-password", "namespace": tenant.namespace},
        "data": {"password": base64.b64encode(password.encode()).decode()},
    }


def data_where(tenant: Tenant, what: str, holds: Any) -> dict[str, bytes]:
    found = tenant.cluster.wait_for(
        what,
        lambda: tenant.cluster.get("Secret", tenant.namespace, "web-tls"),
        lambda body: holds(set(body.get("data") or ())),
    )
    return {entry: base64.b64decode(text) for entry, text in found["data"].items()}


def test_java_opens_the_keystores_of_the_certificate_and_they_go_when_they_are_not_asked_for(
    tenant: Tenant, tmp_path: Path
) -> None:
    tenant.cluster.apply(password_secret(tenant, "changeit"))
    tenant.apply("web", "keystores.example.test", **OUTPUTS)
    tenant.ready("web")
    data = data_where(tenant, "the keystores are not there", DERIVED.issubset)
    leaf = x509.load_pem_x509_certificate(data["tls.crt"])
    for entry, alias in (("keystore.p12", "1"), ("keystore.jks", "certificate")):
        path = tmp_path / entry
        path.write_bytes(data[entry])
        assert Entry(alias, "PrivateKeyEntry") in entries_of(path, "changeit")
        opened = pkcs12.load_pkcs12(key_of(path, "changeit", tmp_path), b"changeit")
        assert opened.key is not None
        assert opened.key.public_key() == leaf.public_key()
    assert load_der_private_key(data["key.der"], None).public_key() == leaf.public_key()
    assert data["tls-combined.pem"] == data["tls.key"] + b"\n" + data["tls.crt"]

    # A restored backup owns the entries too: server-side apply alone would leave them.
    secret = tenant.cluster.get("Secret", tenant.namespace, "web-tls") or {}
    patch = {"data": {**{entry: secret["data"][entry] for entry in DERIVED}, "other.txt": "eA=="}}
    tenant.bed.kubectl(
        *("--namespace", tenant.namespace, "patch", "secret", "web-tls", "--type", "merge"),
        *("--field-manager", "velero", "--patch", json.dumps(patch)),
    )
    body = certificate(tenant.namespace, "web", ["keystores.example.test"], privateKey={"encoding": "PKCS1"})
    tenant.cluster.apply(body)
    after = data_where(tenant, "the keystores are still there", DERIVED.isdisjoint)
    assert after["other.txt"] == b"x"
    assert after["tls.crt"] == data["tls.crt"]
    assert after["tls.key"].startswith(b"-----BEGIN EC PRIVATE KEY-----")
    assert tenant.ready("web")["status"]["revision"] == 1


def test_a_missing_password_is_told_and_the_certificate_is_issued(tenant: Tenant) -> None:
    tenant.apply("web", "no-password.example.test", keystores=OUTPUTS["keystores"])
    assert "Secret keystore-password does not exist" in tenant.not_ready("web", "KeystorePasswordMissing")["message"]
    assert "tls.crt" in tenant.cluster.secret_data(tenant.namespace, "web-tls")


def test_a_secret_that_is_lost_comes_back_from_the_kept_revisions_after_a_restart(
    tenant: Tenant, counted_ca: RecordingProxy
) -> None:
    tenant.add_issuer("counted", server=counted_ca.directory_url)
    tenant.apply("web", "kept.example.test", issuerRef={"name": "counted"}, revisionHistoryLimit=2)
    tenant.cluster.wait_for(
        "the revision is not kept",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, "web"),
        lambda body: [one["revision"] for one in body.get("status", {}).get("revisions", ())] == [1],
    )
    before = tenant.cluster.secret_data(tenant.namespace, "web-tls")
    tenant.operator.stop()
    tenant.cluster.delete("Secret", tenant.namespace, "web-tls")
    tenant.operator.start()
    after = data_where(tenant, "the Secret has not come back", {"tls.crt"}.issubset)
    assert (after["tls.crt"], after["tls.key"]) == (before["tls.crt"], before["tls.key"])
    tenant.ready("web")
    assert counted_ca.counts()[NEW_ORDER] == 1


def test_a_backup_is_restored_after_everything_was_deleted_without_an_order(
    tenant: Tenant, counted_ca: RecordingProxy
) -> None:
    tenant.add_issuer("counted", server=counted_ca.directory_url)
    tenant.apply("web", "moved.example.test", issuerRef={"name": "counted"})
    tenant.ready("web")
    secret = tenant.cluster.get("Secret", tenant.namespace, "web-tls") or {}
    backup = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": secret["type"],
        "metadata": {
            **{key: secret["metadata"][key] for key in ("labels", "annotations")},
            "name": "web-tls",
            "namespace": tenant.namespace,
        },
        "data": secret["data"],
    }
    uid = (tenant.cluster.get("Certificate", tenant.namespace, "web") or {})["metadata"]["uid"]
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    tenant.cluster.delete("Secret", tenant.namespace, "web-tls")
    tenant.cluster.wait_gone("Secret", tenant.namespace, "web-tls")
    tenant.cluster.apply(backup)
    tenant.apply("web", "moved.example.test", issuerRef={"name": "counted"})
    found = tenant.ready("web")
    assert found["metadata"]["uid"] != uid
    assert tenant.cluster.secret_data(tenant.namespace, "web-tls")["tls.crt"] == base64.b64decode(
        backup["data"]["tls.crt"]
    )
    assert found["status"]["revision"] == 1
    assert counted_ca.counts()[NEW_ORDER] == 1
