"""Secrets that are not ours to write: refused, untouched, and used once they are out of the way."""

from __future__ import annotations

import base64
import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from harness.mistakes import shown, wait_event

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness import Tenant

pytestmark = pytest.mark.usefixtures("operator")

TLS = "kubernetes.io/tls"
SOMEBODY_ELSES = "somebody-elses-password"
NOT_A_KEY = "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5IGF0IGFsbA==\n-----END PRIVATE KEY-----\n"


@dataclass(frozen=True)
class Refusal:
    """A Secret that stands in the way, and what is said about it."""

    type: str
    data: Mapping[str, str]
    reason: str
    words: tuple[str, ...]
    immutable: bool = False

    def manifest(self, namespace: str, name: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace, "labels": {"team": "theirs"}},
            "type": self.type,
            "data": {entry: base64.b64encode(text.encode()).decode() for entry, text in self.data.items()},
            "immutable": self.immutable,
        }


REFUSALS: dict[str, Refusal] = {
    "opaque": Refusal(
        "Opaque",
        {"password": SOMEBODY_ELSES},
        "SecretNotOurs",
        ("Secret opaque-tls exists with type Opaque", "cannot be changed to kubernetes.io/tls"),
    ),
    "empty-opaque": Refusal("Opaque", {}, "SecretNotOurs", ("Secret empty-opaque-tls exists with type Opaque",)),
    "no-certificate": Refusal(
        TLS,
        {"tls.crt": SOMEBODY_ELSES, "tls.key": SOMEBODY_ELSES},
        "SecretNotOurs",
        ("Secret no-certificate-tls holds data that Certwright did not write", "no PEM certificate"),
    ),
    "no-key": Refusal(
        TLS,
        {"tls.crt": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "tls.key": NOT_A_KEY},
        "SecretNotOurs",
        ("Secret no-key-tls holds data that Certwright did not write",),
    ),
    "key-alone": Refusal(
        TLS,
        {"tls.crt": "", "tls.key": NOT_A_KEY},
        "SecretNotOurs",
        ("Secret key-alone-tls holds data that Certwright did not write", "its tls.crt is missing"),
    ),
    "immutable": Refusal(
        TLS,
        {"tls.crt": "", "tls.key": ""},
        "SecretImmutable",
        ("Secret immutable-tls is immutable", "Delete the Secret"),
        immutable=True,
    ),
}
NAMES = [*REFUSALS, "of-another-name"]


@pytest.fixture(scope="module")
def before(module_tenant: Tenant) -> dict[str, dict[str, Any]]:
    """The Secrets as they were; a Certificate for each of them, and a good one after them."""
    tenant, cluster, namespace = module_tenant, module_tenant.cluster, module_tenant.namespace
    secrets = {name: cluster.apply(refusal.manifest(namespace, f"{name}-tls")) for name, refusal in REFUSALS.items()}
    tenant.apply("elsewhere", f"elsewhere.{namespace}.example.test")
    tenant.ready("elsewhere")
    pair = {entry: data.decode() for entry, data in cluster.secret_data(namespace, "elsewhere-tls").items()}
    foreign = Refusal(TLS, pair, "SecretNotOurs", ())
    secrets["of-another-name"] = cluster.apply(foreign.manifest(namespace, "of-another-name-tls"))
    for name in NAMES:
        tenant.apply(name, dns_name(tenant, name))
    tenant.apply("good", dns_name(tenant, "good"))
    return secrets


@pytest.fixture(scope="module")
def deleted(module_tenant: Tenant, before: dict[str, dict[str, Any]]) -> None:
    """All of them, so that the Certificates go on side by side."""
    for name in before:
        module_tenant.not_ready(name, expected(module_tenant, name)[0])
    for name in before:
        module_tenant.cluster.delete("Secret", module_tenant.namespace, f"{name}-tls")


def dns_name(tenant: Tenant, name: str) -> str:
    return f"{name}.{tenant.namespace}.example.test"


def expected(tenant: Tenant, name: str) -> tuple[str, tuple[str, ...]]:
    if name in REFUSALS:
        return REFUSALS[name].reason, REFUSALS[name].words
    elsewhere, here = dns_name(tenant, "elsewhere"), dns_name(tenant, name)
    return "SecretNotOurs", (f"Secret {name}-tls", f"for {elsewhere} and not for {here}")


