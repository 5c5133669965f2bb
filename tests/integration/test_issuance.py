"""From a Certificate to a Secret, on real parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

if TYPE_CHECKING:
    from scenario import Tenant


def test_one_name_ends_in_a_secret_that_servers_can_use(tenant: Tenant) -> None:
    tenant.apply("web", "web.example.test")
    found = tenant.ready("web")
    data = tenant.cluster.secret_data(tenant.namespace, "web-tls")
    leaf = x509.load_pem_x509_certificate(data["tls.crt"])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["web.example.test"]
    assert load_pem_private_key(data["tls.key"], None).public_key() == leaf.public_key()
    assert found["status"]["revision"] == 1
    assert "order" not in found["status"]
    assert "finalizers" not in found["metadata"]
    assert not [name for name in tenant.bed.bind.txt_records("example.test") if ".web." in name]