@pytest.mark.usefixtures("before")
def test_a_good_certificate_beside_them_is_issued(module_tenant: Tenant) -> None:
    module_tenant.ready("good")


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_that_is_not_ours_is_refused_and_untouched(
    module_tenant: Tenant, before: dict[str, dict[str, Any]], name: str
) -> None:
    reason, words = expected(module_tenant, name)
    message = module_tenant.not_ready(name, reason)["message"]
    assert not [text for text in (*words, "choose another secretName") if text not in message], message
    event = wait_event(module_tenant.cluster, module_tenant.namespace, name, reason)
    assert (event["type"], event["message"]) == ("Warning", message)
    # Not even read and written back: managedFields and resourceVersion are the same.
    assert module_tenant.cluster.get("Secret", module_tenant.namespace, f"{name}-tls") == before[name]
    found = module_tenant.cluster.get("Certificate", module_tenant.namespace, name) or {}
    assert "order" not in found["status"]


@pytest.mark.usefixtures("deleted")
@pytest.mark.parametrize("name", NAMES)
def test_the_certificate_is_issued_once_the_secret_is_gone(module_tenant: Tenant, name: str) -> None:
    found = module_tenant.ready(name)
    assert found["status"]["revision"] == 1
    assert set(module_tenant.cluster.secret_data(module_tenant.namespace, f"{name}-tls")) >= {"tls.crt", "tls.key"}


@pytest.mark.usefixtures("before")
def test_nothing_of_the_secrets_is_shown(module_tenant: Tenant, operator_log: Path) -> None:
    seen = shown(module_tenant, operator_log)
    assert "holds data that Certwright did not write" in seen
    secret = (SOMEBODY_ELSES, "PRIVATE KEY", "bm90IGEga2V5IGF0IGFsbA", "BEGIN CERTIFICATE")
    assert not [text for text in secret if text in seen or base64.b64encode(text.encode()).decode()[:-4] in seen]


def test_an_empty_tls_secret_is_used(tenant: Tenant) -> None:
    empty = Refusal(TLS, {"tls.crt": "", "tls.key": ""}, "", ())
    made = tenant.cluster.apply(empty.manifest(tenant.namespace, "web-tls"))
    tenant.apply("web", dns_name(tenant, "web"))
    tenant.ready("web")
    found = tenant.cluster.get("Secret", tenant.namespace, "web-tls") or {}
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    assert found["metadata"]["labels"]["team"] == "theirs"
    pair = tenant.cluster.secret_data(tenant.namespace, "web-tls")
    assert load_pem_private_key(pair["tls.key"], None).public_key() == tenant.leaf("web-tls").public_key()


def test_the_second_of_two_certificates_for_one_secret_waits_for_the_first(tenant: Tenant) -> None:
    cluster, namespace = tenant.cluster, tenant.namespace
    first, second = dns_name(tenant, "first"), dns_name(tenant, "second")
    tenant.apply("first", first, secretName="shared")
    tenant.ready("first")
    written = cluster.get("Secret", namespace, "shared")
    tenant.apply("second", second, secretName="shared")
    message = tenant.not_ready("second", "SecretClaimed")["message"]
    assert "Secret shared belongs to Certificate first" in message
    assert "Choose another secretName for this Certificate" in message
    assert wait_event(cluster, namespace, "second", "SecretClaimed")["message"] == message
    tenant.apply("beside", dns_name(tenant, "beside"))
    tenant.ready("beside")
    assert tenant.ready("first")["status"]["revision"] == 1
    assert cluster.get("Secret", namespace, "shared") == written
    cluster.delete("Certificate", namespace, "first")
    # Its event tells the second one at once; there is no pause to sit out.
    tenant.ready("second")
    names = tenant.leaf("shared").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [second]


def test_two_certificates_for_one_secret_at_once_leave_one_winner(tenant: Tenant) -> None:
    names = ("a", "b")
    for name in names:
        tenant.apply(name, dns_name(tenant, name), secretName="wanted")
    tenant.not_ready("b", "SecretClaimed")
    tenant.ready("a")
    tenant.not_ready("b", "SecretClaimed")


def test_a_secret_made_immutable_later_keeps_its_certificate_until_that_must_change(tenant: Tenant) -> None:
    cluster, namespace = tenant.cluster, tenant.namespace
    tenant.apply("web", dns_name(tenant, "web"))
    tenant.ready("web")
    cluster.patch("Secret", namespace, "web-tls", {"immutable": True})
    frozen = copy.deepcopy(cluster.get("Secret", namespace, "web-tls"))
    tenant.apply("web", dns_name(tenant, "web"), dns_name(tenant, "more"))
    message = tenant.not_ready("web", "SecretImmutable")["message"]
    assert f"lacks {dns_name(tenant, 'more')}" in message
    assert cluster.get("Secret", namespace, "web-tls") == frozen
    cluster.delete("Secret", namespace, "web-tls")
    tenant.ready("web")
